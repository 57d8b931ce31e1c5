from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from ciliary.agents import make_controller, run_episode
from ciliary.agents.eye.lens import LensState, climbed, parabola_top
from ciliary.agents.eye.reflex import OBJECT_DPT, ContrastLook, likeliest_dpt, object_likelihood, within_bracket
from ciliary.agents.registry import CONTROLLERS, EYE_CONTROLLERS
from ciliary.agents.trace import Ending
from ciliary.cortex.eye.chromatic import channel_shift_dpt
from ciliary.cortex.eye.contrast import band_transfer
from ciliary.cortex.eye.disc import px_per_rad
from ciliary.envs.data.active.synthetic import planes_scene

PX_PER_DEG = 12.0
QUICK = {"size_px": (64, 80), "width_deg": 10.0, "photon_noise": False, "patience": 0}


def focus_env(distance_dpt=3.0, **settings):
    scene = planes_scene((distance_dpt,), size_px=(64, 80), px_per_deg=PX_PER_DEG)
    return gym.make("Ciliary/Focus-v0", scenes=scene, max_episode_steps=60, **(QUICK | settings))


def error_of(env):
    env = env.unwrapped
    return abs(env.world.info(0)["hidden"]["focus_error_dpt"])


@pytest.mark.parametrize("name", ["lens-sweep", "lens-hill", "lens-reflex", "lens-reflex-hill"])
def test_lenses_come_to_focus(name):
    env = focus_env()
    trace = run_episode(env, make_controller(name), seed=0, n_trials=40)
    assert error_of(env) <= (0.2 if name == "lens-sweep" else 0.1)
    assert trace.terms["total"][trace.i_chosen] == trace.terms["total"].min()
    again = run_episode(focus_env(), make_controller(name), seed=0, n_trials=40)
    np.testing.assert_array_equal(trace.u, again.u)


def test_the_reflex_needs_fewer_looks_than_a_climb_and_a_climb_than_a_sweep():
    looks = [len(run_episode(focus_env(), make_controller(name), seed=0, n_trials=40).u) for name in (
        "lens-reflex", "lens-hill", "lens-sweep")]  # fmt: skip
    assert looks[0] <= 6
    assert looks[0] < looks[1] < looks[2]


@pytest.mark.parametrize("focus_dpt", [2.0, 2.5, 3.6, 4.0])
@pytest.mark.parametrize("noise", [False, True])
def test_the_reflex_goes_to_the_right_side_at_the_first_look(focus_dpt, noise):
    env = focus_env(photon_noise=noise)
    trace = run_episode(env, make_controller("lens-reflex"), seed=0, options={"focus_dpt": focus_dpt}, n_trials=2)
    first, second = (5 * (u + 1) for u in trace.u[:, 0])
    assert first == pytest.approx(focus_dpt, abs=1e-5)
    assert (second - first) * (3.0 - focus_dpt) > 0


@pytest.mark.parametrize("defocus_dpt", [-1.5, -0.5, 0.0, 0.4, 1.2])
def test_contrast_that_is_as_the_optics_say_gives_the_distance_back(defocus_dpt):
    focus_dpt, pupil_mm = 4.0, 4.0
    defocus = np.abs(defocus_dpt - np.array(channel_shift_dpt()))
    diameter = pupil_mm * 1e-3 * defocus * px_per_rad(PX_PER_DEG)
    energy = 0.01 * band_transfer(tuple(diameter))
    look = ContrastLook(focus_dpt, pupil_mm, energy, np.full_like(energy, 1e-9))
    likelihood = object_likelihood([look], PX_PER_DEG)
    assert likelihood.shape == OBJECT_DPT.shape
    assert likeliest_dpt(likelihood) == pytest.approx(focus_dpt - defocus_dpt, abs=0.1)


def test_discs_take_fine_contrast_first():
    passed = band_transfer((0.0, 1.0, 3.0, 8.0))
    np.testing.assert_allclose(passed[0], 1, atol=1e-9)
    assert (np.diff(passed, axis=0) < 0).all()
    assert (np.diff(passed[1:3], axis=1) > 0).all()


def test_parabolas_end_between_the_neighbours_of_the_best():
    looks = tuple((x, (x - 1.3) ** 2) for x in (0.0, 1.0, 2.0))
    assert parabola_top(looks) == pytest.approx(1.3)
    assert parabola_top(((0.0, 1.0), (1.0, 2.0))) == 0.0
    assert parabola_top(((2.0, np.inf),)) == 2.0


@pytest.mark.parametrize("name", ["gaze-centre", "gaze-random", "gaze-grid", "gaze-priority"])
def test_gazes_move_in_the_field_and_repeat_by_seed(name):
    def path(seed):
        env = gym.make("Ciliary/Gaze-v0", scenes="synthetic", **QUICK)
        return run_episode(env, make_controller(name), seed=seed, n_trials=5)

    trace = path(3)
    np.testing.assert_array_equal(trace.u, path(3).u)
    assert np.abs(trace.u).max() <= 1
    n_places = len(np.unique(trace.u.round(3), axis=0))
    assert n_places == (1 if name == "gaze-centre" else len(trace.u))
    assert trace.terms["gaze"][-1] <= trace.terms["gaze"][0] + (1e-9 if name == "gaze-centre" else 0.2)


def test_a_path_is_replayed_and_begins_again():
    env = gym.make("Ciliary/Gaze-v0", scenes="synthetic", **QUICK)
    controller = make_controller("gaze-replay", path=((0.5, -0.25), (-1.0, 1.0)))
    trace = run_episode(env, controller, seed=0, n_trials=4, guard=None)
    np.testing.assert_allclose(trace.u[1:4], [(0.5, -0.25), (-1.0, 1.0), (0.5, -0.25)], atol=1e-5)
    with pytest.raises(ValueError, match="gazes"):
        make_controller("gaze-replay", path=((2.0, 0.0),))


def test_the_pupil_closes_in_the_light():
    env = gym.make("Ciliary/Eye-v0", scenes="synthetic", **QUICK)
    sizes = [
        run_episode(env, make_controller("pupil-reflex", white_cd_m2=white), seed=0, n_trials=3, guard=None).u[-1, 3]
        for white in (1.0, 1e4)
    ]
    assert sizes[0] > sizes[1]


def test_a_search_that_knows_nothing_of_eyes_can_play():
    trace = run_episode(focus_env(), make_controller("tpe", population=1), seed=0, n_trials=5)
    assert len(trace.u) == 5
    assert trace.parameters.names == ("focus_dpt",)


def test_an_eye_without_the_muscle_is_named():
    with pytest.raises(ValueError, match="Focus-v0"):
        run_episode(gym.make("Ciliary/Gaze-v0", scenes="synthetic", **QUICK), make_controller("lens-hill"), seed=0)
    with pytest.raises(ValueError, match="Gaze-v0"):
        run_episode(focus_env(), make_controller("gaze-grid"), seed=0)
    with pytest.raises(ValueError, match="Eye-v0"):
        run_episode(focus_env(), make_controller("pupil-reflex"), seed=0)


def test_names_are_their_own():
    assert not set(EYE_CONTROLLERS) & set(CONTROLLERS)
    with pytest.raises(ValueError, match="lens-reflex"):
        make_controller("lens-nothing")


def test_what_is_passed_on_the_way_is_no_miss_of_a_climb():
    looks = ((5.0, 0.0), (7.0, 1.0), (5.0, 0.0))
    before = LensState(looks[:2], step_dpt=2.0, direction=-1.0, n_misses=1, target_dpt=3.0)
    there = LensState((*looks[:2], (3.0, 1.0)), step_dpt=2.0, direction=-1.0, n_misses=1, target_dpt=3.0)
    passing = LensState(looks, step_dpt=2.0, direction=-1.0, n_misses=1, target_dpt=3.0)
    assert climbed(before, passing, 0.25).step_dpt == 2.0
    assert climbed(before, there, 0.25).step_dpt == 1.0


def test_the_object_is_not_looked_for_beyond_a_look_that_was_clearly_worse():
    flat = np.zeros_like(OBJECT_DPT)
    told = within_bracket(flat, ((1.0, 0.5), (2.0, 0.1), (3.0, 0.11), (4.0, 0.3)))
    assert OBJECT_DPT[told == 0].min() == pytest.approx(1.0)
    assert OBJECT_DPT[told == 0].max() == pytest.approx(4.0)  # 3 dpt is as good as the best, but for noise
    np.testing.assert_array_equal(within_bracket(flat, ((1.0, 0.5),)), flat)


def test_a_pupil_climbs_to_where_its_term_is_least():
    scene = planes_scene((0.0,), size_px=(64, 80), px_per_deg=PX_PER_DEG)
    env = gym.make("Ciliary/Eye-v0", muscles=("pupil_mm",), scenes=scene, max_episode_steps=60, focus_dpt=0.0, **QUICK)
    trace = run_episode(env, make_controller("pupil-hill"), seed=0, n_trials=30)
    assert trace.theta["pupil_mm"][0] == pytest.approx(4.0, abs=1e-4)
    assert trace.terms["pupil"][trace.i_chosen] == trace.terms["pupil"].min()
    assert trace.terms["pupil"].min() < trace.terms["pupil"][0]


def test_a_search_moves_a_lens_one_look_at_a_time():
    trace = run_episode(focus_env(), make_controller("tpe", population=1), seed=0, n_trials=12)
    assert len(trace.u) == 12
    assert trace.terms["total"].min() < trace.terms["total"][0]


def test_the_pupil_answers_to_its_receptors():
    """Where it is dark it opens; where wells are full, of the same light, it closes; cones answer to that still."""
    plane = planes_scene((0.0,), size_px=(64, 80), px_per_deg=PX_PER_DEG)
    dark, light = (replace(plane, white_cd_m2=white) for white in (0.8, 800.0))
    came_to = {}
    for name, scene, receptor in (("dark", dark, "sensor"), ("light", light, "sensor"), ("cones", light, "cones")):
        env = gym.make("Ciliary/Eye-v0", muscles=("pupil_mm",), scenes=scene, focus_dpt=0.0, receptor=receptor, **QUICK)
        trace = run_episode(env, make_controller("pupil-response"), seed=0, n_trials=3)
        came_to[name] = trace.theta["pupil_mm"][-1]
    assert came_to["dark"] == pytest.approx(8.0, abs=1e-3)
    assert came_to["light"] <= came_to["cones"] < 4.0


@pytest.mark.parametrize("off_dpt", [-1.0, 1.0])
@pytest.mark.parametrize("noise", [False, True])
def test_down_the_slope_a_lens_comes_to_rest_at_a_plane(off_dpt, noise):
    env = focus_env(photon_noise=noise)
    trace = run_episode(
        env, make_controller("lens-gradient"), seed=0, options={"focus_dpt": 3.0 + off_dpt}, n_trials=30
    )
    assert trace.ending is Ending.CONVERGED
    assert abs(trace.theta["focus_dpt"][-1] - 3.0) <= 0.05
    assert error_of(env) <= 0.06  # of the look with the lowest total, under noise
    assert len(trace.u) <= 10


def test_lens_and_pupil_go_down_together_and_the_gaze_stays():
    scene = planes_scene((3.0,), size_px=(64, 80), px_per_deg=PX_PER_DEG)
    env = gym.make("Ciliary/Eye-v0", scenes=scene, max_episode_steps=60, **QUICK)
    trace = run_episode(env, make_controller("eye-gradient"), seed=0, options={"focus_dpt": 2.0}, n_trials=25)
    assert (trace.theta["gaze_x_deg"] == trace.theta["gaze_x_deg"][0]).all()
    assert abs(trace.theta["focus_dpt"][-1] - 3.0) <= 0.06
    assert trace.theta["pupil_mm"][-1] > 4.0  # in focus a wide pupil tells more
    assert trace.terms["total"].min() < trace.terms["total"][0] - 0.1


def test_who_descends_by_populations_is_told_to_go_by_steps():
    with pytest.raises(ValueError, match="lens-gradient"):
        run_episode(focus_env(), make_controller("gradient"), seed=0)
    with pytest.raises(ValueError, match="lens is free"):
        run_episode(gym.make("Ciliary/Gaze-v0", scenes="synthetic", **QUICK), make_controller("lens-gradient"), seed=0)
