"""Phase scrambling keeps the amplitude spectrum and nothing else."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.ops.phase_scramble import amplitude, phase_scramble


@pytest.fixture
def image():
    drawn = torch.Generator().manual_seed(0)
    return torch.rand(3, 33, 48, generator=drawn)


@pytest.mark.parametrize("size", [(32, 48), (33, 48), (32, 47), (33, 47)])
def test_the_amplitude_spectrum_stays(image, size):
    image = image[:, : size[0], : size[1]]
    scrambled = phase_scramble(image, n=3)
    assert scrambled.shape == (3, *image.shape)
    torch.testing.assert_close(amplitude(scrambled), amplitude(image).expand(3, -1, -1, -1), atol=1e-5, rtol=1e-4)


def test_mean_and_variance_stay_and_pixels_do_not(image):
    (scrambled,) = phase_scramble(image)
    torch.testing.assert_close(scrambled.mean((1, 2)), image.mean((1, 2)))
    torch.testing.assert_close(scrambled.var((1, 2)), image.var((1, 2)), rtol=1e-3, atol=0)
    assert torch.corrcoef(torch.stack([scrambled.flatten(), image.flatten()]))[0, 1].abs() < 0.2


def test_grey_stays_grey(image):
    """All channels are turned by the same phases."""
    grey = image[:1].expand(3, -1, -1)
    (scrambled,) = phase_scramble(grey)
    torch.testing.assert_close(scrambled[0], scrambled[2])


def test_a_uniform_image_stays():
    (scrambled,) = phase_scramble(torch.full((3, 16, 16), 0.4))
    torch.testing.assert_close(scrambled, torch.full((3, 16, 16), 0.4))


def test_same_seed_same_scramble(image):
    torch.testing.assert_close(phase_scramble(image, seed=3), phase_scramble(image, seed=3), atol=0, rtol=0)
    one, other = phase_scramble(image, n=2, seed=3)
    assert not torch.allclose(one, other)
