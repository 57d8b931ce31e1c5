"""The exams on worlds whose answers are known."""

import numpy as np
import pytest

from ciliary.agents import make_controller
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.tuning.focus.exam_colour import auc, examine_colour
from ciliary.tuning.focus.exam_lens import OracleController, lens_env, lens_row, places_of, play_lens
from ciliary.tuning.focus.exam_optics import peaks_dpt


@pytest.fixture(scope="module")
def scene():
    return planes_scene((3.0,), size_px=(240, 320), px_per_deg=9.6)


def test_an_auc_by_hand():
    assert auc(np.array([[0.0, 1.0], [0.2, 3.0]])) == 1.0
    assert auc(np.array([[1.0, 0.0], [3.0, 0.2]])) == 0.0
    assert auc(np.array([[0.0, 0.0], [1.0, 1.0]])) == 0.5
    assert auc(np.array([[0.0, 1.0], [2.0, 3.0]])) == 0.75


def test_the_oracle_is_at_the_truth_and_one_who_rests_is_where_it_was(scene):
    env, (place,) = lens_env(has_noise=False), places_of([scene], n_gazes=1, n_seeds=1, seed=0)[0]
    told = play_lens(env, OracleController(), place)
    assert told == {"looks": 2, "error": pytest.approx(0, abs=1e-5), "six": pytest.approx(0, abs=1e-5), "hunting": 0}
    rested = play_lens(env, make_controller("fixed"), place, n_trials=1)
    assert rested == {"looks": 1, "error": pytest.approx(2.0), "six": pytest.approx(2.0), "hunting": 0}


def test_a_sweep_hunts(scene):
    """It finds what it looks for, and goes on."""
    table = places_of([scene, scene], n_gazes=1, n_seeds=1, seed=0)
    row = lens_row("sweep", make_controller("lens-sweep", n_looks=11), table, lens_env(has_noise=False), nearness="1")
    assert (row.n, row.hunting.mean, row.within_0_25.mean) == (2, 1.0, 1.0)


def test_places_are_the_same_for_a_seed_and_gazes_have_several_seeds(scene):
    first, second = (places_of([scene], n_gazes=2, n_seeds=3, seed=4)[0] for _ in range(2))
    assert first == second
    assert len({place.gaze for place in first}) == 2
    assert len({place.seed for place in first}) == 6


def test_colour_tells_the_side_and_luminance_does_not(scene, monkeypatch):
    monkeypatch.setattr("ciliary.tuning.focus.exam_colour.WHITES_CD_M2", (None,))
    monkeypatch.setattr("ciliary.tuning.focus.exam_colour.DEFOCUS_DPT", (0.5,))
    (row,) = examine_colour({"1": [scene, scene]}, seed=0, n_gazes=2)
    assert (row.n, row.red_over_blue.mean, row.likelihood.mean) == (4, 1.0, 1.0)
    assert abs(row.luminance.mean - 0.5) < 0.3


def test_peaks_are_where_the_optics_say():
    red, green, blue = peaks_dpt(2.0)
    assert green == pytest.approx(2.0, abs=0.05)
    assert red - blue == pytest.approx(0.925, abs=0.05)
