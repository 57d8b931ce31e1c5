"""Controllers on photographs that nobody drew on: a page of the loss alone; and on another perceiver."""

from __future__ import annotations

import csv

import pytest

from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.compare import CompareSettings, run
from ciliary.tuning.evaluation.evaluate import EvaluateSettings
from ciliary.tuning.evaluation.evaluate import run as evaluate
from ciliary.tuning.evaluation.measure import MeasureSettings
from ciliary.tuning.evaluation.methods import parse_method
from ciliary.tuning.evaluation.play import play_methods
from ciliary_tests.labelled import write_labelled


@pytest.fixture
def desk(tmp_path, monkeypatch, migrated):
    """Photographs, and a place for results with a database."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    images, out = write_labelled(tmp_path / "mine") / "images", tmp_path / "out"
    out.mkdir()
    (out / "mlflow.db").write_bytes(migrated.read_bytes())
    return images, out


@pytest.mark.slow
def test_photographs_are_compared_by_the_loss(tmp_path, desk, capsys):
    images, out = desk
    settings = CompareSettings(
        images=(images,), methods=("random:raw:2",), disturb="none", n_seeds=1, size_px=64, out=out, is_quiet=True
    )
    assert run(settings) == 0
    text = (out / "controllers.md").read_text()
    assert "2 of photographs that nobody drew on" in text
    assert "Reading" not in text
    assert "- nobody drew these images" in text
    assert "### Raw, clean (2 images)" in text
    assert "Against people" not in text
    assert "covering" not in text
    assert {path.name for path in (out / "controllers").glob("*.csv")} == {"standings.csv", "curves.csv"}
    with (out / "controllers" / "standings.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)] == ["fixed", "random:2"]
    capsys.readouterr()
    assert run(CompareSettings(images=(tmp_path / "nowhere",), out=out)) == 2
    assert "nowhere" in capsys.readouterr().err
    assert evaluate(EvaluateSettings(images=(images,), out=out)) == 2
    assert "people's maps" in capsys.readouterr().err


@pytest.mark.slow
def test_pages_name_another_perceiver(desk, capsys):
    images, out = desk
    asked = {"images": (images,), "disturb": "none", "n_seeds": 1, "size_px": 64, "out": out, "is_quiet": True}
    assert run(CompareSettings(methods=("random:agreement:2",), perceiver="watershed", **asked)) == 0
    text = (out / "controllers.md").read_text()
    assert "| watershed looks at | 64 px (long side); the perceiver's defaults |" in text
    assert run(CompareSettings(methods=("random:calibrated:2",), perceiver="watershed", **asked)) == 2
    assert "no calibration of watershed comes along" in " ".join(capsys.readouterr().err.split())


def test_another_perceiver_plays(tmp_path, data):
    settings = MeasureSettings(size_px=64, score_stride=1, perceiver="felzenszwalb")
    methods = [parse_method("fixed:agreement"), parse_method("random:agreement:2")]
    table = play_methods(tmp_path, data, [Case("im0")], settings, methods, progress=False)
    assert "scale" in {name.removeprefix("u.") for name in table.names("u.")}
    assert len(table.parameters) == table.u.shape[1] == len(table.names("u."))
    assert table.column("score.covering").min() > 0
    own = play_methods(tmp_path, data, [Case("im0")], MeasureSettings(size_px=64, score_stride=1), methods[:1],
                       progress=False)  # fmt: skip
    assert own.names("u.") != table.names("u.")  # nothing of one is taken for the other's
