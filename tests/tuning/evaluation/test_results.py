"""Standings, page and figures from tables worked by hand."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.labelled import read_labelled_folder
from ciliary.envs.metrics.boundaries import DEFAULT_THRESHOLDS
from ciliary.envs.objective.calibration import Calibration
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.contact_sheet import Sheet, contact_sheet
from ciliary.tuning.evaluation.measure import MeasureSettings
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.plots import gap_plot, precision_recall
from ciliary.tuning.evaluation.report import Report, by_group, covering_section, metrics_of
from ciliary.tuning.evaluation.summary import contest_rows, oracle_scores, pooled
from ciliary.tuning.evaluation.systems import PortraitMeasure, boundary_summary, compute_portraits, portrait_rows
from ciliary.tuning.evaluation.validity import PREDICTED, protocol_rows, with_predictions
from ciliary.tuning.runs.fingerprints import code_mark
from ciliary.tuning.sessions.figures import write_figure
from ciliary_tests.labelled import write_labelled
from ciliary_tests.toys import table_of

# two images, clean and under fog: columns fixed, best fixed, tpe
CASES = [Case("a"), Case("b"), Case("a", "fog:3"), Case("b", "fog:3")]
SCORES = [[0.5, 0.6, 0.7], [0.5, 0.4, 0.496], [0.2, 0.3, 0.4], [0.4, 0.4, 0.3]]


@pytest.fixture
def contest():
    table = table_of(SCORES, cases=CASES, is_changed=[[0, 0, 1]] * 4)
    columns = {"is_changed": [[0, 0, 1], [0, 0, 0], [0, 0, 1], [0, 0, 1]], "seconds": [[1, 1, 8]] * 4}
    columns |= {"n_evaluations": [[1, 1, 64]] * 4}
    table = table.with_columns({name: np.asarray(v, np.float32) for name, v in columns.items()})
    table.meta["methods"] = ["fixed", "best fixed", "tpe"]
    return table


def test_standings_by_hand(contest):
    oracle = np.array([0.9, 0.7, 0.6, 0.5])
    rows = {(row.method, row.disturbance): row for row in contest_rows(contest, oracle=oracle)}
    assert set(rows) == {(m, d) for m in ("fixed", "best fixed", "tpe", "oracle") for d in ("clean", "fog:3")}
    clean, fog = rows["tpe", "clean"], rows["tpe", "fog:3"]
    assert clean.covering.mean == pytest.approx(0.598)
    assert clean.gain.mean == pytest.approx(0.098)
    assert clean.gain_over_best.mean == pytest.approx(0.098)
    assert clean.gap_closed.mean == pytest.approx(0.098 / 0.3)
    assert clean.harm_rate == 0  # b lost 0.004, less than the tolerance
    assert clean.recovered is None
    assert clean.changed == 0.5
    assert (clean.n_evaluations, clean.seconds) == (64, 8)
    assert fog.covering.mean == pytest.approx(0.35)
    assert fog.gain.mean == pytest.approx(0.05)
    assert fog.gain_over_best.mean == pytest.approx(0)
    assert fog.gap_closed.mean == pytest.approx(0.05 / 0.25)
    assert fog.harm_rate == 0.5
    assert fog.recovered.mean == pytest.approx(0.05 / 0.2)
    assert rows["oracle", "fog:3"].gap_closed.mean == pytest.approx(1)
    fixed = rows["fixed", "fog:3"]
    assert fixed.gain is fixed.gap_closed is fixed.recovered is None
    assert fixed.n_images == 2


def test_the_oracle_is_the_best_of_methods_and_of_the_response_table(contest):
    np.testing.assert_allclose(oracle_scores(contest), [0.7, 0.5, 0.4, 0.4])
    response = table_of([[0.1, 0.8], [0.3, 0.2], [0.1, 0.1]], cases=[Case("a", "none", 9), *CASES[1:3]])
    found = oracle_scores(contest, response)
    np.testing.assert_allclose(found, [0.8, 0.5, 0.4, np.nan])
    rows = {(row.method, row.disturbance): row for row in contest_rows(contest, oracle=found)}
    assert ("oracle", "clean") in rows
    assert ("oracle", "fog:3") not in rows  # one of its cases has none
    assert rows["tpe", "fog:3"].gap_closed is None


def test_an_image_under_several_disturbances_counts_once():
    cases = [Case("a", "fog:3"), Case("a", "jpeg:3"), Case("a", "fog:5"), Case("b", "fog:3")]
    table = table_of([[0, 0.1], [0, 0.3], [0, 0.5], [0, 0.6]], cases=cases)
    table.meta["methods"] = ["fixed", "x"]
    rows = {row.disturbance: row for row in contest_rows(table) if row.method == "x"}
    assert rows["all disturbed"].gain.mean == pytest.approx((0.3 + 0.6) / 2)
    assert rows["severity 3"].gain.mean == pytest.approx((0.2 + 0.6) / 2)
    assert rows["all disturbed"].gain_over_best is None
    assert pooled([row.disturbance for row in contest_rows(table)]) == ["severity 3", "all disturbed"]


def test_groups_with_the_same_cases_are_shown_once():
    table = table_of([[0, 1], [0, 1]], cases=[Case("a", "fog:3"), Case("b", "jpeg:3")])
    table.meta["methods"] = ["fixed", "x"]
    assert [r.disturbance for r in contest_rows(table) if r.method == "x"] == ["fog:3", "jpeg:3", "severity 3"]


def test_the_fixed_setting_must_play(contest):
    contest.meta["methods"] = ["a", "b", "c"]
    with pytest.raises(ValueError, match="'fixed' among them"):
        contest_rows(contest)


def test_the_page_says_all_of_it(contest, tmp_path):
    rows = contest_rows(contest, oracle=oracle_scores(contest))
    protocols = protocol_rows(table_of([[0.4, 0.6], [0.5, 0.3]], term_total=[[1, 0], [1, 0]]))
    reading = tmp_path / "page_reading.md"
    reading.write_text("We read it.")
    made = Report(
        title="Results",
        script="scripts/x.py",
        about={"images": "2 of nowhere", "date": "today | or so"},
        sections=[covering_section(rows, title="Accommodation"), by_group(protocols)],
        tables={"contest": rows, "nothing": [], "protocols": protocols},
        figures=[tmp_path / "page" / "gap.png"],
        notes=["left out: c"],
    )
    written = made.write(tmp_path / "page.md", reading=reading)
    assert [path.name for path in written] == ["page.md", "contest.csv", "protocols.csv", "gap.png"]
    text = written[0].read_text()
    for line in (
        "# Results\n\nMade by `scripts/x.py`",
        "We read it.",
        "| images | 2 of nowhere |",
        "- left out: c",
        "### Fog:3 (2 images)",
        "| raw | 0.450 [0.300, 0.600] |",
        "| date | today \\| or so |",
    ):
        assert line in text
    unread = made.markdown(tmp_path / "nowhere.md")
    assert unread.startswith("# Results\n\nMade by `scripts/x.py`.\n\n## How it was measured")
    assert ("## Reading" in text, "Reading" in unread) == (True, False)
    found = list(csv.DictReader(written[1].open()))
    assert len(found) == len(rows)
    tpe = next(row for row in found if row["method"] == "tpe" and row["disturbance"] == "clean")
    assert float(tpe["gain"]) == pytest.approx(0.098)
    assert tpe["recovered_low"] == ""
    metrics = metrics_of("contest", rows, "method", "disturbance")
    assert metrics["contest/tpe/clean/gain"] == pytest.approx(0.098)
    assert metrics["contest/tpe/clean/n_images"] == 2
    assert "contest/fixed/clean/gain" not in metrics


# --- the calibrated objective on a response table
def calibration_of(names, weights, panel=None) -> Calibration:
    n = len(names)
    layers = ((np.asarray([weights], np.float32), np.zeros(1, np.float32)),)
    panel = np.zeros((0, len(PARAMETERS)), np.float32) if panel is None else panel
    mean, scale = np.zeros(n, np.float32), np.ones(n, np.float32)
    return Calibration(tuple(names), mean, scale, layers, panel, panel, parameters=PARAMETERS.names)


def test_predictions_are_those_of_the_calibration():
    u = np.zeros((2, len(PARAMETERS)), np.float32)
    u[1, 2] = 0.5
    table = table_of([[0, 0], [0, 0]], u=u, feature_x=[[0.1, 0.2], [0.3, 0.4]], feature_z=[[0, 0.5], [0, 0.5]])
    model = calibration_of(["feature.x", "feature.z"], [1, 10])
    soft = [4 * np.tanh(np.array(v) / 4) for v in ([[0.1, 0.2], [0.3, 0.4]], [[0, 0.5], [0, 0.5]])]
    found = with_predictions(table, model).column(PREDICTED)
    np.testing.assert_allclose(found, 1 - (soft[0] + 10 * soft[1]), atol=1e-6)
    with pytest.raises(KeyError, match=r"feature\.y"):
        with_predictions(table, calibration_of(["feature.y"], [1]))
    with_predictions(table, calibration_of(["feature.x"], [1], panel=u[:1]))
    with pytest.raises(ValueError, match="panel"):
        with_predictions(table, calibration_of(["feature.x"], [1], panel=u[1:]))


# --- portraits
@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    root = tmp_path_factory.mktemp("portraits")
    data = read_labelled_folder(write_labelled(root / "l"))
    return compute_portraits(root / "p", data, MeasureSettings(size_px=64, score_stride=1), progress=False)


def test_portraits_of_all_systems(portraits):
    rows = {row.system: row for row in portrait_rows(portraits)}
    assert next(iter(rows)) == "one_region"
    assert list(rows)[-1] == "people"
    one, people = rows["one_region"], rows["people"]
    # 24 x 24 px of 48 x 64 drawn by one, 26 x 26 by the other
    areas = [(a * a / 3072, 1 - a * a / 3072) for a in (24, 26)]
    assert one.scores["covering"].mean == pytest.approx(np.mean([a**2 + b**2 for a, b in areas]), abs=1e-6)
    assert (one.n_segments, one.ods, one.ap) == (1, 0, None)
    (inner, around), (wider, rest) = areas
    iou = inner / wider, rest / around
    want = np.mean([inner * iou[0] + around * iou[1], wider * iou[0] + rest * iou[1]])
    assert people.scores["covering"].mean == pytest.approx(want, abs=1e-6)
    assert people.scores["voi"].mean > 0
    assert rows["cortex M1 boundary"].scores["covering"] is None
    for row in rows.values():
        assert row.n_images == 2
        assert row.ois >= row.ods >= 0


@pytest.mark.slow
def test_a_portrait_of_defaults_that_a_perceiver_with_more_parameters_kept(tmp_path):
    data = read_labelled_folder(write_labelled(tmp_path / "l"))
    item, case = data[0], Case(data.names[0], "none", 0)
    glancing = MeasureSettings(size_px=64, score_stride=1, perceiver="glances:none")
    row = PortraitMeasure(Method("fixed", "fixed", "agreement", 1, perceiver="glances:none"), glancing)(
        item, case, np.zeros((1, 1), np.float32)
    )
    plain = PortraitMeasure(Method("fixed", "fixed", "raw", 1), MeasureSettings(size_px=64, score_stride=1))(
        item, case, np.zeros((1, 1), np.float32)
    )
    assert row.keys() == plain.keys()
    for name, values in plain.items():  # a plain look is the cortex's own
        np.testing.assert_allclose(row[name], values, atol=1e-6, err_msg=name)


def test_one_map_is_the_same_at_every_threshold(portraits):
    summary = boundary_summary(portraits["felzenszwalb"])
    assert len(summary.precision) == len(DEFAULT_THRESHOLDS)
    assert len(set(summary.recall)) == 1


# --- figures and marks
def test_figures_are_drawn(contest, portraits, tmp_path):
    summaries = {name: boundary_summary(table) for name, table in portraits.items()}
    people = summaries.pop("people")
    labels = np.zeros((20, 30), int)
    labels[5:12, 8:20] = 1
    sheet = Sheet(r"$\no{such}$", np.full((20, 30, 3), 0.5), labels, labels, labels, 0.5, 0.6)
    rows = contest_rows(contest, oracle=oracle_scores(contest))
    for i, figure in enumerate(
        (
            precision_recall(summaries, people=people),
            gap_plot(rows, "tpe"),
            gap_plot(contest_rows(contest), "fixed"),
            contact_sheet([sheet], [], method=r"$\frac$"),
        )
    ):
        assert write_figure(figure, tmp_path / f"{i}.png").stat().st_size > 5000
    words = {text.get_text() for text in precision_recall(summaries, people=people).axes[0].get_legend().get_texts()}
    assert "one_region  0.00" in words
    assert any(word.startswith("people") for word in words)


def test_the_mark_changes_with_code_but_not_with_words(tmp_path):
    def mark(text: str) -> str:
        root = Path(tmp_path / f"{abs(hash(text))}")
        (root / "cortex").mkdir(parents=True, exist_ok=True)
        (root / "cortex" / "x.py").write_text(text)
        return code_mark(root, ("cortex",))

    plain = mark("def f():\n    return 1\n")
    assert mark('"""Words."""\ndef f():\n    """More."""\n    return 1  # one\n') == plain
    assert mark("def f():\n    return 2\n") != plain


def test_each_group_has_a_table_of_its_own_rows():
    @dataclass(frozen=True)
    class Row:
        disturbance: str
        n_images: int
        method: str

    text = by_group([Row("fog", 2, "one"), Row("clean", 2, "two"), Row("fog", 2, "three")])
    fog, clean = text.split("\n#")
    assert ("one" in fog, "two" in fog, "three" in fog) == (True, False, True)
    assert ("one" in clean, "two" in clean, "three" in clean) == (False, True, False)
