"""Policies in the model registry: versions, provenance, and the same proposals when they come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from ciliary.agents.controllers.network import NetworkShape, PolicyNetwork
from ciliary.agents.controllers.policy import Policy
from ciliary.envs.toy import ToyEnv
from ciliary.tuning.runs.registry import find_policy, load_registered, open_policy, register_policy
from ciliary.tuning.runs.store import open_store

P = 3
OBSERVATIONS = {
    "statistics": np.linspace(-1, 1, 2 * P).reshape(2, P).astype(np.float32),
    "terms": np.zeros((2, 5), np.float32),
    "u": np.full((2, P), 0.25, np.float32),
}


@pytest.fixture
def tensors(tmp_path) -> Path:
    path = tmp_path / "policy.safetensors"
    network = PolicyNetwork(NetworkShape(P, P, 5, has_image=False)).eval().requires_grad_(False)
    network.head.weight.normal_(std=0.5)
    path.write_bytes(Policy(network, {"algo": "gradient", "objective": "raw", "cases": 3}).to_bytes())
    return path


@pytest.fixture
def zipped(tmp_path) -> Path:
    env = ToyEnv(n_parameters=P)
    model = PPO("MultiInputPolicy", env, n_steps=2, batch_size=2, policy_kwargs={"net_arch": [4]}, device="cpu")
    model.ciliary = {"algo": "ppo", "objective": "raw", "shape_px": [64, 96], "max_step": 0.5}
    model.save(tmp_path / "policy.zip")
    return tmp_path / "policy.zip"


@pytest.mark.parametrize("kind", ["tensors", "zipped"])
def test_what_comes_back_is_what_was_registered(kind, out, request, tmp_path):
    path = request.getfixturevalue(kind)
    store = open_store(out, experiment="policies")
    assert register_policy(store, path, "eye") == 1
    assert load_registered(store, "eye", 1).read_bytes() == path.read_bytes()
    assert find_policy("models:/eye/1", out).read_bytes() == path.read_bytes()
    assert find_policy(Path("models:/eye/1"), out).read_bytes() == path.read_bytes()

    version = store.client.get_model_version("eye", "1")
    about = open_policy(path).about
    assert version.tags["ciliary.objective"] == "raw"
    assert version.tags["ciliary.algo"] == about["algo"]
    assert "ciliary.version.torch" in version.tags
    run = store.client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["ciliary.kind"] == "policy"


@pytest.mark.parametrize("kind", ["tensors", "zipped"])
def test_mlflow_serves_it(kind, out, request):
    from mlflow import pyfunc

    path = request.getfixturevalue(kind)
    store = open_store(out, experiment="policies")
    register_policy(store, path, "eye")
    model = pyfunc.load_model(store.client.get_model_version_download_uri("eye", "1"))
    proposed = model.predict(OBSERVATIONS)
    policy = open_policy(path)
    expected = [policy.propose({name: values[i] for name, values in OBSERVATIONS.items()}) for i in range(2)]
    np.testing.assert_array_equal(proposed, expected)
    assert proposed.shape == (2, P)


def test_versions_are_counted(out, tensors):
    store = open_store(out, experiment="policies")
    assert [register_policy(store, tensors, "eye") for _ in range(2)] == [1, 2]
    assert register_policy(store, tensors, "other eye") == 1


def test_errors_say_what_is_missing(out, tensors, tmp_path):
    store = open_store(out, experiment="policies")
    with pytest.raises(ValueError, match="model name"):
        register_policy(store, tensors, "a/b")
    with pytest.raises(FileNotFoundError, match="no policy at"):
        register_policy(store, tmp_path / "none.zip", "eye")
    (tmp_path / "bad.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="not a policy"):
        register_policy(store, tmp_path / "bad.safetensors", "eye")
    assert store.client.search_runs([store.experiment_id]) == []
    with pytest.raises(ValueError, match=r"no policy models:/eye/1"):
        load_registered(store, "eye", 1)
    assert find_policy("mine.zip", out) == Path("mine.zip")
