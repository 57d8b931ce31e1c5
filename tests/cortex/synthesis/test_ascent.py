"""Preferred stimuli and dreams, against scores whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.synthesis.ascent import AscentSettings, ascend, noise_around_grey
from ciliary.cortex.synthesis.dream import DreamSettings, dream, resized


def gabor(n_px: int, angle_rad: float, *, period_px: float = 6.0) -> torch.Tensor:
    y, x = torch.meshgrid(*[torch.arange(n_px) - (n_px - 1) / 2] * 2, indexing="ij")
    along = x * math.cos(angle_rad) + y * math.sin(angle_rad)
    return torch.exp(-(x**2 + y**2) / 40) * torch.cos(2 * math.pi * along / period_px)


@pytest.mark.parametrize("angle_rad", [0.0, 0.7, 2.1])
def test_a_linear_unit_prefers_its_own_filter(angle_rad):
    kernel = gabor(32, angle_rad)
    start = noise_around_grey((1, 3, 32, 32))
    settings = AscentSettings(n_steps=60, price=20.0, blur_sigma_px=0.0)
    seen = ascend(lambda image: (image.mean(1) * kernel).sum((1, 2)), start, settings)
    change = (seen - 0.5).mean((0, 1))
    assert F.cosine_similarity(change.flatten(), kernel.flatten(), dim=0) > 0.99
    torch.testing.assert_close(change, kernel / (2 * 20 * kernel.abs().mean()), rtol=0, atol=0.01)  # where it rests


def test_each_image_of_a_batch_climbs_its_own_score_as_if_alone():
    kernels = torch.stack([gabor(24, 0.0), gabor(24, 1.5)])
    start = noise_around_grey((1, 3, 24, 24)).expand(2, -1, -1, -1)
    both = ascend(lambda image: (image.mean(1) * kernels).sum((1, 2)), start, seed=3)
    alone = ascend(lambda image: (image.mean(1) * kernels[1:]).sum((1, 2)), start[1:], seed=3)
    torch.testing.assert_close(both[1:], alone)


def test_without_a_slope_an_image_stays():
    start = noise_around_grey((1, 3, 16, 16))
    settings = AscentSettings(n_steps=3, blur_sigma_px=0.0, price=0.0)
    assert torch.equal(ascend(lambda image: 0 * image.sum((1, 2, 3)), start, settings), start)
    assert torch.equal(ascend(lambda image: (image - image).sum((1, 2, 3)).sqrt(), start, settings), start)  # nan


def test_without_a_price_nothing_stops_it_but_black_and_white():
    kernel = gabor(24, 0.3)
    start = noise_around_grey((1, 3, 24, 24))
    seen = ascend(lambda image: (image.mean(1) * kernel).sum((1, 2)), start, AscentSettings(price=0.0, jitter_px=0))
    assert seen.min() == 0
    assert seen.max() == 1


def test_sizes_grow_by_the_zoom_and_none_is_too_small():
    assert DreamSettings().sizes(96, 140) == [(35, 51), (49, 71), (69, 100), (96, 140)]
    assert DreamSettings(least_px=60).sizes(96, 140) == [(69, 100), (96, 140)]
    assert DreamSettings(n_octaves=1).sizes(96, 140) == [(96, 140)]


def test_detail_is_put_back_at_each_size(chelsea):
    """A dream that follows no slope is the image itself: nothing is lost on the way through the small sizes."""
    dreamt = dream(lambda image: 0 * image.sum((1, 2, 3)), chelsea)
    assert (dreamt - chelsea).abs().max() < 0.02  # clamped at some sizes
    small = resized(resized(chelsea, (35, 52)), (64, 96))
    assert (small - chelsea).abs().max() > 0.2


def test_a_dream_has_more_of_what_is_asked(chelsea):
    def stripes(image: torch.Tensor) -> torch.Tensor:
        return (image.mean(1)[:, :, 1:] - image.mean(1)[:, :, :-1]).square().mean((1, 2))

    dreamt = dream(stripes, chelsea, DreamSettings(n_steps=3))
    assert stripes(dreamt) > 1.5 * stripes(chelsea)
    assert torch.equal(dreamt, dream(stripes, chelsea, DreamSettings(n_steps=3)))  # seeded


@pytest.mark.parametrize("wrong", [{"n_steps": 0}, {"step": 0.0}, {"price": -1.0}, {"every": 0}])
def test_an_ascent_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        AscentSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"n_octaves": 0}, {"zoom": 1.0}, {"jitter_px": -1}])
def test_a_dream_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        DreamSettings(**wrong)
