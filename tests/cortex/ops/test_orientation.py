"""The double-angle mean of oriented energy."""

import math

import pytest
import torch

from ciliary.cortex.ops.orientation import dominant_orientation


@pytest.mark.parametrize("channel", range(6))
def test_one_channel_alone_is_its_tangent(channel):
    energy = torch.zeros(1, 6, 2, 2)
    energy[:, channel] = 3.0
    torch.testing.assert_close(dominant_orientation(energy), torch.full((1, 1, 2, 2), channel * math.pi / 6))


def test_between_two_channels_and_across_the_seam():
    energy = torch.zeros(1, 6, 1, 2)
    energy[0, 1:3, 0, 0] = 1.0  # 30 and 60 degrees
    energy[0, [0, 5], 0, 1] = 1.0  # 0 and 150 degrees: 165, not 75
    expected = torch.tensor([math.radians(45), math.radians(165)]).view(1, 1, 1, 2)
    torch.testing.assert_close(dominant_orientation(energy), expected, atol=1e-5, rtol=0)


def test_range_scale_and_a_blank():
    energy = torch.rand(1, 6, 20, 20, generator=torch.Generator().manual_seed(0))
    angle = dominant_orientation(energy)
    assert 0 <= angle.min() <= angle.max() < math.pi
    torch.testing.assert_close(dominant_orientation(10 * energy), angle, atol=1e-5, rtol=0)
    blank = torch.zeros(1, 6, 2, 2, requires_grad=True)
    dominant_orientation(blank).sum().backward()
    assert torch.isfinite(blank.grad).all()
