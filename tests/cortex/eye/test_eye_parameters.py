"""The eye's table: ranges, resting state, its own field."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.eye.parameters import EYE, eye_table
from ciliary.cortex.parameters import PARAMETERS


def test_four_muscles_that_rest_at_the_centre():
    assert EYE.names == ("gaze_y_deg", "gaze_x_deg", "focus_dpt", "pupil_mm")
    rest = {name: float(value) for name, value in EYE.default_theta(1).items()}
    assert rest == {"gaze_y_deg": 0.0, "gaze_x_deg": 0.0, "focus_dpt": 1.0, "pupil_mm": 4.0}
    assert not set(EYE.names) & set(PARAMETERS.names)


def test_units_go_to_the_ends_of_the_ranges_and_back():
    low, high = EYE.from_unit(-torch.ones(1, 4)), EYE.from_unit(torch.ones(1, 4))
    assert [round(float(low[n]), 4) for n in EYE.names] == [-12.5, -16.6667, 0, 2]
    assert [round(float(high[n]), 4) for n in EYE.names] == [12.5, 16.6667, 10, 8]
    assert float(EYE.from_unit(torch.zeros(1, 4))["pupil_mm"]) == pytest.approx(4.0)  # equal ratios
    u = torch.tensor([[0.3, -0.2, 0.5, 0.9]])
    torch.testing.assert_close(EYE.to_unit(EYE.from_unit(u)), u)


def test_another_scene_has_another_field():
    assert (eye_table((10.0, 20.0))["gaze_y_deg"].high, eye_table((10.0, 20.0))["gaze_x_deg"].low) == (5.0, -10.0)
    with pytest.raises(ValueError, match="expected a field"):
        eye_table((0.0, 20.0))
