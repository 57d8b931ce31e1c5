"""The command line of the race: what goes in, what comes out, and what the exit code says."""

from __future__ import annotations

import csv
import signal

import numpy as np
import pytest
from PIL import Image

from ciliary.cortex import default_unit
from ciliary.tuning.evaluation import job
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.play import PlayMeasure
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.store import EVALUATIONS, open_store
from ciliary_tests.labelled import write_calibration, write_labelled
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "compare.py"
QUICK = ["--size", "64", "--quiet", "--seeds", "2"]


@pytest.fixture
def labelled(tmp_path):
    return write_labelled(tmp_path / "mine")


def runs(out):
    store = open_store(out, experiment=EVALUATIONS)
    return store.client.search_runs([store.experiment_id])


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_everything_at_once(script, labelled, out, tmp_path, capsys):
    (labelled / "images" / "broken.png").write_text("no image")
    Image.new("L", (4, 4)).save(labelled / "labels" / "broken.png")
    page = tmp_path / "docs" / "controllers.md"
    page.parent.mkdir()
    (page.parent / "controllers_reading.md").write_text("What we make of it.")
    calibration = write_calibration(tmp_path / "c.npz")
    table = tmp_path / "own.npz"
    u = np.stack([default_unit()[0].numpy()] * 2)
    scores = np.array([[0.3, 0.99]] * 2, np.float32)
    ResponseTable(u, (Case("im0"), Case("im1")), {"score.covering": scores}, {}).save(table)
    methods = f"tpe:raw:3,random:raw:2:label=dice,policy:{calibration}:2"
    arguments = [
        "--labelled",
        str(labelled),
        "--methods",
        methods,
        "--disturb",
        "none,mixed:3",
        *QUICK,
        "--inherited",
        "none",
    ]
    assert script.main([*arguments, "--out", str(out), "--page", str(page), "--table", str(table)]) == 3
    printed = capsys.readouterr()
    assert len([line for line in printed.err.splitlines() if "broken.png" in line]) == 1
    text = page.read_text()
    for words in (
        "What we make of it.",
        "2 of labelled images of mine",
        "- left out: broken.png",
        "- no oracle of 2 cases",
        "## Objective raw",
        "### Raw, clean (2 images)",
        "### Raw, severity 3 (2 images)",
        "### C.npz, clean (2 images)",
        "of what tpe:3 gains",
        "of what the reference gains",
        "one where neither objective nor controller draws anything: fixed:c.npz, policy:c.npz:2 |",
        "controllers/raw_clean_seconds.png",
        "## Against people, seeds averaged within the image",
    ):
        assert words in text
    assert str(tmp_path) not in text
    folder = page.parent / "controllers"
    assert len(list(folder.glob("*.png"))) == 8
    standings = rows_of(folder / "standings.csv")
    clean = {(r["objective"], r["method"]): r for r in standings if r["disturbance"] == "clean"}
    assert set(clean) == {
        ("raw", "fixed"), ("raw", "tpe:3"), ("raw", "dice"), ("c.npz", "fixed"), ("c.npz", "policy:2")
    }  # fmt: skip
    assert [clean[key]["n_seeds"] for key in (("raw", "fixed"), ("c.npz", "fixed"))] == ["2", "1"]
    assert float(clean["raw", "fixed"]["fall"]) == 0 == float(clean["raw", "fixed"]["share"] or 0)
    assert clean["c.npz", "policy:2"]["share"] == ""
    curves = rows_of(folder / "curves.csv")
    dice = [r for r in curves if (r["method"], r["disturbance"]) == ("dice", "clean")]
    assert [r["evaluations"] for r in dice] == ["1", "2", "4", "8", "16", "32", "64"]
    assert [r["is_over"] for r in dice] == ["False"] * 2 + ["True"] * 5
    assert len({r["loss"] for r in dice[1:]}) == 1
    oracle = next(r for r in rows_of(folder / "covering.csv") if r["method"] == "oracle")
    assert float(oracle["covering"]) == pytest.approx(0.99)
    (run,) = runs(out)
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    assert metrics["race/raw/dice/clean/fall_02"] == pytest.approx(float(dice[1]["fall"]))
    assert metrics["race/raw/dice/clean/seconds"] == pytest.approx(float(clean["raw", "dice"]["seconds"]))
    assert "covering/fixed/clean/covering" in metrics
    assert run.data.params["n_seeds"] == "2"


@pytest.mark.slow
def test_stopped_it_goes_on_where_it_stood(script, labelled, out, monkeypatch, capsys):
    arguments = ["--labelled", str(labelled), "--methods", "fixed", "--disturb", "none", *QUICK, "--out", str(out)]
    race, played = PlayMeasure.episode, []

    def stop(self, item, case, entry, people):
        if len(played) == 3:
            raise KeyboardInterrupt
        played.append((case.image, entry.seed))
        return race(self, item, case, entry, people)

    with monkeypatch.context() as patch:
        patch.setattr(PlayMeasure, "episode", stop)
        assert script.main(arguments) == job.STOPPED
    assert "goes on from here" in capsys.readouterr().err
    monkeypatch.setattr(
        PlayMeasure,
        "episode",
        lambda self, item, case, entry, people: (
            played.append((case.image, entry.seed)) or race(self, item, case, entry, people)
        ),
    )
    assert script.main(arguments) == 0
    assert played == [("im0", 0), ("im0", 1), ("im1", 0), ("im1", 1)]
    assert sorted(run.info.status for run in runs(out)) == ["FINISHED", "KILLED"]


def test_a_race_in_the_background_can_be_stopped():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells start background jobs
    try:
        with pytest.raises(KeyboardInterrupt), job.terminable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--bsds PATH or --labelled FOLDER"),
        (["--labelled", "{labelled}", "--methods", "teleport"], "CONTROLLER from fixed"),
        (["--labelled", "{labelled}", "--methods", "policy:raw:2:policy=nowhere.zip"], "no policy at nowhere.zip"),
        (["--labelled", "{labelled}", "--methods", "tpe,random:raw:2:label=tpe"], "two methods are called 'tpe'"),
        (["--labelled", "{labelled}", "--methods", "tpe", "--reference", "gp"], "no method 'gp' to refer to"),
        (["--labelled", "{labelled}", "--disturb", "rain:3"], "unknown disturbance"),
    ],
)
def test_wrong_usage(script, labelled, out, capsys, arguments, complaint):
    filled = [argument.format(labelled=labelled) for argument in arguments]
    assert script.main([*filled, *QUICK, "--out", str(out)]) == 2
    assert complaint in capsys.readouterr().err


def test_nothing_to_do(script, labelled, out, capsys):
    for path in (labelled / "images").iterdir():
        path.write_text("no image")
    assert script.main(["--labelled", str(labelled), *QUICK, "--out", str(out)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("arguments", [["--images", "0"], ["--seeds", "0"], ["--size", "8"]])
def test_wrong_arguments(script, arguments, capsys):
    assert script.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{SCRIPT.stem}: ")
