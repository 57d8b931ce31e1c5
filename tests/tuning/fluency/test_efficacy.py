"""Efficacy: what a partition paints, between the mean colour and the image itself."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.envs.data.sources import bundled
from ciliary.tuning.fluency.efficacy import efficacy, energy_error, reconstruct, similarity


@pytest.fixture(scope="module")
def cortex():
    return Cortex().eval()


@pytest.fixture(scope="module")
def image():
    return bundled(48, ["coffee"])[0].image


def test_two_halves_by_hand():
    image = torch.zeros(1, 1, 2, 4)
    image[0, 0, :, 2:] = torch.tensor([[0.2, 0.6], [0.4, 0.8]])
    shares = torch.zeros(1, 2, 2, 4)
    shares[0, 0, :, :2] = 1
    shares[0, 1, :, 2:] = 1
    painted = reconstruct(image, shares)
    torch.testing.assert_close(painted[0, 0], torch.tensor([[0.0, 0.0, 0.5, 0.5]] * 2))


def test_one_part_is_the_mean_and_a_part_a_pixel_the_image(image):
    small = image[None, :, :8, :8]
    one = reconstruct(small, torch.ones(1, 1, 8, 8))
    torch.testing.assert_close(one, small.mean((2, 3), keepdim=True).expand_as(small))
    each = torch.eye(64).view(1, 64, 8, 8)
    torch.testing.assert_close(reconstruct(small, each), small)


def test_similarity_of_itself_is_one_and_falls_with_noise(image):
    drawn = torch.Generator().manual_seed(0)
    noise = torch.randn(image.shape, generator=drawn)
    scores = [similarity(image, (image + s * noise).clamp(0, 1)) for s in (0.0, 0.05, 0.2)]
    assert scores[0] == pytest.approx(1)
    assert scores[0] > scores[1] > scores[2]


def test_energies_of_itself_are_right_and_of_a_uniform_image_off_by_one(cortex, image):
    uniform = torch.full_like(image, 0.5)
    errors = energy_error(image, torch.stack([image, uniform]), cortex.table.default_theta(1))
    torch.testing.assert_close(errors, torch.tensor([0.0, 1.0]), atol=2e-3, rtol=0)


def test_a_photograph_is_given_back_better_than_by_its_mean(cortex, image):
    theta = cortex.table.default_theta(1)
    found = efficacy(image, cortex(image[None], theta).detach(), theta)
    assert found["ssim_blank"] < found["ssim_m4"] <= found["ssim_m3"] + 0.02
    assert found["energy_error_m3"] < 1
