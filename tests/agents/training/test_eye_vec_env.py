import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from ciliary.agents.eye.arbiter import MEMORY, N_COMMANDS, Arbiter, settling_rule
from ciliary.agents.eye.playing import STARTS, play_eyes, play_from
from ciliary.agents.training.eye_vec_env import EyeVecEnv
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.vector import EyeVectorEnv

SMALL = {"size_px": (64, 96), "width_deg": 10.0, "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}


def eyes(n, **settings):
    scene = planes_scene((2.0, 4.0, 1.0), size_px=(64, 96), px_per_deg=9.6)
    return EyeVectorEnv(n, scenes=[scene], photon_noise=False, **(SMALL | {"max_episode_steps": 6} | settings))


def test_the_rules_commands_earn_what_the_rule_earns():
    rule = settling_rule(3)
    wanted = play_eyes(eyes(1, patience=99), rule, [0], n_steps=6).gain[0]
    envs = EyeVecEnv(eyes(2, patience=99), Arbiter(rule), n_looks=7)
    envs.reset()
    gain = np.zeros(2)
    for step in range(6):
        _, rewards, dones, infos = envs.step(np.zeros((2, N_COMMANDS), dtype=np.float32))
        gain += rewards
        assert dones.all() == (step == 5)
    np.testing.assert_allclose(gain, wanted, atol=1e-5)
    assert not infos[0]["TimeLimit.truncated"]
    assert infos[0]["terminal_observation"]["time"] == pytest.approx(6 / 16)
    assert len(envs.states[0].resolved) == 1  # the next episode has begun, with a memory of its own


def test_observations_have_the_memory_and_maps_only_if_wanted():
    envs = EyeVecEnv(eyes(2), Arbiter(settling_rule(3)))
    obs = envs.reset()
    assert obs.keys() == {"eye", "statistics", "time", "memory", "terms"}
    assert envs.observation_space.contains({name: values[0] for name, values in obs.items()})
    assert obs["memory"].shape == (2, len(MEMORY))
    assert np.isfinite(obs["memory"]).all()
    raw = {"eye", "statistics", "time", "glance", "priority", "terms"}
    assert EyeVecEnv(eyes(1), None, has_maps=True).reset().keys() == raw


def test_without_an_arbiter_actions_are_the_environments():
    envs, plain = EyeVecEnv(eyes(1), None), eyes(1)
    envs.seed(0)
    envs.reset()
    plain.reset(seed=0)
    action = np.array([[0.3, -0.2, 0.5, -0.5]], dtype=np.float32)
    _, reward, _, _ = envs.step(action)
    assert reward[0] == pytest.approx(plain.step(action)[1][0], abs=1e-6)
    assert envs.action_space.shape == (4,)


def test_from_several_starts_the_mean_of_each_scene_is_told():
    rule = settling_rule(3)
    both = play_from(eyes(1), rule, [0], n_starts=2, n_steps=4)
    each = [play_eyes(eyes(1), rule, [0], seed=1000 * k, n_steps=4, gaze=STARTS[k]) for k in range(2)]
    assert each[0].gain[0] != each[1].gain[0]
    np.testing.assert_allclose(both.gain, np.mean([one.gain for one in each], 0))
    np.testing.assert_allclose(both.after["gaze"], np.mean([one.after["gaze"] for one in each], 0))
    with pytest.raises(ValueError, match="starts"):
        play_from(eyes(1), rule, [0], n_starts=99)
