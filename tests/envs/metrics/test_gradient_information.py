"""Gradient information: by hand, and as its authors describe it."""

import math

import pytest
import torch

from ciliary.envs.metrics.gradient_information import gradient_information


def ramp(slope):
    return (slope * torch.arange(12.0)).expand(10, 12)[None]


def test_flat_weak_and_clipped_pictures_tell_nothing():
    for picture in (torch.full((1, 8, 8), 0.4), ramp(0.059), (1 + ramp(0.5)).clamp(0, 1)):
        assert float(gradient_information(picture)[0]) == 0.0


def test_a_ramp_by_hand():
    one = math.log(1000 * (0.08 - 0.06) + 1) / math.log(1000 * (1 - 0.06) + 1)
    assert float(gradient_information(ramp(0.08))[0]) == pytest.approx(8 * 10 * one, rel=1e-4)


def test_it_is_the_same_in_a_batch_and_turned():
    picture = torch.rand(1, 9, 14, generator=torch.Generator().manual_seed(1))
    alone = gradient_information(picture)
    assert torch.equal(gradient_information(picture.repeat(3, 1, 1)), alone.repeat(3))
    assert float(gradient_information(picture.transpose(1, 2))[0]) == pytest.approx(float(alone[0]), rel=1e-5)


def test_another_shape_is_named():
    with pytest.raises(ValueError, match=r"\(B, H, W\)"):
        gradient_information(torch.zeros(8, 8))
