"""Policies of stable-baselines3 as a controller: the contract, a case worked by hand, and files that are none."""

from __future__ import annotations

import json
import sys
import zipfile

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3

from ciliary.agents import make_controller, run_episode
from ciliary.agents.controllers.sb3 import Sb3Controller, Sb3Policy, load_sb3
from ciliary.envs.dynamics import Rules
from ciliary.envs.toy import ToyEnv
from ciliary.testing.controller import ControllerContract, CountingToy

OPTIMUM = [0.7, -0.45, 0.25, -0.1]
MAX_STEP = 0.25


def knowing(max_step=MAX_STEP, gain=1.0, n=4):
    """A linear PPO policy that knows the toy: u' = u + clip(gain * (statistics - u), -max_step, max_step)."""
    env = ToyEnv(n_parameters=n, is_context_visible=True, max_step=max_step)
    model = PPO("MultiInputPolicy", env, n_steps=2, batch_size=2, policy_kwargs={"net_arch": []}, seed=0, device="cpu")
    with torch.no_grad():
        model.policy.action_net.bias.zero_()
        weight = model.policy.action_net.weight.zero_()
        for i in range(n):  # features in the order statistics, terms, u
            weight[i, i], weight[i, n + 5 + i] = gain / max_step, -gain / max_step
    return model


@pytest.fixture(scope="module")
def zip_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("zips") / "knowing.zip"
    knowing().save(path)
    return path


@pytest.fixture(scope="module")
def slow_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("zips") / "slow.zip"
    knowing(gain=0.15).save(path)
    return path


class TestContract(ControllerContract):
    is_seedless = True

    @pytest.fixture
    def controller(self, slow_file):
        """Slow enough that the toy does not end the episode because nothing moves any more."""
        return Sb3Controller(slow_file, n_steps=50)

    @pytest.fixture(autouse=True)
    def _visible(self, monkeypatch):
        """The toy shows its optimum, as it did when the policy learned."""
        init = CountingToy.__init__
        monkeypatch.setattr(CountingToy, "__init__", lambda *a, **k: init(*a, **({"is_context_visible": True} | k)))

    def by_hand(self, controller, losses):
        """As the contract does, with something to look at."""
        obs = {"statistics": np.full(4, 0.5), "terms": np.zeros(5), "u": np.zeros(4, np.float32)}
        info = {"default_u": np.zeros(4, np.float32)}
        state, seen = controller.init(obs, info, 0), []
        while len(seen) < len(losses) and not controller.is_done(state):
            u, state = controller.act(state, obs, info)
            state = controller.learn(state, u, obs, {**info, "terms": {"total": np.array([losses[len(seen)]])}})
            obs = {**obs, "u": u[0]}
            seen.append(u[0])
        return np.array(seen)

    def test_guard_falls_back_when_the_gain_is_noise(self, controller):
        """It looks at the optimum and not at the loss: where the default is the best it stays, whatever the noise."""
        trace = self.run(controller, 0, CountingToy(noise_std=0.2), options={"optimum": [0.0] * 4})
        np.testing.assert_allclose(trace.u, 0, atol=1e-6)


@pytest.mark.parametrize("action_mode", ["absolute", "delta"])
def test_delta_actions_become_settings(zip_file, action_mode):
    env = ToyEnv(n_parameters=4, is_context_visible=True, action_mode=action_mode)
    trace = run_episode(env, Sb3Controller(zip_file), 0, {"optimum": OPTIMUM})
    expected = np.array([np.clip(OPTIMUM, -MAX_STEP * k, MAX_STEP * k) for k in range(5)])
    np.testing.assert_allclose(trace.u, expected, atol=1e-6)
    assert trace.n_trials == 5
    np.testing.assert_allclose(trace.u_chosen, OPTIMUM, atol=1e-6)


def test_the_zip_says_what_its_actions_mean(tmp_path):
    model = knowing(max_step=1.0)
    model.ciliary = {"action_mode": "delta", "max_step": 1.0, "objective": "raw"}
    model.save(tmp_path / "wide.zip")
    policy = load_sb3(tmp_path / "wide.zip")
    assert policy.rules == Rules("delta", 1.0)
    assert policy.about["objective"] == "raw"
    obs = {"statistics": np.array(OPTIMUM), "terms": np.zeros(5), "u": np.zeros(4)}
    np.testing.assert_allclose(policy.propose(obs), OPTIMUM, atol=1e-6)

    absolute = Sb3Policy(policy.model, Rules("absolute"))
    np.testing.assert_allclose(absolute.propose(obs), OPTIMUM, atol=1e-6)
    np.testing.assert_allclose(absolute.propose({**obs, "u": np.full(4, 0.1)}), np.array(OPTIMUM) - 0.1, atol=1e-6)


@pytest.mark.parametrize("algorithm", [PPO, A2C, SAC, TD3, DDPG])
def test_any_algorithm_with_continuous_actions(algorithm, tmp_path):
    env = ToyEnv(n_parameters=3, is_context_visible=True)
    few = (
        {"buffer_size": 4}
        if algorithm in (SAC, TD3, DDPG)
        else {"n_steps": 2} | ({"batch_size": 2} if algorithm is PPO else {})
    )
    model = algorithm("MultiInputPolicy", env, policy_kwargs={"net_arch": [4]}, device="cpu", seed=1, **few)
    model.save(tmp_path / "model.zip")
    policy = load_sb3(tmp_path / "model.zip")
    obs, _ = env.reset(seed=0)
    action, _ = model.predict(obs, deterministic=True)
    np.testing.assert_allclose(policy.propose(obs), np.clip(0.25 * action, -1, 1), atol=1e-6)


def test_sampled_actions_follow_the_seed_and_leave_other_generators_alone(zip_file):
    def play(seed, is_deterministic=False):
        env = ToyEnv(n_parameters=4, is_context_visible=True, action_mode="absolute")
        controller = Sb3Controller(zip_file, is_deterministic=is_deterministic)
        return run_episode(env, controller, seed, {"optimum": OPTIMUM}).u

    before, before_numpy = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(play(1), play(1))
    assert not np.array_equal(play(1), play(2))
    assert not np.array_equal(play(1), play(1, is_deterministic=True))
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], before_numpy)  # noqa: NPY002


def test_another_world_is_refused_in_words(zip_file):
    env = ToyEnv(n_parameters=5, is_context_visible=True)
    with pytest.raises(ValueError, match=r"trained on observations .*'statistics': \(4,\).*5 parameters"):
        run_episode(env, Sb3Controller(zip_file), 0)


def test_files_that_are_no_policy(tmp_path, monkeypatch, zip_file):
    with pytest.raises(FileNotFoundError, match="train_policy"):
        load_sb3(tmp_path / "none.zip")
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no model saved by stable-baselines3"):
        load_sb3(bad)
    for data, words in ((None, "no model saved"), ([], "data is a list"), ({"exploration_rate": 1}, "PPO, SAC, TD3")):
        with zipfile.ZipFile(bad, "w") as archive:
            archive.writestr("data" if data is not None else "x", json.dumps(data))
        with pytest.raises(ValueError, match=words):
            load_sb3(bad)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("data", json.dumps({"clip_range": 1}))
    with pytest.raises(ValueError, match="cannot be read as a PPO policy"):
        load_sb3(bad)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(ImportError, match=r"pip install 'ciliary\[rl\]'"):
        load_sb3(zip_file)


def test_without_a_policy_it_says_what_it_needs():
    with pytest.raises(ValueError, match="--policy"):
        run_episode(ToyEnv(n_parameters=4), make_controller("sb3"), 0)
    with pytest.raises(ValueError, match="n_steps"):
        make_controller("sb3", n_steps=0)
