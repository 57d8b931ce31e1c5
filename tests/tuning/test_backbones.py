"""``--features NAME --features-weights FILE`` from the command line to the cortex: fitted once, marked, told apart."""

from dataclasses import replace

import pytest
import timm
import torch
from PIL import Image

from ciliary.cortex.cues.projection import load_projection
from ciliary.tuning.cli.app import main
from ciliary.tuning.cli.settings import CortexOptions
from ciliary.tuning.evaluation.settings import EvaluateSettings
from ciliary.tuning.runs.fingerprints import features_mark
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.training.settings import GradientSettings

NAME = "test_resnet"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("CILIARY_PROJECTIONS", str(tmp_path / "projections"))
    torch.save(timm.create_model(NAME).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.mark.slow
def test_fitted_by_one_command_and_used_by_its_name(weights, tmp_path, capsys):
    asked = ["--features", NAME, "--features-weights", str(weights)]
    look = ["look", "chelsea", "--size", "48", "--out", str(tmp_path / "look"), "--quiet"]
    assert main([*look, *asked]) == 1
    assert f"fit one with: ciliary train features {NAME} --features-weights {weights}" in capsys.readouterr().err
    fit = ["train", "features", NAME, "--features-weights", str(weights), "--images", "chelsea", "coffee"]
    assert main(fit) == 0
    (path,) = (tmp_path / "projections").glob("*.safetensors")
    assert f"projection {path}, of 2 photographs" in capsys.readouterr().out
    about = load_projection(path).about
    assert (about["model"], about["weights"], about["images"]) == (NAME, "w.pth", "chelsea, coffee")
    assert main([*look, *asked]) == 0
    settings = SessionSettings(objective="raw", features=NAME, features_weights=str(weights))
    assert make_env(settings).evaluator.perceiver.backbone.name == NAME


def test_wrong_usage(weights, tmp_path, capsys):
    assert main(["train", "features"]) == 2
    assert main(["train", "features", "resnet5"]) == 2
    assert "resnet50" in capsys.readouterr().err
    assert main(["look", "chelsea", "--features", "resnet5", "--out", str(tmp_path)]) == 2
    assert main(["accommodate", "chelsea", "--features", "resnet5", "--out", str(tmp_path)]) == 2
    assert main(["train", "features", "efficientnet_lite0"]) == 1
    assert "comes fitted" in capsys.readouterr().err
    assert main(["train", "features", NAME, "--features-weights", str(tmp_path / "none.pth")]) == 1
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no image")
    fit = ["train", "features", NAME, "--features-weights", str(weights), "--images", str(folder)]
    assert main(fit) == 1
    Image.new("RGB", (48, 48)).save(folder / "good.png")
    assert main(fit) == 0  # one bad photograph does not cost the others
    with pytest.raises(ValueError, match="say which with --features NAME"):
        CortexOptions(features_weights="w.pth")


def test_marks_tell_projections_and_weights_apart(weights):
    assert features_mark("none") == ""
    shipped = features_mark("efficientnet_lite0")
    assert shipped.startswith("efficientnet_lite0 ")
    assert len(shipped.split()) == 2
    assert "without a projection" in features_mark(NAME, str(weights))
    plain = SessionSettings(objective="raw")
    sessions = [plain, *(replace(plain, features=name) for name in ("efficientnet_lite0", NAME))]
    sessions.append(replace(plain, features=NAME, features_weights=str(weights)))
    for known_by in (SessionSettings.fingerprint, lambda s: s.mark):
        assert len({known_by(settings) for settings in sessions}) == 4
    settings = EvaluateSettings(features=NAME, features_weights=str(weights))
    assert settings.how.cortex["features_weights"] == str(weights)
    assert settings.marks["trunk"] == features_mark(NAME, str(weights))
    training = GradientSettings(looks=CortexOptions(features=NAME, features_weights=str(weights)))
    assert training.cortex["features_weights"] == str(weights)
    assert training.about()["trunk"] == features_mark(NAME, str(weights))
    assert not {"trunk", "features_weights"} & set(GradientSettings(looks=CortexOptions(inherited="none")).about())
