import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO

from ciliary.agents.eye.arbiter import Arbiter, settling_rule
from ciliary.agents.training.eye_vec_env import EyeVecEnv
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.vector import EyeVectorEnv
from ciliary.tuning.eye.learning import new_ppo, policy_of, teach

SMALL = {"size_px": (64, 96), "width_deg": 10.0, "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}


def eyes(arbiter, **more):
    scene = planes_scene((2.0, 4.0, 1.0), size_px=(64, 96), px_per_deg=9.6)
    return EyeVecEnv(EyeVectorEnv(2, scenes=[scene], max_episode_steps=5, **SMALL), arbiter, **more)


def test_what_is_taught_begins_as_the_rule_and_what_is_kept_acts_as_the_model(tmp_path):
    envs = eyes(Arbiter(settling_rule(3)))
    model = new_ppo(envs, seed=0, has_maps=False)
    gain = teach(model, envs, 4, seed=0)
    assert np.isfinite(gain)
    obs = envs.reset()
    commands, _ = model.predict(obs, deterministic=True)
    np.testing.assert_array_equal(commands, 0)  # it begins as the rule
    torch.nn.init.constant_(model.policy.action_net.bias, 0.2)
    commands, _ = model.predict(obs, deterministic=True)
    policy = policy_of(model, {"seed": 0})
    first = {name: values[0] for name, values in obs.items()}
    np.testing.assert_allclose(policy.command(first), commands[0].clip(-1, 1), atol=1e-5)
    assert "terms" not in policy.network.shape.vectors  # the critic's alone
    model.save(tmp_path / "model.zip")
    again = PPO.load(tmp_path / "model.zip", env=envs)
    np.testing.assert_allclose(again.predict(obs, deterministic=True)[0], commands, atol=1e-6)


def test_from_scratch_it_sees_pixels_and_moves_muscles():
    envs = eyes(None, has_maps=True)
    policy = policy_of(new_ppo(envs, seed=0, has_maps=True), {})
    assert policy.network.shape.has_maps
    assert not policy.is_arbiter
    assert policy.command({name: values[0] for name, values in envs.reset().items()}).shape == (4,)
