"""A training goes on from plain tensors, arrays and numbers; what is pickled beside them is not run."""

from __future__ import annotations

import base64
import json
import pickle
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")
from stable_baselines3.common.buffers import DictReplayBuffer  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: E402

from ciliary.tuning.training import rl_learning as learning  # noqa: E402
from ciliary.tuning.training.going_on import restore, restore_buffer, save_buffer  # noqa: E402
from ciliary.tuning.training.settings import RlSettings  # noqa: E402
from ciliary_tests.toy_worlds import toys  # noqa: E402


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_model_made_anew_becomes_the_one_that_was_saved(tmp_path, algo):
    settings = RlSettings(algo=algo, out=tmp_path, n_steps=32, n_envs=2)
    model = learning.new_model(settings, toys(DummyVecEnv, 2, settings))
    model.learn(64)
    model.save(tmp_path / "model.zip")
    other = learning.new_model(RlSettings(algo=algo, out=tmp_path, n_steps=32, n_envs=2, seed=5), model.get_env())
    restore(other, tmp_path / "model.zip")
    assert (other.num_timesteps, other._n_updates) == (model.num_timesteps, model._n_updates)
    assert other._n_updates > 0
    for name, theirs in model.get_parameters().items():
        ours = other.get_parameters()[name]
        assert _same(ours, theirs), name
    if algo == "sac":  # the temperature that the optimiser moves, not a copy of it
        assert torch.equal(other.log_ent_coef, model.log_ent_coef)
        assert other.ent_coef_optimizer.param_groups[0]["params"][0] is other.log_ent_coef


def _same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def test_what_a_stranger_pickled_into_a_checkpoint_does_not_run(tmp_path):
    settings = RlSettings(algo="sac", out=tmp_path, n_steps=32, n_envs=2)
    model = learning.new_model(settings, toys(DummyVecEnv, 2, settings))
    model.save(tmp_path / "honest.zip")
    sign = tmp_path / "it_ran"
    evil, weights = tmp_path / "policy_16_steps.zip", tmp_path / "weights.zip"
    bomb = pickle.dumps(Bomb(sign))
    with zipfile.ZipFile(tmp_path / "honest.zip") as old, zipfile.ZipFile(evil, "w") as new:
        data = json.loads(old.read("data"))
        data["lr_schedule"] = {":type:": "function", ":serialized:": base64.b64encode(bomb).decode()}
        for name in old.namelist():
            new.writestr(name, json.dumps(data) if name == "data" else old.read(name))
    (tmp_path / "policy_replay_buffer_16_steps.pkl").write_bytes(bomb)
    (tmp_path / "policy_replay_buffer_16_steps.npz").write_bytes(bomb)
    with pytest.raises(ValueError, match=r"policy_replay_buffer_16_steps.npz holds no experience"):
        learning.load_checkpoint(settings, evil, model.get_env())
    (tmp_path / "policy_replay_buffer_16_steps.npz").unlink()
    learning.load_checkpoint(settings, evil, model.get_env())
    with zipfile.ZipFile(evil) as old, zipfile.ZipFile(weights, "w") as new:
        for name in old.namelist():
            new.writestr(name, bomb if name == "policy.pth" else old.read(name))
    with pytest.raises(ValueError, match=r"weights.zip is no checkpoint of this training"):
        restore(model, weights)
    assert not sign.exists()
    pickle.loads(bomb).close()  # it would have
    assert sign.exists()


def buffer_of(n, size, settings, tmp_path):
    envs = toys(DummyVecEnv, 2, settings)
    buffer = DictReplayBuffer(2 * size, envs.observation_space, envs.action_space, n_envs=2)
    for i in range(n):
        seen = {k: np.full((2, *s.shape), i, s.dtype) for k, s in envs.observation_space.items()}
        action = np.full((2, *envs.action_space.shape), i, np.float32)
        buffer.add(seen, seen, action, np.full(2, i), np.zeros(2), [{}, {"TimeLimit.truncated": i % 2 == 1}])
    save_buffer(buffer, tmp_path / "held.npz")
    return buffer, DictReplayBuffer(2 * size, envs.observation_space, envs.action_space, n_envs=2)


@pytest.mark.parametrize("n", [0, 3, 5, 8])
def test_experience_comes_back_oldest_first(tmp_path, n):
    settings = RlSettings(algo="sac", out=tmp_path)
    old, new = buffer_of(n, 5, settings, tmp_path)
    restore_buffer(new, tmp_path / "held.npz")
    n_held = min(n, 5)
    assert new.size() == old.size() == n_held
    assert new.rewards[:n_held, 0].tolist() == list(range(n - n_held, n))
    assert new.timeouts[:n_held, 1].tolist() == [i % 2 for i in range(n - n_held, n)]
    for key, x in new.next_observations.items():
        expected = np.arange(n - n_held, n).reshape(-1, *[1] * (x.ndim - 1))
        assert (x[:n_held] == expected).all(), key


def test_a_smaller_buffer_keeps_the_latest(tmp_path):
    settings = RlSettings(algo="sac", out=tmp_path)
    buffer_of(8, 8, settings, tmp_path)
    (tmp_path / "other").mkdir()
    _, small = buffer_of(0, 3, settings, tmp_path / "other")
    restore_buffer(small, tmp_path / "held.npz")
    assert small.rewards[:, 0].tolist() == [5, 6, 7]
    assert small.full
    assert small.pos == 0


def test_other_files_are_named(tmp_path):
    settings = RlSettings(algo="ppo", out=tmp_path, n_envs=2)
    model = learning.new_model(settings, toys(DummyVecEnv, 2, settings))
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r"text.zip is no checkpoint of this training .* move it away"):
        restore(model, tmp_path / "text.zip")
    other = learning.new_model(
        RlSettings(algo="ppo", out=tmp_path, n_envs=2, hidden=(3,)), toys(DummyVecEnv, 2, settings)
    )
    other.save(tmp_path / "other.zip")
    with pytest.raises(ValueError, match=r"other.zip is no checkpoint"):
        restore(model, tmp_path / "other.zip")
    with pytest.raises(ValueError, match="is no checkpoint"):
        restore(model, tmp_path / "nothing.zip")
