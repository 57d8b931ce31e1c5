"""Every id by Gymnasium's own vector forms, copy by copy here and each in a process of its own: the same worlds.

That the forms of one pass are these, too, is in ``test_vector.py`` and ``eye/test_eye_vector.py``.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

EYE = {"scenes": "synthetic", "size_px": (48, 64), "window_px": 32, "n_layers": 2}
PHOTOGRAPH = {"perceiver": "watershed", "objective": "raw", "source": "coffee", "size_px": 48}
SETTINGS = {
    "Ciliary/Toy-v0": {},
    "Ciliary/Accommodation-v0": PHOTOGRAPH,
    "Ciliary/Focus-v0": EYE,
    "Ciliary/Gaze-v0": EYE,
    "Ciliary/Eye-v0": EYE,
}


def played(env_id, mode, **more):
    """Rewards and infos of a few steps of two copies, and whether observations were in their space."""
    envs = gym.make_vec(f"ciliary.envs:{env_id}", num_envs=2, vectorization_mode=mode, **SETTINGS[env_id], **more)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    obs, info = envs.reset(seed=5)
    assert envs.observation_space.contains(obs)
    envs.action_space.seed(0)
    steps = [(np.zeros(2), info)]
    for _ in range(3):
        obs, paid, _, _, info = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(obs)
        steps.append((paid, info))
    envs.close()
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("env_id", SETTINGS)
def test_in_processes_as_one_by_one(env_id):
    apart, spawned = played(env_id, "sync"), played(env_id, "async", vector_kwargs={"context": "spawn"})
    for (paid, info), (as_paid, as_info) in zip(apart, spawned, strict=True):
        np.testing.assert_array_equal(paid, as_paid)
        np.testing.assert_array_equal(info["terms"]["total"], as_info["terms"]["total"])
        assert set(info) == set(as_info)
        assert info["_terms"].tolist() == [True, True]


def test_the_toy_has_the_synchronous_form():
    assert len(played("Ciliary/Toy-v0", "sync")) == len(played("Ciliary/Toy-v0", None)) == 4
