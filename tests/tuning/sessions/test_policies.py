"""Sessions that play a trained policy: it is found, checked beforehand, and part of what a session is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from stable_baselines3 import PPO

from ciliary.agents.controllers.sb3 import Sb3Controller
from ciliary.envs.data.scenes import make_scene
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.runs.registry import register_policy
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.loading import load_script


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    """An untrained policy that fits the real environment."""
    env = AccommodationEnv(source="scenes", shape_px=(48, 48))
    network = {"net_arch": [4], "features_extractor_kwargs": {"cnn_output_dim": 4}}
    model = PPO("MultiInputPolicy", env, n_steps=2, batch_size=2, policy_kwargs=network, device="cpu", seed=0)
    path = tmp_path_factory.mktemp("zips") / "policy.zip"
    model.save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    from torchvision.utils import save_image

    path = tmp_path / "photo.png"
    save_image(make_scene("discs", seed=0, size=(48, 64))[0], path)
    return path


def test_fingerprint_follows_the_content_not_the_path(zipped, tmp_path):
    one, other = SessionSettings(controller="sb3", policy=zipped), tmp_path / "other.zip"
    other.write_bytes(zipped.read_bytes())
    moved = SessionSettings(controller="sb3", policy=other)
    assert one.fingerprint() == moved.fingerprint()
    assert one.study_fingerprint() == moved.study_fingerprint()
    before = moved.fingerprint()
    other.write_bytes(zipped.read_bytes() + b" ")
    assert moved.fingerprint() != before
    assert SessionSettings(controller="sb3").fingerprint() != one.fingerprint()
    assert one.as_params()["policy"] == str(zipped)
    assert replace(one, is_trusted=True).fingerprint() == one.fingerprint()


def test_shipped_weights_are_part_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr("ciliary.agents.controllers.policy.SHIPPED", tmp_path)
    tpe, policy = SessionSettings(objective="raw"), SessionSettings(objective="raw", controller="policy")
    without = [tpe.fingerprint(), policy.fingerprint()]
    assert without[0] == without[1]  # the name is not part of it
    (tmp_path / "policy_raw.safetensors").write_bytes(b"weights")
    assert tpe.fingerprint() == without[0]
    assert policy.fingerprint() != without[1]


def test_only_controllers_that_play_one_take_it(zipped, tmp_path):
    controller = make_controller(SessionSettings(controller="sb3", policy=zipped))
    assert isinstance(controller, Sb3Controller)
    assert controller.policy == zipped
    assert not controller.trust
    assert make_controller(SessionSettings(controller="sb3", policy=zipped, is_trusted=True)).trust
    assert not hasattr(make_controller(SessionSettings(controller="tpe", is_trusted=True)), "trust")
    with pytest.raises(ValueError, match="tpe plays no policy"):
        make_controller(SessionSettings(controller="tpe", policy=zipped))
    with pytest.raises(ValueError, match="--policy FILE"):
        make_controller(SessionSettings(controller="sb3"))
    with pytest.raises(FileNotFoundError, match="train_policy"):
        make_controller(SessionSettings(controller="sb3", policy=tmp_path / "none.zip"))


@pytest.mark.slow
def test_from_the_command_line(zipped, photo, out, tmp_path, capsys, quick_page):
    script = load_script("accommodate")
    common = [str(photo), "--controller", "sb3", "--size", "48", "--objective", "raw", "--out", str(out), "--quiet"]
    assert script.main([*common, "--policy", str(zipped), "--save", str(tmp_path / "maps")]) == 0
    assert json.loads((tmp_path / "maps" / "photo.json").read_text())["n_trials"] == 5

    register_policy(open_store(out, experiment="ciliary-policies"), zipped, "eye")
    assert script.main([*common, "--session", "s", "--policy", "models:/eye/1"]) == 0
    one, other = (json.loads((out / name / "episodes.jsonl").read_text()) for name in ("photo-sb3-seed0", "s"))
    assert one["history"]["u"] == other["history"]["u"]

    for wrong in (["--policy", "none.zip"], ["--policy", "models:/eye/9"], []):
        assert script.main([*common, *wrong]) == 2
    complaints = capsys.readouterr().err
    for words in ("no policy at none.zip", "no policy models:/eye/9", "give it with --policy FILE"):
        assert words in complaints
