"""The command ``readout``: from labelled masks to a table and a file, from the file to class maps."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from ciliary.envs.data.cells import synthetic_cells
from ciliary.tuning.cli.app import main
from ciliary.tuning.readout.kept import load_readout

QUICK = ["--inherited", "none", "--size", "48", "--epochs", "2", "--head", "linear", "--quiet"]


def write_cells(root, n=5):
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for i in range(n):
        image, labels = synthetic_cells(i, size_px=48)
        Image.fromarray((image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(root / "images" / f"c{i}.png")
        Image.fromarray((100 * labels).astype(np.uint8)).save(root / "labels" / f"c{i}.png")
    return root


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A readout of a folder with a broken image in it; its exit code and its folder."""
    data = write_cells(tmp_path_factory.mktemp("data") / "cells", n=6)
    (data / "images" / "c5.png").write_bytes(b"no picture")
    out = tmp_path_factory.mktemp("out")
    asked = ["readout", "--labelled", str(data), "--out", str(out), "--disturb", "none,fog:3", *QUICK]
    return main([*asked, "--read", "default,chosen", "--beside", "blurs"]), out


def test_a_table_of_all_models_between_the_majority_class_and_the_cortex(learned):
    code, out = learned
    assert code == 3, "one image is broken, the rest is done"
    with (out / "readout.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["disturbance"] for row in rows} == {"none", "fog:3"}
    assert [row["model"] for row in rows[:4]] == 2 * ["cortex, linear"] + ["image and blurs, linear", "majority class"]
    majority = rows[3]
    assert float(majority["IoU 200"]) == 0
    assert float(majority["accuracy"]) > 0.6
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
    page = (out / "readout.md").read_text()
    assert "Counted before the split: 3 training, 1 validation, 1 test images" in page
    for name in ("curves.png", "test.png"):
        assert (out / name).stat().st_size > 5000
    losses = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert {"cortex-linear/train", "cortex-linear/validation"} <= set(losses[0])


def test_what_was_learned_is_applied_at_the_size_of_the_image(learned, tmp_path, capsys):
    _, out = learned
    kept = load_readout(out / "readout.safetensors")
    assert kept.classes.values == (0, 100, 200)
    image, _ = synthetic_cells(9, size_px=80)
    Image.fromarray((image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(tmp_path / "new.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found = tmp_path / "found"
    asked = [str(tmp_path / name) for name in ("new.png", "broken.png")]
    model = ["--model", str(out / "readout.safetensors")]
    for _ in range(2):  # its own files are written again, not beside
        assert main(["readout", *asked, *model, "--out", str(found), "--quiet"]) == 3
    assert "broken.png" in capsys.readouterr().err
    assert {path.name for path in found.iterdir()} == {
        "new.classes.png",
        *(f"new.p_{value}.png" for value in (0, 100, 200)),
    }
    classes = np.asarray(Image.open(found / "new.classes.png"))
    probabilities = np.stack([np.asarray(Image.open(found / f"new.p_{v}.png")) for v in (0, 100, 200)]).astype(int)
    assert classes.shape == (80, 80)
    assert abs(probabilities.sum(0) - 255).max() <= 2
    assert set(np.unique(classes)) <= {0, 100, 200}
    sure = np.sort(probabilities, 0)[-1] - np.sort(probabilities, 0)[-2] > 2
    assert (np.array([0, 100, 200])[probabilities.argmax(0)] == classes)[sure].all()


def test_a_folder_is_one_training_s(learned, tmp_path, capsys):
    _, out = learned
    assert main(["readout", "--labelled", "synthetic-cells:5", "--out", str(out), *QUICK]) == 1
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ([], 2, "--labelled DIR"),
        (["a.png"], 2, "--model FILE"),
        (["--model", "x"], 2, "give IMAGE"),
        (["a.png", "--model", "nowhere"], 1, "learn one with"),
        (["a.png", "--model", "x", "--labelled", "y"], 2, "not both"),
        (["--labelled", "nowhere"], 1, "images/"),
        (["--labelled", "synthetic-cells:2"], 1, "at least 3"),
        (["--labelled", "synthetic-cells:5", "--loss", "lovasz"], 2, "dice"),
        (["--labelled", "synthetic-cells:5", "--disturb", "rain:2"], 2, "fog"),
        (["--labelled", "synthetic-cells:5", "--gap", "1"], 2, "--split blocks"),
        (["--labelled", "synthetic-cells:5", "--test", "1.5"], 2, "between 0 and 1"),
    ],
)
def test_wrong_usage_is_one_line(wrong, code, words, tmp_path, capsys):
    assert main(["readout", *wrong, "--out", str(tmp_path), *QUICK]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
