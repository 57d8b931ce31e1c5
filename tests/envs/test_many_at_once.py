"""Every id by every form of ``make_vec``: the same worlds, one way of beginning again, and infos with their masks."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

EYE = {"scenes": "synthetic", "size_px": (48, 64), "window_px": 32, "n_layers": 2, "photon_noise": False}
PHOTOGRAPH = {"perceiver": "watershed", "objective": "raw", "source": "coffee", "shape_px": (48, 64)}
SETTINGS = {
    "Ciliary/Toy-v0": {},
    "Ciliary/Accommodation-v0": PHOTOGRAPH,
    "Ciliary/Focus-v0": EYE,
    "Ciliary/Gaze-v0": EYE,
    "Ciliary/Eye-v0": EYE,
}


def played(env_id, mode, n_steps=3, **more):
    """Observations, rewards and infos of a few steps of two copies, of which each is cut off after two."""
    envs = gym.make_vec(f"ciliary.envs:{env_id}", num_envs=2, vectorization_mode=mode, **SETTINGS[env_id], **more)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    obs, info = envs.reset(seed=5)
    assert envs.observation_space.contains(obs)
    envs.action_space.seed(0)
    steps = [(obs, np.zeros(2), np.zeros(2, bool), info)]
    for _ in range(n_steps):
        obs, paid, terminated, truncated, info = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(obs)
        steps.append((obs, paid, terminated | truncated, info))
    envs.close()
    return steps


@pytest.mark.parametrize("env_id", [name for name in SETTINGS if "Toy" not in name])
def test_in_one_pass_as_one_by_one(env_id):
    """``spawn`` costs a process that imports torch: the asynchronous form, which runs the same class, is a slow test."""
    together, apart = played(env_id, "vector_entry_point"), played(env_id, "sync")
    for (obs, paid, _, info), (other, as_paid, _, as_info) in zip(together, apart, strict=True):
        np.testing.assert_allclose(paid, as_paid, atol=1e-5)
        np.testing.assert_allclose(info["terms"]["total"], as_info["terms"]["total"], atol=1e-5)
        assert set(info) == set(as_info)
        assert info["_terms"].tolist() == as_info["_terms"].tolist() == [True, True]
        for name in obs:
            np.testing.assert_allclose(obs[name].astype(float), other[name].astype(float), atol=1.01)


@pytest.mark.parametrize("env_id", SETTINGS)
def test_the_step_after_an_end_begins_anew_and_pays_nothing(env_id):
    mode = "sync" if "Toy" in env_id else "vector_entry_point"
    more = {} if "Toy" in env_id else {"max_episode_steps": 2}
    if mode == "sync":
        spec = gym.spec(env_id)
        spec.max_episode_steps = 2
        envs = gym.make_vec(spec, num_envs=2, vectorization_mode=mode)
        envs.reset(seed=5)
        steps = [envs.step(np.zeros(envs.action_space.shape, np.float32)) for _ in range(3)]
        overs, pays = [(s[2] | s[3]).tolist() for s in steps], [s[1] for s in steps]
    else:
        steps = played(env_id, mode, **more)[1:]
        overs, pays = [s[2].tolist() for s in steps], [s[1] for s in steps]
    assert overs == [[False, False], [True, True], [False, False]]
    assert (pays[2] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("env_id", SETTINGS)
def test_in_processes_as_one_by_one(env_id):
    apart, spawned = played(env_id, "sync"), played(env_id, "async", vector_kwargs={"context": "spawn"})
    for (_, paid, _, info), (_, as_paid, _, as_info) in zip(apart, spawned, strict=True):
        np.testing.assert_array_equal(paid, as_paid)
        assert set(info) == set(as_info)
