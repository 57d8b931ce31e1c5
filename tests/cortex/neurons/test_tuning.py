"""Tuning and Gabor fits of fields whose numbers are known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.neurons.gabor import Gabor, fit_gabors
from ciliary.cortex.neurons.tuning import centre_px, tuning

SIDE = 27


def gabor(degrees, *, frequency=0.15, sx=3.0, sy=4.0, phase=0.4, y=13.0, x=12.5):
    return Gabor(y, x, sx, sy, frequency, math.radians(degrees), phase, 1.0)


def drawn(*gabors):
    return torch.stack([torch.from_numpy(one.draw((SIDE, SIDE))).float() for one in gabors])


def test_bandwidths_of_a_gabor_are_those_of_its_gaussian():
    """Its spectrum is a Gaussian of spread 1 / (2 pi sigma): half height at sqrt(2 ln 2) of it on either side."""
    found = tuning(drawn(*(gabor(d) for d in (0, 30, 100, 178))))
    half = math.sqrt(2 * math.log(2)) / (2 * math.pi)
    octaves = math.log2((0.15 + half / 3) / (0.15 - half / 3))
    assert found.bandwidth_octaves.tolist() == pytest.approx([octaves] * 4, rel=0.01)
    assert found.frequency_cpp.tolist() == pytest.approx([0.15] * 4, rel=0.02)
    angles = torch.rad2deg(found.orientation_rad)
    assert angles.tolist() == pytest.approx([0, 30, 100, 178], abs=0.01)
    # along a circle of radius f, across and along both change: solved by bisection
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        across, along = 0.15 * (1 - math.cos(middle)), 0.15 * math.sin(middle)
        fall = math.exp(-2 * math.pi**2 * ((3 * across) ** 2 + (4 * along) ** 2))
        low, high = (middle, high) if fall > 0.5 else (low, middle)
    assert found.half_bandwidth_deg.tolist() == pytest.approx([math.degrees(low)] * 4, rel=0.02)


def test_a_blob_prefers_nothing_and_is_a_low_pass():
    found = tuning(drawn(gabor(0, frequency=0.0, sx=3.0, sy=3.0, phase=0.0)))
    assert not found.is_band_pass.any()
    assert found.half_bandwidth_deg.item() == 90
    assert found.circular_variance.item() == pytest.approx(1, abs=0.01)


def test_a_narrower_unit_has_less_circular_variance():
    wide, narrow = tuning(drawn(gabor(40, sy=2.0), gabor(40, sy=6.0))).circular_variance.tolist()
    assert 0 < narrow < wide < 1


def test_centre_and_radius_of_two_pixels():
    field = torch.zeros(1, 9, 9)
    field[0, 2, 4], field[0, 6, 4] = 1.0, -1.0
    assert centre_px(field).tolist() == [[4.0, 4.0]]
    assert tuning(field).radius_px.item() == pytest.approx(2.0)


@pytest.mark.parametrize("degrees", [10, 75, 140])
def test_a_gabor_is_fitted_by_itself(degrees):
    truth = gabor(degrees, phase=1.1)
    field = drawn(truth)
    (found,) = fit_gabors(field, tuning(field))
    assert found.r2 > 0.999
    assert (found.n_x, found.n_y) == pytest.approx((0.45, 0.6), rel=0.01)
    assert math.degrees(found.tangent_rad) == pytest.approx(degrees, abs=0.5)


def test_noise_is_no_gabor():
    field = torch.randn(1, 11, 11, generator=torch.Generator().manual_seed(0))
    assert fit_gabors(field, tuning(field))[0].r2 < 0.5
