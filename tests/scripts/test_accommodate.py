"""The command line: what goes in, what comes out, and what the exit code says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ciliary.agents.registry import CONTROLLERS
from ciliary.envs.data.disturbances import DISTURBANCES
from ciliary.tuning.sessions.inputs import SHOWCASE, collect, showcase
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "accommodate.py"
QUICK = ["--trials", "3", "--population", "2", "--size", "48", "--controller", "random"]


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    page = np.kron(rng.integers(0, 255, (4, 5, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(page).save(path)  # 100 x 80
    return path


def test_one_image(script, photo, out, tmp_path, capsys):
    save = tmp_path / "maps"
    assert script.main([str(photo), *QUICK, "--out", str(out), "--save", str(save)]) == 0
    printed = capsys.readouterr()
    words = ("photo", "before", "after", "total", "collapse", "trials", "photo.png", "photo.gif")
    words += ("stability", "consistency")  # whatever is minimised
    for word in (*words, f"ciliary ui --store {out}"):
        assert word in printed.out
    assert printed.err == ""
    with Image.open(save / "photo.labels.png") as labels:
        assert labels.size == (100, 80)
        assert labels.mode.startswith("I")
    page = json.loads((save / "photo.json").read_text())
    assert page["disturbance"] == "none"
    assert page["original_size"] == [80, 100]
    for figure in ("photo.png", "photo.gif"):
        assert (out / "photo-random-seed0" / "figures" / figure).exists()
        assert str(out / "photo-random-seed0" / "figures" / figure) in printed.out


def test_the_raw_objective_tells_all_its_terms(script, photo, out, capsys):
    arguments = ["--objective", "raw", "--no-animation"]
    assert script.main([str(photo), *QUICK, "--out", str(out), *arguments]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("total", "stability", "consistency", "collapse", "economy"))
    assert "predicted" not in printed
    assert [p.name for p in (out / "photo-random-seed0" / "figures").iterdir()] == ["photo.png"]


def test_broken_images_are_named_and_the_rest_goes_on(script, photo, out, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    Image.new("RGB", (2, 2)).save(tmp_path / "speck.png")
    names = [str(tmp_path / name) for name in ("text.jpg", "empty.png", "speck.png", "missing.png")]
    assert script.main([names[0], str(photo), *names[1:], *QUICK, "--out", str(out), "--quiet"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("accommodate: ") for line in lines)
    for name in names:
        assert sum(name in line for line in lines) == 1
    kept = [json.loads(line) for line in (out / "text-and-4-random-seed0" / "episodes.jsonl").open()]
    assert [record["image"] for record in kept if record["status"] == "FINISHED"] == ["photo"]
    assert {record["image"] for record in kept if record["status"] == "FAILED"} == {"text", "empty", "speck"}


def test_nothing_to_do(script, out, tmp_path, capsys):
    assert script.main([str(tmp_path / "missing.png"), *QUICK, "--out", str(out)]) == 1
    assert "missing.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--controller", "teleport"], "choose from fixed"),
        (["--disturb", "rain:3"], "unknown disturbance"),
        (["--disturb", "fog:9"], "0 to 5"),
        (["--session", "../up"], "session name"),
        (["--set", "n_region=3"], "choose from"),
        (["--set", "n_regions=300"], "must lie in"),
    ],
)
def test_wrong_usage(script, photo, out, capsys, arguments, complaint):
    assert script.main([str(photo), *QUICK, "--out", str(out), *arguments]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--trials", "0"], ["--size", "8"], ["--set", "x"], ["--depth", "radar"]])
def test_wrong_arguments(script, arguments, capsys):
    assert script.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{SCRIPT.stem}: ")


def test_help_names_every_controller_disturbance_and_exit_code(script, capsys):
    assert script.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in [*CONTROLLERS, *DISTURBANCES]:
        assert name in text
    for code in ("0 all well", "1 nothing", "2 wrong", "3 some", "130"):
        assert code in text


@pytest.mark.slow
def test_disturbances_make_their_own_files(script, photo, out, tmp_path):
    lists = ["--disturb", "none,fog:2.0", "--disturb", "jpeg:1"]
    save = tmp_path / "maps"
    assert (
        script.main([str(photo), *QUICK, "--out", str(out), "--save", str(save), "--quiet", "--no-animation", *lists])
        == 0
    )
    stems = {p.name.split(".json")[0] for p in save.glob("*.json")}
    assert stems == {"photo__none", "photo__fog_2", "photo__jpeg_1"}
    assert len(list(save.iterdir())) == 12


@pytest.mark.slow
def test_a_changed_default_is_where_the_episode_starts(script, photo, out, tmp_path):
    arguments = ["--controller", "fixed", "--set", "n_regions=5", "--save", str(tmp_path / "maps"), "--quiet"]
    assert script.main([str(photo), *QUICK, "--out", str(out), *arguments]) == 0
    page = json.loads((tmp_path / "maps" / "photo.json").read_text())
    assert page["parameters"]["n_regions"] == pytest.approx(5, rel=1e-5)


def test_inputs_have_names_of_their_own(photo, tmp_path):
    twin = tmp_path / "deep" / "er" / "photo.jpg"
    twin.parent.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(twin)
    inputs, problems, _ = collect([photo, tmp_path / "deep", photo], 48)
    assert [i.name for i in inputs] == ["photo", "photo_2"]
    assert problems == []
    assert inputs[1].load().original_size == (64, 64)


def test_showcase_is_on_this_machine():
    assert [i.name for i in showcase(48)] == list(SHOWCASE)
    assert max(showcase(48)[0].load().image.shape) == 48


@pytest.mark.slow
def test_sigterm_leaves_a_session_that_goes_on(photo, out):
    """In a process of its own: asked to stop in the first episode, it answers 130; called again, it does the rest."""
    command = [sys.executable, str(SCRIPT), str(photo), *QUICK, "--trials", "2000", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    deadline = time.monotonic() + 120
    while not _has_run(out) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    printed, complaints = process.communicate(timeout=120)
    assert process.returncode == 130, complaints
    assert "stopped: 0 episodes" in printed
    assert "goes on from here" in printed


def _has_run(out: Path) -> bool:
    return (out / "photo-random-seed0" / ".lock").exists()
