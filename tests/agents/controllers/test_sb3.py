"""Policies of stable-baselines3 as a controller: the contract, a case worked by hand, and files that are none."""

from __future__ import annotations

import base64
import io
import json
import pickle
import sys
import zipfile
from collections import OrderedDict

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3
from stable_baselines3.common.save_util import data_to_json
from stable_baselines3.common.torch_layers import CombinedExtractor

from ciliary.agents import make_controller, run_episode
from ciliary.agents.controllers.sb3 import Sb3Controller, Sb3Policy, load_sb3
from ciliary.agents.controllers.sb3_file import _actions, _observations
from ciliary.cortex.parameters import ParameterTable
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


class Bomb:
    """Reading it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').write('run')",))


def rewritten(source, path, changes=None, files=None):
    """The zip with other entries of its description and other files."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        data = json.loads(old.read("data")) | (changes or {})
        for name in old.namelist():
            new.writestr(name, json.dumps(data) if name == "data" else (files or {}).get(name, old.read(name)))
    return path


def pickled(what, **said):
    return {":type:": "<class 'object'>", **said, ":serialized:": base64.b64encode(pickle.dumps(what)).decode()}


def test_a_strangers_zip_runs_nothing(zip_file, tmp_path):
    trap = tmp_path / "trap"
    data = json.loads(zipfile.ZipFile(zip_file).read("data"))
    obs = {"statistics": np.array(OPTIMUM), "terms": np.zeros(5), "u": np.zeros(4)}
    expected = load_sb3(zip_file).propose(obs)
    for entry in ("policy_class", "policy_kwargs", "observation_space", "action_space", "lr_schedule", "env", "gamma"):
        said = data.get(entry)
        bomb = (said if isinstance(said, dict) else {}) | {":serialized:": pickled(Bomb(trap))[":serialized:"]}
        bad = rewritten(zip_file, tmp_path / "bad.zip", {entry: bomb})
        np.testing.assert_array_equal(load_sb3(bad).propose(obs), expected)
        assert not trap.exists()
    for name in ("policy.pth", "pytorch_variables.pth"):
        buffer = io.BytesIO()
        torch.save({"x": Bomb(trap)}, buffer)
        for content in (buffer.getvalue(), pickle.dumps(Bomb(trap))):
            with pytest.raises(ValueError, match="cannot be read as a PPO policy"):
                load_sb3(rewritten(zip_file, tmp_path / "bad.zip", files={name: content}))
            assert not trap.exists()
    load_sb3(rewritten(zip_file, tmp_path / "bad.zip", {"gamma": pickled(Bomb(trap))}), trust=True)
    assert trap.exists()  # the trap works


class OwnExtractor(CombinedExtractor):
    """What a user may train with, and nobody else has."""


@pytest.mark.parametrize(
    "network",
    [
        {"activation_fn": torch.nn.ReLU, "net_arch": {"pi": [5], "vf": [3]}},
        {"features_extractor_class": CombinedExtractor, "log_std_init": -1.0, "net_arch": [3]},
    ],
)
def test_networks_of_the_library_are_read_without_trust(network, tmp_path):
    env = ToyEnv(n_parameters=3, is_context_visible=True)
    model = PPO("MultiInputPolicy", env, policy_kwargs=network, n_steps=2, batch_size=2, device="cpu", seed=1)
    model.save(tmp_path / "model.zip")
    obs, _ = env.reset(seed=0)
    expected = load_sb3(tmp_path / "model.zip", trust=True).propose(obs)
    np.testing.assert_array_equal(load_sb3(tmp_path / "model.zip").propose(obs), expected)


def test_parts_of_the_makers_own_need_trust(tmp_path):
    env = ToyEnv(n_parameters=3, is_context_visible=True)
    network = {"features_extractor_class": OwnExtractor, "net_arch": [3]}
    model = PPO("MultiInputPolicy", env, policy_kwargs=network, n_steps=2, batch_size=2, device="cpu", seed=1)
    model.save(tmp_path / "own.zip")
    with pytest.raises(ValueError, match=r"features_extractor_class .*OwnExtractor.*trust=True .*--trust"):
        run_episode(env, Sb3Controller(tmp_path / "own.zip"), 0)
    assert run_episode(env, Sb3Controller(tmp_path / "own.zip", trust=True), 0, guard=None).n_trials > 1
    foreign = rewritten(tmp_path / "own.zip", tmp_path / "foreign.zip", {"policy_class": pickled(1, __module__="mine")})
    with pytest.raises(ValueError, match="its policy class is its maker's own"):
        load_sb3(foreign)


def test_spaces_with_images_and_in_any_order_are_read_back():
    boxes = {
        "u": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32),
        "image": gymnasium.spaces.Box(0, 255, (3, 48, 48), np.uint8),
    }
    for space in (gymnasium.spaces.Dict(boxes), gymnasium.spaces.Dict(OrderedDict(boxes))):
        actions = gymnasium.spaces.Box(np.array([-1, -0.5], np.float32), np.float32(1), (2,), np.float32)
        said = json.loads(data_to_json({"o": space, "a": actions}))
        found = _observations(said["o"])
        assert list(found.spaces.items()) == list(space.spaces.items())
        assert _actions(said["a"]) == actions
    discrete = gymnasium.spaces.Dict(u=boxes["u"], n=gymnasium.spaces.Discrete(3))
    with pytest.raises(ValueError, match="dictionary of boxes"):
        _observations(json.loads(data_to_json({"o": discrete}))["o"])


def test_a_parameter_more_and_one_fewer(tmp_path):
    model = knowing(n=2)
    model.ciliary = {"names": ["a", "b"], "statistics": ["p", "q"]}
    model.save(tmp_path / "named.zip")
    table = ParameterTable.generic("xb")
    info = {"parameters": table, "default_u": np.array([0.6, 0], np.float32), "observed": {"statistics": ("q", "p")}}
    state = Sb3Controller(tmp_path / "named.zip").init({}, info, 0)
    assert state.policy.notes == (
        "parameters that the policy does not know keep their defaults: x",
        "parameters that the policy knows and are none here: a",
    )
    obs = {"statistics": np.array([0.2, -0.1]), "terms": np.zeros(5), "u": np.array([0.6, 0.0])}
    np.testing.assert_allclose(state.policy.propose(obs), [0.6, 0.2], atol=1e-6)


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
    with pytest.raises(ImportError, match=r"-m pip install .*\[rl\]'"):
        load_sb3(zip_file)


def test_without_a_policy_it_says_what_it_needs():
    with pytest.raises(ValueError, match="--policy"):
        run_episode(ToyEnv(n_parameters=4), make_controller("sb3"), 0)
    with pytest.raises(ValueError, match="n_steps"):
        make_controller("sb3", n_steps=0)
