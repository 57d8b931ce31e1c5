"""The command line of the final exams: what goes in, what comes out, and what the exit code says."""

from __future__ import annotations

import json

import pytest

from ciliary.tuning.benchmarks import job as exam
from ciliary.tuning.benchmarks.perceive import Eye
from ciliary_tests.loading import SCRIPTS
from ciliary_tests.shapes import CLASSES, write_folders, write_npz, write_runs, write_weights

SCRIPT = SCRIPTS / "examine.py"
QUICK = ["--size", "32", "--tokens", "6", "--episodes", "2"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "mine.safetensors")


@pytest.fixture
def data(tmp_path):
    return write_npz(tmp_path / "shapes.npz", n_train=3, n_test=1, side_px=32)


def test_naming(script, data, weights, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["few-shot", "--data", str(data), "--learned", "m5", "--weights", str(weights), "--out", str(out)]
    assert script.main([*arguments, *QUICK, "--shots", "2,1,9"]) == 0
    printed = capsys.readouterr().out
    assert "Named rightly" in printed
    assert "no 9 examples" in printed
    page = (out / "exam_few_shot.md").read_text()
    for words in (
        "# Final exam: naming",
        "1-shot",
        "M5 code",
        "weights mine.safetensors",
        "(exam_few_shot.png)",
        "- no 9 examples of each class",
        "shapes: 9 to take examples from, 3 to name, 3 classes",
    ):
        assert words in page
    assert str(tmp_path) not in page
    assert (out / "exam_few_shot.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((out / "exam_few_shot.json").read_text())
    assert numbers["exam"] == "few-shot"
    assert {one["shots"] for one in numbers["results"]} == {1, 2}
    assert len(list((out / "tokens").glob("*.npz"))) == 2


def test_occlusion_of_runs(script, tmp_path, capsys):
    path, out = write_runs(tmp_path / "all_runs.zip", n_runs=1, n_ways=2, side_px=40), tmp_path / "out"
    assert script.main(["occlusion", "--data", str(path), "--out", str(out), *QUICK, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    page = (out / "exam_occlusion.md").read_text()
    assert "behind a noise square" in page
    assert "(exam_occlusion_completion.png)" in page
    assert "official runs: 1 example" in page
    assert "learned: nothing" in page


def test_energy_of_folders(script, weights, tmp_path, capsys):
    root, out = write_folders(tmp_path / "mine", n_train=2, n_test=1), tmp_path / "out"
    (root / "train" / CLASSES[0] / "broken.png").write_text("no image")
    arguments = ["energy", "--data", str(root), "--learned", "all", "--weights", str(weights), "--out", str(out)]
    assert script.main([*arguments, *QUICK, "--shots", "1", "--quiet"]) == 3
    assert "blue_bar/broken.png" in capsys.readouterr().err
    page = (out / "exam_energy.md").read_text()
    assert "At what loss of accuracy" in page
    assert "left out: blue_bar/broken.png" in page
    numbers = json.loads((out / "exam_energy.json").read_text())
    assert [one["active"] for one in numbers["naming"]] == [1, 2, 4, 16]


def test_stopped_it_goes_on(script, data, tmp_path, monkeypatch, capsys):
    arguments = ["few-shot", "--data", str(data), "--out", str(tmp_path / "out"), *QUICK, "--shots", "1", "--quiet"]
    perceived = Eye._chunk

    def stop_at_test(self, images):
        if len(images) == 3:
            raise KeyboardInterrupt
        return perceived(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(Eye, "_chunk", stop_at_test)
        assert script.main(arguments) == exam.STOPPED
    assert "goes on from here" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "tokens").glob("*.npz"))) == 1
    assert script.main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["few-shot", "--data", "nowhere"], "no such file or folder"),
        (["few-shot", "--data", "{data}", "--learned", "all", "--weights", "nowhere.safetensors"], "no learned cortex"),
        (["few-shot", "--data", "{data}", "--learned", "m5", "--weights", "{data}"], "not a learned cortex"),
        (["occlusion", "--data", "{data}", "--shots", "50"], "one class has only 3"),
    ],
)
def test_wrong_usage(script, data, tmp_path, capsys, arguments, complaint):
    filled = [argument.format(data=data) for argument in arguments]
    assert script.main([*filled, "--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["few-shot"],
        ["swimming", "--data", "x"],
        ["few-shot", "--data", "x", "--shots", "0"],
        ["energy", "--data", "x", "--shots", "1,5"],
        ["few-shot", "--data", "x", "--learned", "m9"],
        ["few-shot", "--data", "x", "--size", "8"],
    ],
)
def test_wrong_arguments(script, arguments, capsys):
    assert script.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{SCRIPT.stem}: ")
