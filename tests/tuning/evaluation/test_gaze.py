"""The table of maps between floor and ceiling, on made fixations whose best map is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ciliary.envs.data.gaze import Fixations, GazeSet
from ciliary.envs.metrics.gaze import GAZE_METRICS
from ciliary.tuning.evaluation.gaze import gaze_table


def looked_at(y: float, x: float, rng: np.random.Generator) -> Fixations:
    n = 12
    places = rng.normal([y, x], 3, (n, 2)).clip(1, 58)
    return Fixations(np.arange(n) % 3, np.arange(n) // 3, places[:, 0], places[:, 1], np.full(n, 250.0))


@pytest.fixture
def made() -> tuple[GazeSet, np.ndarray]:
    rng = np.random.default_rng(0)
    goals = rng.uniform(12, 48, (8, 2))
    gazed = GazeSet(tuple(Path(f"{i}.png") for i in range(8)), tuple(looked_at(*goal, rng) for goal in goals))
    y, x = np.mgrid[:12, :12] * 5 + 2.5
    return gazed, np.stack([np.exp(-((y - gy) ** 2 + (x - gx) ** 2) / (2 * 5**2)) for gy, gx in goals])


def test_what_knows_the_goal_is_between_floor_and_ceiling(made):
    gazed, right = made
    wrong = np.roll(right, 1, 0)
    table = gaze_table({"right": right, "wrong": wrong}, gazed, photograph=(60, 60), px_per_deg=4, told_on=range(1, 8))
    assert set(table) == {"uniform", "centre", "right", "right x centre", "wrong", "wrong x centre", "people"}
    assert set(table["right"]) == set(GAZE_METRICS)
    assert table["uniform"]["nss"].mean == 0
    assert table["uniform"]["auc_judd"].mean == table["uniform"]["sauc"].mean == 0.5
    assert table["centre"]["ig"].mean == pytest.approx(0, abs=1e-12)
    assert table["right"]["nss"].low > table["centre"]["nss"].high
    assert table["wrong"]["nss"].mean < table["right"]["nss"].low
    assert table["people"]["nss"].mean > table["centre"]["nss"].high
    assert table["right"]["nss"].n == 7


def test_maps_of_another_number_are_refused(made):
    gazed, right = made
    with pytest.raises(ValueError, match="N = 8"):
        gaze_table({"right": right[:5]}, gazed, photograph=(60, 60), px_per_deg=4)
