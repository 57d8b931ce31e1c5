"""Figures of grown filters: every field has its place, and Ringach's medians are those of his table."""

from __future__ import annotations

import numpy as np
import pytest

from ciliary.cortex.neurons.gabor import fit_gabors
from ciliary.cortex.neurons.tuning import tuning
from ciliary.cortex.plot.grown import draw_fields, draw_tuning, shape_median
from ciliary.tuning.training.filters_report import log_gabor_fields


def test_every_field_is_drawn_at_its_own_contrast():
    fields = log_gabor_fields(15, 0).repeat(3, 1, 1) * 0.01
    sheet = draw_fields(fields, name="$x", note="a note").axes[0].images[0].get_array().filled(np.nan)
    assert sheet.shape == (2 * 16 - 1, 24 * 16 - 1)  # 36 fields: a row of 24 and half a one
    assert np.nanmax(np.abs(sheet)) == pytest.approx(1)
    assert np.isnan(sheet[16:, 12 * 16 :]).all()


def test_histograms_count_every_unit():
    fields = log_gabor_fields(21, 0)
    tuned = tuning(fields)
    axes = draw_tuning(tuned, fit_gabors(fields, tuned), name="log-Gabor").axes
    for ax in axes[:5]:
        assert sum(bar.get_height() for bar in ax.patches) == len(fields)


def test_the_medians_of_ringach_s_cells():
    """79 cells: of n_x 3 and 22 lie below the third bin, which has 42; of n_y 11 and 11, and 25."""
    ratio = 10**0.24
    assert shape_median(0) == pytest.approx(0.1 * ratio**2 * ratio ** ((39.5 - 25) / 42))
    assert shape_median(1) == pytest.approx(0.1 * ratio**2 * ratio ** ((39.5 - 22) / 25))
