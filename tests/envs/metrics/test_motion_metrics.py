"""Errors of flow and the pattern index, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.envs.metrics.flow import angular_error_deg, endpoint_error_px
from ciliary.envs.metrics.pattern import CRITERION, pattern_index


def one(y: float, x: float) -> torch.Tensor:
    return torch.tensor([y, x], dtype=torch.float32).view(2, 1, 1)


def test_errors_of_flow_by_hand():
    assert float(endpoint_error_px(one(3, 0), one(0, 4))) == pytest.approx(5)
    assert float(angular_error_deg(one(0, 1), one(0, 0))) == pytest.approx(45, abs=1e-4)
    assert float(angular_error_deg(one(0, 1), one(0, -1))) == pytest.approx(90, abs=1e-4)
    assert float(angular_error_deg(one(2, -3), one(2, -3))) == pytest.approx(0, abs=1e-4)
    batch = torch.zeros(5, 2, 3, 4)
    assert endpoint_error_px(batch, batch + 1).shape == angular_error_deg(batch, batch).shape == (5, 3, 4)


def tuning(n: int = 12, width_deg: float = 30.0) -> np.ndarray:
    away = (np.arange(n) * 360 / n + 180) % 360 - 180
    return np.exp(-0.5 * (away / width_deg) ** 2)


def test_the_ideal_cells_are_told_apart():
    grating = tuning()
    component = np.roll(grating, 2) + np.roll(grating, -2)
    as_component, as_pattern = pattern_index(grating, component), pattern_index(grating, grating)
    assert as_component.component - as_component.pattern > CRITERION
    assert as_pattern.pattern - as_pattern.component > CRITERION


def test_z_is_fisher_s_of_the_partial_correlation():
    rng = np.random.default_rng(0)
    grating, plaid = rng.random(12), rng.random(12)
    both = np.roll(grating, 2) + np.roll(grating, -2)
    # Partial correlation by its other definition: of what is left when the third is regressed out.
    left = [v - np.polyval(np.polyfit(grating, v, 1), grating) for v in (plaid, both)]
    partial = np.corrcoef(*left)[0, 1]
    found = pattern_index(grating, plaid)
    assert found.component == pytest.approx(0.5 * np.log((1 + partial) / (1 - partial)) * 3, rel=1e-6)


def test_a_plaid_that_fits_no_step_is_refused():
    with pytest.raises(ValueError, match="in steps"):
        pattern_index(np.ones(8), np.ones(8))
    with pytest.raises(ValueError, match="as many answers"):
        pattern_index(np.ones(12), np.ones(11))
