"""The command line of the calibration: a folder of labelled images in, an objective that is accepted out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.stages.inherited import left_out_path
from ciliary.envs.objective.calibrated import CalibratedObjective
from ciliary.envs.objective.calibration import load_calibration
from ciliary.tuning.calibration.regressors import FORMS
from ciliary.tuning.evaluation.measure import Measure
from ciliary_tests.labelled import write_labelled
from ciliary_tests.loading import SCRIPTS, load_script
from ciliary_tests.untaught import write_untaught

SCRIPT = SCRIPTS / "calibrate.py"
QUICK = ["--settings", "3", "--views", "0", "--workers", "1", "--size", "64"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("mine") / "cells", n_images=10)


@pytest.fixture
def measured(monkeypatch):
    """Cases that were measured in this test, in order."""
    cases, call = [], Measure.__call__

    def watched(self, item, case, u):
        cases.append(case)
        return call(self, item, case, u)

    monkeypatch.setattr(Measure, "__call__", watched)
    return cases


@pytest.mark.slow
def test_from_labelled_images_to_an_objective(script, labelled, measured, tmp_path, monkeypatch, capsys):
    file, work = tmp_path / "new" / "cells.npz", tmp_path / "work"
    arguments = ["--labelled", str(labelled), "--out", str(file), "--work", str(work), *QUICK]
    kept = ["--form", "line", "--inputs", "+ panel"]
    assert script.main([*arguments, *kept]) == 0
    printed = capsys.readouterr().out
    assert f"Kept: line, {len(load_calibration(file).names)} inputs. Written to {file}." in printed
    for word in ("| line |", "| + panel |", "rank correlation"):
        assert word in printed
    assert len(measured) == 20  # ten images, clean and disturbed
    assert sum(case.disturbance != "none" for case in measured) == 10

    calibration = load_calibration(file)
    assert calibration.panel.shape == (3, len(PARAMETERS))
    assert calibration.starts.shape == (2, len(PARAMETERS))  # but for the defaults
    assert {"agreement.02", "covered.00", "feature.confidence"} <= set(calibration.names)
    assert calibration.n_views == 0
    about = calibration.about
    assert (about["data"], about["n_images"], about["n_cases"], about["n_settings"]) == ("cells", 10, 20, 3)
    text = json.dumps(about)
    assert os.sep not in text
    assert str(Path.home()) not in text

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    how = ["--objective", str(file), "--controller", "policy", "--trials", "3", "--size", "64", "--quiet"]
    image, out = str(labelled / "images" / "im4.png"), tmp_path / "out"
    assert load_script("accommodate").main([image, *how, "--out", str(out)]) == 0
    (line,) = next(out.glob("*/episodes.jsonl")).read_text().splitlines()
    assert json.loads(line)["image"] == "im4"

    measured.clear()
    assert script.main([*arguments, "--inputs", "terms"]) == 0  # from what is measured
    assert measured == []
    other = load_calibration(file)
    assert len(other.panel) == 0
    assert all(name.startswith("term.") for name in other.names)


def test_stopped_it_goes_on_where_it_stood(script, labelled, tmp_path, monkeypatch):
    def calibrate(name):
        file = tmp_path / f"{name}.npz"
        arguments = ["--labelled", str(labelled), "--out", str(file), "--work", str(tmp_path / name), *QUICK]
        return script.main([*arguments, "--form", "line", "--inputs", "terms"]), file

    cases = []

    def stop(self, item, case, u):
        if len(cases) == 13:
            raise KeyboardInterrupt
        return toy(self, item, case, u)

    def toy(self, item, case, u):
        cases.append(case)
        rng = np.random.default_rng(case.seed)
        return {"term.x": rng.random(len(u)), "score.covering": rng.random(len(u))}

    with monkeypatch.context() as patch:
        patch.setattr(Measure, "__call__", stop)
        assert calibrate("stopped")[0] == 130
    assert not (tmp_path / "stopped.npz").exists()
    monkeypatch.setattr(Measure, "__call__", toy)
    code, file = calibrate("stopped")
    assert code == 0
    assert len(cases) == len(set(cases)) == 20
    _, straight = calibrate("straight")
    one, other = load_calibration(file), load_calibration(straight)
    np.testing.assert_array_equal(one.layers[0][0], other.layers[0][0])
    np.testing.assert_array_equal(one.starts, other.starts)


def test_what_is_inherited_is_seen_by_those_taught_without_the_image(script, labelled, tmp_path, monkeypatch, capsys):
    seen, file = [], tmp_path / "c.npz"

    def toy(self, item, case, u):
        seen.append((self.settings.left_out, item.name))
        rng = np.random.default_rng(case.seed)
        return {"term.x": rng.random(len(u)), "score.covering": rng.random(len(u))}

    monkeypatch.setattr(Measure, "__call__", toy)
    names, taught = [f"im{i}" for i in range(10)], tmp_path / "taught"
    taught.mkdir()
    arguments = ["--labelled", str(labelled), "--inherited", "contours", "--left-out", str(taught), *QUICK]
    arguments += ["--out", str(file), "--form", "line", "--inputs", "terms", "--work", str(tmp_path / "work")]
    for k in (0, 1):
        write_untaught(left_out_path(taught, "contours", k), seed=k, without=names[k:9:2])
    assert script.main(arguments) == 1
    assert "was taught with 1 images less than there are: ['im9']" in capsys.readouterr().err
    write_untaught(left_out_path(taught, "contours", 1), seed=1, without=names[1::2])
    assert script.main(arguments) == 0
    assert set(seen) == {(taught, name) for name in names}
    calibration = load_calibration(file)
    assert calibration.perceiver == "cortex-contours"
    assert str(tmp_path) not in json.dumps(calibration.about)
    with pytest.raises(ValueError, match="made for the perceiver cortex-contours, and cortex is another"):
        CalibratedObjective(calibration).check(Cortex())


def test_fewer_than_ten_images_calibrate_nothing(script, labelled, measured, tmp_path, capsys):
    file = tmp_path / "c.npz"
    where = ["--out", str(file), "--work", str(tmp_path / "work")]
    assert script.main(["--labelled", str(labelled), "--images", "9", *where, *QUICK]) == 1
    assert capsys.readouterr().err == "calibrate: expected at least 10 labelled images to learn from, got 9\n"
    assert measured == []
    assert not file.exists()


@pytest.mark.parametrize("source", ["--labelled", "--bsds"])
def test_no_images(script, tmp_path, capsys, source):
    assert script.main([source, str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"calibrate: {tmp_path}: no images/")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "expected one source of labelled images"),
        (["--labelled", "a", "--bsds", "b"], "expected one source of labelled images"),
        (["--labelled", "a", "--depth", "radar"], "knows no 'radar'"),
        (["--labelled", "a", "--form", "trees"], "knows no 'trees'"),  # they cannot be shipped
        (["--labelled", "a", "--inputs", "all"], "knows no 'all'"),
        (["--labelled", "a", "--settings", "1"], "at least 2"),
        (["--labelled", "a", "--workers", "0"], "at least 1"),
        (["--labelled", "a", "--views", "-1"], "at least 0"),
    ],
)
def test_wrong_usage(script, capsys, arguments, complaint):
    assert script.main(arguments) == 2
    assert complaint in capsys.readouterr().err


def test_help_names_what_can_be_kept(script, capsys):
    assert script.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in [*FORMS, "+ panel", "0 all well", "1 nothing", "2 wrong"]:
        assert name in text
