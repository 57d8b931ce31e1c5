import gymnasium as gym
import numpy as np
import pytest

from ciliary.agents import make_controller, run_episode
from ciliary.agents.eye.arbiter import MEMORY, N_COMMANDS, Arbiter, settling_rule
from ciliary.agents.eye.gaze import CentreController, GridController, PriorityController
from ciliary.agents.eye.playing import Pilots, play_eyes
from ciliary.agents.eye.pupil import PupilFixedController
from ciliary.agents.eye.settle import SettleController
from ciliary.agents.eye.together import TogetherController
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.vector import EyeVectorEnv

SMALL = {"size_px": (64, 96), "width_deg": 10.0, "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}
PX_PER_DEG = 9.6


def strips(*distances_dpt, seed=0):
    return planes_scene(distances_dpt, seed=seed, size_px=(64, 96), px_per_deg=PX_PER_DEG)


def eyes(n, *scenes, **settings):
    return EyeVectorEnv(n, scenes=scenes or [strips(3.0)], **(SMALL | {"photon_noise": False} | settings))


def test_each_controller_moves_its_own_muscles():
    env = gym.make("Ciliary/Eye-v0", scenes=strips(2.0), photon_noise=False, patience=0, **SMALL)
    together = TogetherController(GridController(), None, PupilFixedController(pupil_mm=8.0))
    trace = run_episode(env, together, seed=0, n_trials=4, guard=None)
    alone = gym.make("Ciliary/Eye-v0", scenes=strips(2.0), photon_noise=False, patience=0, **SMALL)
    grid = run_episode(alone, GridController(), seed=0, n_trials=4, guard=None)
    np.testing.assert_allclose(trace.u[:, :2], grid.u[:, :2], atol=1e-6)
    np.testing.assert_allclose(trace.u[:, 2], trace.u[0, 2], atol=1e-6)  # the lens is left out
    np.testing.assert_allclose(trace.u[1:, 3], 1, atol=1e-6)  # 4 to 8 mm is one step


def test_the_lens_has_a_memory_for_each_place():
    envs = eyes(1, strips(1.5, 3.0, 4.5), patience=10**6)
    rule = TogetherController(CentreController(), pupil=None)
    obs, _ = envs.reset(seed=0)
    pilots = Pilots(envs, rule, 17)
    pilots.begin(obs, [0], 0)
    for _ in range(3):  # comes to focus in the middle
        obs, *_ = envs.step(pilots.actions(obs))
        pilots.learn(obs, [0])
    middle = pilots.states[0]
    at_middle = middle.parts["lens"].answer_dpt
    assert at_middle == pytest.approx(3.0, abs=0.2)
    obs, *_ = envs.step(np.array([[0.0, 2 / 3, 0.0, 0.0]]))  # a saccade to the strip on the right
    pilots.learn(obs, [0])
    elsewhere = pilots.states[0]
    assert len(elsewhere.parts["lens"].looks) == 1
    assert elsewhere.lens_at((0.0, 0.0)).answer_dpt == at_middle
    assert elsewhere.lens_at((0.0, -3.0)) is None
    info = pilots.rows.info(0)
    back = rule.lens_towards(elsewhere, np.array([0.0, 0.0, 0.0, 0.0]), obs, info)
    assert 5 * (back + 1) == pytest.approx(at_middle)  # it would go there in the very step of the saccade
    obs, *_ = envs.step(np.array([[0.0, 0.0, 0.0, 0.0]]))
    pilots.learn(obs, [0])
    assert len(pilots.states[0].parts["lens"].looks) == len(middle.parts["lens"].looks) + 1


def test_settling_goes_back_to_where_there_is_something_to_see():
    scene = strips(1.0)
    scene.light[:, :, 48:] = scene.light.mean()  # nothing on the right
    envs = eyes(1, scene, patience=10**6)
    settle = SettleController(GridController(), n_saccades=6)
    obs, _ = envs.reset(seed=0, options={"gaze": (0.0, 0.5)})
    pilots = Pilots(envs, TogetherController(settle, pupil=None), 13)
    pilots.begin(obs, [0], 0)
    gazes = []
    for _ in range(9):
        obs, *_ = envs.step(pilots.actions(obs))
        pilots.learn(obs, [0])
        gazes.append(tuple(np.round(envs.world.u[0, :2], 4)))
    assert len(set(gazes[:6])) == 6
    assert set(gazes[6:]) <= set(gazes[:6])
    assert len(set(gazes[6:])) == 1
    assert gazes[-1][1] < 0


def test_who_stays_still_pays_for_three_looks_and_is_told_so():
    still = TogetherController(None, None, None)
    played = play_eyes(eyes(2), still, [0, 0, 0])
    np.testing.assert_array_equal(played.n_steps, 3)  # patience
    np.testing.assert_allclose(played.gain, -3 * 0.005, atol=1e-9)
    np.testing.assert_array_equal(played.degrees, 0)
    np.testing.assert_allclose(played.defocus_dpt, 2.0, atol=1e-6)


def test_many_eyes_are_each_played_as_alone():
    scenes = [strips(2.0, seed=1), strips(4.0, 1.0, 3.0, seed=2), strips(0.5, seed=3)]
    rule = settling_rule(3)
    together = play_eyes(eyes(2, *scenes, photon_noise=True), rule, [0, 1, 2], seed=5, n_steps=6)
    for i in range(3):
        alone = play_eyes(eyes(1, *scenes, photon_noise=True), rule, [i], seed=5 + i, n_steps=6)
        assert alone.gain[0] == pytest.approx(together.gain[i], abs=1e-5)
    fall = together.before["total"] - together.after["total"]
    costs = 0.005 * together.n_steps + 0.001 * together.degrees
    np.testing.assert_allclose(together.gain, fall - costs, atol=1e-6)


def test_commands_reach_new_places_and_known_ones_and_the_rules_own_do_what_it_does():
    arbiter, envs = Arbiter(settling_rule(4)), eyes(1, strips(2.0, 4.0, 1.0))
    obs, _ = envs.reset(seed=0)
    pilots = Pilots(envs, arbiter.rule, 17)
    pilots.begin(obs, [0], 0)
    one = {name: values[0] for name, values in obs.items()}
    info = pilots.rows.info(0)
    state = arbiter.learn(arbiter.init(one, info, 0), envs.world.u, one, info)
    new = arbiter.setting(state, np.array([1.0, 0.5, 0.0, 0.0, 0.0, 0.25]), one, info)
    np.testing.assert_allclose(new[:2], arbiter.new_place(state, one, 0.5), atol=1e-6)
    assert new[3] == 0.25
    held = arbiter.setting(state, np.array([-1.0, 0.0, 0.0, 0.0, -1.0, 0.0]), one, info)
    np.testing.assert_allclose(held[:2], state.gaze.path[-1], atol=1e-6)  # the one place that it knows
    assert held[2] == pytest.approx(float(envs.world.u[0, 2]), abs=1e-6)
    for _ in range(8):
        command = arbiter.rule_command(state)
        assert command.shape == (N_COMMANDS,)
        one, info = {name: values[0] for name, values in obs.items()}, pilots.rows.info(0)
        assert arbiter.memory(state, one, info).shape == (len(MEMORY),)
        wanted = arbiter.setting(state, command, one, info)
        own = pilots.actions(obs)
        np.testing.assert_allclose(envs.world.action_towards(wanted[None]), own, atol=1e-5)
        obs, *_ = envs.step(own)
        pilots.learn(obs, [0])
        one, info = {name: values[0] for name, values in obs.items()}, pilots.rows.info(0)
        state = arbiter.learn(state, envs.world.u, one, info)


def test_a_preference_for_near_places_shortens_saccades():
    told = np.full((1, 36, 48), 10.0)
    told[0, 18, 45], told[0, 18, 28] = 255.0, 200.0
    _, far = PriorityController().next_place((0.0, 0.0), {"priority": told})
    _, near = PriorityController(nearness=0.5).next_place((0.0, 0.0), {"priority": told})
    assert far > 0.8
    assert 0 < near < 0.25
    with pytest.raises(ValueError, match="nearness"):
        PriorityController(nearness=0.0)


@pytest.mark.parametrize("name", ["eye-random", "eye-reflex", "eye-settle"])
def test_registered_rules_play_in_the_one_loop(name):
    def trace():
        env = gym.make("Ciliary/Eye-v0", scenes=strips(2.0), **SMALL)
        return run_episode(env, make_controller(name), seed=1, n_trials=5)

    first = trace()
    assert np.abs(first.u).max() <= 1
    np.testing.assert_array_equal(first.u, trace().u)


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="n_saccades"):
        SettleController(n_saccades=0)
    env = gym.make("Ciliary/Focus-v0", scenes=strips(2.0), **SMALL)
    with pytest.raises(ValueError, match="Eye-v0"):
        run_episode(env, TogetherController(None, None), seed=0)
