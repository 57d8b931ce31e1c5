"""The command line of the evaluation: what goes in, what comes out, and what the exit code says."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from ciliary.cortex import default_unit
from ciliary.tuning.evaluation import job
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.methods import make_methods
from ciliary.tuning.evaluation.play import PlayMeasure
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.store import EVALUATIONS, open_store
from ciliary_tests.labelled import write_calibration, write_labelled
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "evaluate.py"
QUICK = ["--size", "64", "--quiet", "--no-portraits"]


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
    broken = labelled / "images" / "broken.png"
    broken.write_text("no image")
    Image.new("L", (4, 4)).save(labelled / "labels" / "broken.png")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    (page.parent / "page_reading.md").write_text("What we make of it.")
    calibration = write_calibration(tmp_path / "c.npz")
    methods = f"normalise,policy:{calibration}:3,random:raw:3:no-guard"
    arguments = [
        "--labelled",
        str(labelled),
        "--methods",
        methods,
        "--disturb",
        "none,mixed:3",
        "--size",
        "64",
        "--inherited",
        "none",
    ]
    assert script.main([*arguments, "--quiet", "--out", str(out), "--page", str(page)]) == 3
    printed = capsys.readouterr()
    assert [line for line in printed.err.splitlines() if str(broken) in line] == printed.err.splitlines()
    text = page.read_text()
    for words in (
        "What we make of it.",
        "2 of labelled images of mine",
        "- left out: broken.png",
        "cortex proto-objects",
        "accommodated, random:raw:3:no-guard",
        "### Clean (2 images)",
        "### Severity 3 (2 images)",
        "page/precision_recall.png",
        "1 inputs, 1 layers",
    ):
        assert words in text
    assert str(tmp_path) not in text
    labels = ["fixed", "normalise", "policy:c.npz:3", "random:raw:3:no-guard"]
    rows = rows_of(page.parent / "page" / "contest.csv")
    assert [row["method"] for row in rows if row["disturbance"] == "clean"] == [*labels, "oracle"]
    (run,) = runs(out)
    assert run.info.status == "FINISHED"
    fixed = next(row for row in rows if row["method"] == "fixed" and row["disturbance"] == "clean")
    assert run.data.metrics["contest/fixed/clean/covering"] == pytest.approx(float(fixed["covering"]))
    assert run.data.params["size_px"] == "64"
    files = {file.path for file in open_store(out, experiment=EVALUATIONS).client.list_artifacts(run.info.run_id)}
    assert files == {"page.md", "portraits.csv", "contest.csv", "figures"}


@pytest.mark.slow
def test_tables_choose_the_best_fixed_setting_and_the_oracle(script, labelled, out, tmp_path):
    fine = default_unit()[0].numpy()
    u = np.stack([fine, np.clip(fine + 0.2, -1, 1)])

    def table(name, cases, scores):
        columns = {"score.covering": np.array(scores, np.float32)}
        columns["term.total"] = 1 - columns["score.covering"]
        return str(ResponseTable(u, cases, columns, {}).save(tmp_path / f"{name}.npz"))

    train = table("train", (Case("t"), Case("t", "fog:3")), [[0.4, 0.5], [0.6, 0.5]])
    cases = tuple(Case(name, d, 7) for name in ("im0", "im1") for d in ("none", "fog:3"))
    own = table("own", cases, [[0.3, 0.99]] * 4)
    arguments = ["--labelled", str(labelled), "--methods", "refit-fixed", "--disturb", "none,fog:3", *QUICK]
    arguments += ["--inherited", "none"]  # whose defaults the tables are around
    assert script.main([*arguments, "--out", str(out), "--table", own, "--train-table", train]) == 0
    rows = {(row["method"], row["disturbance"]): row for row in rows_of(out / "results" / "contest.csv")}
    assert {method for method, _ in rows} == {"fixed", "best fixed", "refit fixed", "oracle"}
    same = [("best fixed", "clean"), ("refit fixed", "clean")]
    assert rows[same[0]]["covering"] == rows[same[1]]["covering"]
    assert rows["refit fixed", "fog:3"]["covering"] == rows["fixed", "fog:3"]["covering"]  # 0.6 against 0.5
    assert float(rows["oracle", "clean"]["covering"]) == pytest.approx(0.99)
    protocols = {(row["protocol"], row["disturbance"]) for row in rows_of(out / "results" / "protocols.csv")}
    assert ("oracle", "fog:3") in protocols
    assert [row["column"] for row in rows_of(out / "results" / "validity.csv")] == ["term.total"]
    assert all("_7_" in path.name for path in (out / "contest").rglob("*.npz"))  # the table's seeds


def test_a_refit_is_for_the_kind_and_for_all_disturbed_where_the_kind_is_unknown():
    cases = (Case("t"), Case("t", "fog:1"), Case("t", "fog:5"), Case("t", "jpeg:2"))
    scores = np.array([[0.5, 0.4, 0.3], [0.1, 0.6, 0.0], [0.5, 0.4, 0.0], [0.0, 0.0, 0.9]], np.float32)
    u = np.repeat(np.float32([[0], [0.25], [0.5]]), default_unit().shape[1], axis=1)
    train = ResponseTable(u, cases, {"score.covering": scores}, {})
    names = ["none", "fog:5", "jpeg:4", "low_light:3"]
    *_, refit = make_methods(("refit-fixed",), train, names, default=())
    assert refit.u is not None
    # fog: .3 and .5, whatever is best at 5; light unknown: .2, .33, .3 over all disturbed
    assert {name: setting[0] for name, setting in refit.u.items()} == {
        "none": 0, "fog:5": 0.25, "jpeg:4": 0.5, "low_light:3": 0.25,
    }  # fmt: skip


@pytest.mark.slow
def test_stopped_it_goes_on_where_it_stood(script, labelled, out, monkeypatch, capsys):
    arguments = ["--labelled", str(labelled), "--methods", "fixed", "--disturb", "none", *QUICK, "--out", str(out)]
    call, played = PlayMeasure.__call__, []

    def stop(self, item, case, u):
        if played:
            raise KeyboardInterrupt
        played.append(case.image)
        return call(self, item, case, u)

    with monkeypatch.context() as patch:
        patch.setattr(PlayMeasure, "__call__", stop)
        assert script.main(arguments) == job.STOPPED
    assert "goes on from here" in capsys.readouterr().err
    monkeypatch.setattr(
        PlayMeasure, "__call__", lambda self, item, case, u: played.append(case.image) or call(self, item, case, u)
    )
    assert script.main(arguments) == 0
    assert played == ["im0", "im1"]
    assert sorted(run.info.status for run in runs(out)) == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--bsds PATH or --labelled FOLDER"),
        (["--bsds", "nowhere"], "no images/val"),
        (["--labelled", "{labelled}", "--methods", "teleport"], "CONTROLLER from fixed"),
        (["--labelled", "{labelled}", "--methods", "best-fixed"], "--train-table"),
        (["--labelled", "{labelled}", "--disturb", "rain:3"], "unknown disturbance"),
        (["--labelled", "{labelled}", "--methods", "normalise", "--show", "tpe"], "no method 'tpe'"),
        (["--labelled", "{labelled}", "--table", "nowhere.npz"], "nowhere.npz"),
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


@pytest.mark.parametrize("arguments", [["--images", "0"], ["--size", "8"], ["--split", "test"]])
def test_wrong_arguments(script, arguments, capsys):
    assert script.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{SCRIPT.stem}: ")
