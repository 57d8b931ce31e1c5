"""The exams on worlds whose answers are known."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ciliary.agents import make_controller, run_episode
from ciliary.envs.data.active.scene import EyeScene, SceneFrames
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.tuning.focus.episode import env_of, resting
from ciliary.tuning.focus.exam_colour import auc, examine_colour
from ciliary.tuning.focus.exam_lens import OracleController, lens_env, lens_row, places_of, play_lens
from ciliary.tuning.focus.exam_optics import peaks_dpt
from ciliary.tuning.focus.exam_stacks import frame_of, hill_over, stepped


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


def stack_of(n=7, best=5):
    """Frames of noise, each blurred the more the farther it is from the best."""
    grain = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    frames = torch.cat([blurred(grain, 0.8 * abs(i - best)) for i in range(n)])
    own = SceneFrames(frames, torch.linspace(0, 10, n), "focus_dpt")
    return EyeScene("stack", frames[n // 2], torch.zeros(1, 96, 128), 9.6, n_layers=1, frames=own)


def blurred(light, sigma_px):
    return torch.from_numpy(gaussian_filter(light.numpy(), (0, 0, sigma_px, sigma_px), mode="nearest"))


def test_frames_are_set_a_depth_of_field_apart_about_the_middle():
    marks = stepped(stack_of(), 0.5).frames.marks
    assert marks.tolist() == pytest.approx([3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5])


@pytest.mark.parametrize("best", [0, 3, 5, 6])
def test_a_climb_by_the_span_is_near_the_best_frame_in_half_the_looks_of_a_sweep(best):
    scene = stepped(stack_of(best=best), 0.5)
    env = env_of(scene, "focus_dpt", has_noise=False)
    options = {"scene": scene, "gaze": (0.0, 0.0), **resting(scene, "focus_dpt")}
    trace = run_episode(env, hill_over(3.0, 0.5), 0, options, n_trials=40)
    seen = frame_of(scene, trace.theta["focus_dpt"])
    assert abs(seen[trace.i_chosen] - best) == 0
    assert abs(seen[int(np.argmin(trace.terms["focus"][:3]))] - best) <= 1
