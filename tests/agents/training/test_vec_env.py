"""Our episodes as stable-baselines3 meets them, beside its own way of stepping single environments one by one."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from ciliary.agents.training.vec_env import AccommodationVecEnv
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.sources import scenes
from ciliary.envs.single import AccommodationEnv
from ciliary.envs.vector import AccommodationVectorEnv

E, N_STEPS = 2, 2
COMMON = {
    "source": scenes(seeds=[0], kinds=["discs", "stripes"], size=(48, 48)),
    "disturbances": (None, "fog:2", "gaussian_noise:3"),
    "shape_px": (48, 48),
    "objective": "raw",
    "n_views": 1,
}


def ours(n_envs=E, n_steps=N_STEPS, **more):
    return AccommodationVecEnv(AccommodationVectorEnv(n_envs, max_episode_steps=n_steps, **COMMON), **more)


def theirs():
    return DummyVecEnv([lambda: TimeLimit(AccommodationEnv(**COMMON), N_STEPS) for _ in range(E)])


def assert_same_batch(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=2e-5 if name != "image" else 0, err_msg=name)


@pytest.mark.slow
def test_equals_single_environments_over_two_ends_of_an_episode():
    mine, single = ours(), theirs()
    assert mine.observation_space == single.observation_space
    assert mine.action_space == single.action_space
    mine.seed(5)
    single.seed(5)
    assert_same_batch(mine.reset(), single.reset())
    rng = np.random.default_rng(0)
    for i_step in range(2 * N_STEPS):
        actions = rng.uniform(-1, 1, (E, mine.action_space.shape[0])).astype(np.float32)
        (obs, rewards, dones, infos), expected = mine.step(actions), single.step(actions)
        assert_same_batch(obs, expected[0])
        np.testing.assert_allclose(rewards, expected[1], atol=2e-5)
        assert rewards.dtype == expected[1].dtype
        np.testing.assert_array_equal(dones, expected[2])
        assert dones.all() == ((i_step + 1) % N_STEPS == 0)
        for info, other in zip(infos, expected[3], strict=True):
            assert info["TimeLimit.truncated"] == other["TimeLimit.truncated"]
            assert info["context_id"] == other["context_id"]
            assert info["terms"] == pytest.approx(other["terms"], abs=2e-5)
            assert ("terminal_observation" in info) == ("terminal_observation" in other)
            if "terminal_observation" in other:
                assert_same_batch(info["terminal_observation"], other["terminal_observation"])


def test_first_observation_of_an_episode_is_at_the_defaults_and_the_last_one_is_kept():
    envs = VecMonitor(ours(n_steps=1))
    envs.seed(0)
    envs.reset()
    total = 0.0
    obs, rewards, dones, infos = envs.step(np.ones((E, len(PARAMETERS)), np.float32))
    total += rewards[0]
    assert dones.all()
    np.testing.assert_array_equal(obs["u"], np.tile(envs.get_attr("default_u")[0], (E, 1)))
    assert (infos[0]["terminal_observation"]["u"] >= obs["u"][0]).all()
    assert infos[0]["episode"]["l"] == 1
    assert infos[0]["episode"]["r"] == pytest.approx(total)


def test_only_the_entries_asked_for():
    envs = ours(n_envs=1, keys=("statistics", "u"))
    assert set(envs.reset()) == set(envs.observation_space.spaces) == {"statistics", "u"}
    obs, _, _, _ = envs.step(np.zeros((1, len(PARAMETERS)), np.float32))
    assert set(obs) == {"statistics", "u"}
    with pytest.raises(ValueError, match="entries"):
        ours(n_envs=1, keys=("smell",))


def test_reset_seed_brings_the_same_episodes_back():
    envs = ours(reset_seed=3)
    first = envs.reset()
    contexts = [info["context_id"] for info in envs.reset_infos]
    envs.step(np.ones((E, len(PARAMETERS)), np.float32))
    assert_same_batch(first, envs.reset())
    assert [info["context_id"] for info in envs.reset_infos] == contexts


def test_reset_options_go_to_all_copies_once():
    envs = ours()
    envs.set_options({"image": 1, "disturbance": None})
    envs.reset()
    assert {info["context_id"] for info in envs.reset_infos} == {"stripes_0/none"}
    envs.set_options([{"image": 0}, {"image": 1}])
    with pytest.raises(ValueError, match="same reset options"):
        envs.reset()


def test_attributes_and_methods():
    envs = ours()
    assert envs.get_attr("max_episode_steps") == [N_STEPS] * E
    assert envs.get_attr("max_episode_steps", 0) == [N_STEPS]
    envs.set_attr("max_episode_steps", 7)
    assert envs.env_method("__getattribute__", "max_episode_steps") == [7, 7]
    assert envs.env_is_wrapped(TimeLimit) == [False] * E
    with pytest.raises(ValueError, match="all 2 copies"):
        envs.set_attr("max_episode_steps", 7, indices=0)
    with pytest.raises(ValueError, match="step_async"):
        envs.step_wait()
