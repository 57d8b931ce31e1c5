"""The command line of focusing: pages, films, tracked episodes, and what the exit code says of a broken scene."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ciliary.tuning.cli import app
from ciliary.tuning.focus.inputs import collect
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "focus.py"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Five frames of noise, the fourth in focus."""
    folder = tmp_path_factory.mktemp("scenes") / "stack"
    folder.mkdir()
    sharp = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(float)
    for i, sigma in enumerate((4, 2.5, 1.2, 0, 1.2)):
        frame = ndimage.gaussian_filter(sharp, (sigma, sigma, 0))
        Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(folder / f"frame{i}.png")
    return folder


@pytest.mark.slow
def test_a_stack_has_its_pages_and_its_run_and_what_is_broken_is_named(script, stack, tmp_path, capsys):
    broken = tmp_path / "torn"
    broken.mkdir()
    for name in ("a.png", "b.png"):
        (broken / name).write_text("no image")
    out = tmp_path / "out"
    assert script.main([str(stack), str(broken), str(tmp_path / "none"), "--gaze", "centre", "--out", str(out)]) == 3
    printed = capsys.readouterr()
    assert [line.split(":")[0] for line in printed.err.splitlines()] == ["focus"] * 3
    assert f"focus: {stack}: " in printed.err  # what had to be done to it
    assert "none" in printed.err
    assert "torn" in printed.err
    (session,) = [path for path in out.iterdir() if (path / "episodes.jsonl").is_file()]
    page = json.loads((session / "stack.json").read_text())
    assert (page["muscle"], page["gaze"], page["controller"]) == ("focus_dpt", [0, 0], "lens-hill")
    assert page["focus_dpt"] == pytest.approx(7.5, abs=1.26)  # the fourth of five frames over 0 to 10 dpt
    assert page["object_dpt"] is None
    with Image.open(session / "figures" / "stack.gif") as film:
        assert film.n_frames > 2
    with Image.open(session / "figures" / "stack.png") as figure:
        assert np.asarray(figure.convert("L")).std() > 20
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "ciliary-focus"]
    runs = client.search_runs([experiment.experiment_id])
    kinds = sorted((run.data.tags["ciliary.kind"], run.info.status) for run in runs)
    assert kinds == [("episode", "FINISHED"), ("session", "FINISHED")]
    assert "theta/focus_dpt" in next(run for run in runs if run.data.tags["ciliary.kind"] == "episode").data.metrics


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a scene"),
        (["x", "--gaze", "up"], "--gaze"),
        (["x", "--gaze", "2,0"], "--gaze"),
        (["x", "--exam", "y"], "--exam"),
        (["x", "--only", "lens"], "--only"),
        (["x", "--nearness", "0"], "--nearness"),
    ],
)
def test_wrong_usage_is_said(script, arguments, said, capsys):
    assert script.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_controller_is_named(script, stack, tmp_path, capsys):
    assert script.main([str(stack), "--controller", "nobody", "--out", str(tmp_path), "--no-animation"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_an_exam_without_data_is_nothing(script, tmp_path, capsys):
    assert script.main(["--exam", str(tmp_path), "--only", "stacks", "--out", str(tmp_path / "out")]) == 1
    assert "stacks" in capsys.readouterr().err


def test_folders_are_told_apart(stack, tmp_path):
    found, problems = collect([str(stack.parent), str(tmp_path)], nearness=1.0, n_frames=None)
    assert [one.name for one in found] == ["stack"]
    assert len(problems) == 1
    assert str(tmp_path) in problems[0]


def test_it_is_a_command_of_ciliary():
    assert "focus" in app.COMMANDS
