"""Ridges of a broad boundary: thin, where they should be, and nothing lost."""

import math

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from ciliary.envs.metrics.boundaries import suppress_non_maxima

SIZE = 61
Y, X = np.mgrid[:SIZE, :SIZE] - SIZE // 2


def offset(degrees):
    """Distance of each pixel from a line through the middle, signed."""
    a = math.radians(degrees)
    return Y * math.cos(a) - X * math.sin(a)


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 135, 160])
@pytest.mark.parametrize("breadth_px", [1.5, 3.0])
def test_a_broad_ridge_becomes_a_line_where_it_was(degrees, breadth_px):
    across = offset(degrees)
    found = suppress_non_maxima(np.exp(-0.5 * (across / breadth_px) ** 2)) * (np.hypot(Y, X) < 25)
    strong = found > 0.05  # beyond, float32 is flat
    assert np.abs(across[strong]).max() <= 1.0
    # pixels for each step along the line: one where it is thin, two where it lies between two pixels
    n_steps = 50 * max(abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees))))
    assert 0.8 <= strong.sum() / n_steps <= 1.6
    truth = (np.abs(across) < 0.5) & (np.hypot(Y, X) < 23)
    assert distance_transform_edt(~strong)[truth].max() <= 1.5


def test_strength_is_kept_where_it_is_a_ridge():
    values = np.exp(-0.5 * (offset(0) / 2) ** 2) * np.linspace(0.3, 0.9, SIZE)
    found = suppress_non_maxima(values)
    kept = found > 0
    inner = np.zeros_like(kept)
    inner[5:-5, 5:-5] = True  # towards the frame it fades
    np.testing.assert_allclose(found[kept & inner], values[kept & inner], rtol=1e-6)
    assert kept[SIZE // 2, 2:-2].all()
    assert (found[kept & ~inner] <= values[kept & ~inner] + 1e-6).all()


def test_two_ridges_stay_two():
    values = np.exp(-0.5 * ((offset(0) - 6) / 2) ** 2) + 0.5 * np.exp(-0.5 * ((offset(0) + 6) / 2) ** 2)
    rows = np.nonzero(suppress_non_maxima(values)[:, SIZE // 2] > 0.1)[0] - SIZE // 2
    assert len(rows) == 2
    np.testing.assert_allclose(rows, [-6, 6], atol=1)


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_plateau_is_no_reason_to_suppress(value):
    found = suppress_non_maxima(np.full((20, 31), value))
    assert found.shape == (20, 31)
    np.testing.assert_allclose(found[5:-5, 5:-5], value)
