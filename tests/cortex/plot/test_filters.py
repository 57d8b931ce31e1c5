"""The filters that are drawn are those that M1 uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ciliary.cortex import default_theta
from ciliary.cortex.plot.early import draw_filters, filter_windows
from ciliary.cortex.plot.filters import filters_in_use
from ciliary.cortex.stages.m1_perception import v1_energy

SETTINGS = [{}, {"wavelength_px": 6.0, "bandwidth_octaves": 0.8}, {"wavelength_px": 12.0, "bandwidth_octaves": 2.5}]


@pytest.mark.parametrize("changes", SETTINGS)
def test_the_peak_is_at_one_over_the_wavelength_across_the_contour(changes):
    theta = default_theta(1, **changes)
    filters = filters_in_use(theta)
    step = float(np.diff(filters.frequency_cpp)[0])
    for i_scale, i in np.ndindex(filters.gain.shape[:2]):
        wavelength = float(theta["wavelength_px"]) * 2**i_scale
        assert filters.wavelength_px[i_scale] == pytest.approx(wavelength)
        row, column = np.unravel_index(filters.gain[i_scale, i].argmax(), filters.gain.shape[-2:])
        fy, fx = filters.frequency_cpp[row], filters.frequency_cpp[column]
        across = math.pi * i / 6 + math.pi / 2
        expected = np.array([math.sin(across), math.cos(across)]) / wavelength
        np.testing.assert_allclose([fy, fx], expected, atol=0.8 * step)
        assert filters.gain[i_scale, i].max() == pytest.approx(1, abs=0.05)
    assert filters.gain[..., filters.frequency_cpp.size // 2, filters.frequency_cpp.size // 2].max() < 1e-4  # no DC


def test_half_height_bandwidth_is_as_asked():
    filters = filters_in_use(default_theta(1, wavelength_px=8.0, bandwidth_octaves=1.0))
    along = filters.gain[0, 3][filters.frequency_cpp.size // 2]  # an upright contour: along fx
    f = np.abs(filters.frequency_cpp[along >= 0.5])
    assert math.log2(f.max() / f.min()) == pytest.approx(1.0, abs=0.1)


def test_a_grating_is_answered_with_half_the_gain():
    """The filter is one-sided, so that of the two waves of a sine one is left: energy is half the gain there."""
    theta = default_theta(1)
    filters = filters_in_use(theta)
    column = filters.frequency_cpp.size // 2 - 40  # one of the frequencies of the grid, along -x
    frequency = abs(filters.frequency_cpp[column])
    x = torch.arange(96.0)
    image = torch.sin(2 * math.pi * frequency * x).expand(1, 1, 96, 96)
    energy = v1_energy(image, theta, scale=0)[0, 0]
    gain = filters.gain[0, :, filters.frequency_cpp.size // 2, column]
    np.testing.assert_allclose(energy[:, 40:56, 40:56].mean((1, 2)), gain / 2, atol=0.01)


def test_every_filter_is_drawn_in_space_and_in_frequency(mathematical):
    figure = draw_filters(mathematical)
    assert len(figure.axes) == 36
    half_px, half_cpp = filter_windows(filters_in_use(mathematical.theta))
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (2 * half_px + 1,) * 2
    assert np.asarray(shown)[half_px, half_px] == np.asarray(shown).max()  # an even filter: the middle is its crest
    assert figure.axes[1].images[0].get_extent() == [-half_cpp, half_cpp, half_cpp, -half_cpp]
