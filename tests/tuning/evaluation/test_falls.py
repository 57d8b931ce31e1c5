"""Who is ahead, and when: numbers that fit on paper, and the figures of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.compare import in_short
from ciliary.tuning.evaluation.falls import fall_rows, race_rows, reference_of, shown_name
from ciliary.tuning.evaluation.methods import Method, parse_method
from ciliary.tuning.evaluation.play import MARKS
from ciliary.tuning.evaluation.plots import strokes
from ciliary.tuning.evaluation.race_plots import race_plot, spread
from ciliary.tuning.evaluation.summary import seed_means
from ciliary_tests.toys import table_of

METHODS = (Method("tpe:raw:4", "tpe", n_trials=4), Method("policy:raw:2", "policy", n_trials=2))


def toy_race(disturbances=("none", "none")):
    """Image 0 falls by .4 (seeds .5 and .3) under TPE, image 1 by .2; the policy by .3 and .3, in two evaluations."""
    best = np.array([  # image, entry (tpe 0, tpe 1, policy 0), mark 1, 2, 4 (= 8, 16, 32, 64)
        [[1.0, 0.9, 0.5], [1.0, 0.7, 0.7], [1.0, 0.7, 0.7]],
        [[0.8, 0.8, 0.6], [0.8, 0.8, 0.6], [0.8, 0.5, 0.5]],
    ])  # fmt: skip
    columns = {f"best.{mark:02d}": best[..., min(i, 2)] for i, mark in enumerate(MARKS)}
    columns |= {
        f"seconds.{mark:02d}": np.tile([min(i, 2) + 1, min(i, 2) + 2, 1], (2, 1)) for i, mark in enumerate(MARKS)
    }
    columns |= {"before": best[..., 0], "best.end": best[..., 2]}
    columns["term.total"] = np.array([[0.5, 1.0, 0.7], [0.8, 0.8, 0.5]])  # the guard refused some
    columns["fresh_gain"] = np.array([[0.4, 0.0, np.nan], [0.1, 0.1, 0.2]])
    columns |= {"n_trials": np.tile([4, 4, 2], (2, 1)), "n_evaluations": np.tile([12, 12, 10], (2, 1))}
    columns["seconds"] = np.array([[3.0, 5, 1], [3, 5, 2]])
    cases = [Case(f"i{i}", name) for i, name in enumerate(disturbances)]
    race = table_of(np.array([[0.5, 0.7, 0.4], [0.2, 0.2, 0.6]]), cases=cases).with_columns(
        {name: values.astype(np.float32) for name, values in columns.items()}
    )
    return type(race)(race.u, race.cases, race.columns, {"methods": ["tpe:raw:4"] * 2 + ["policy:raw:2"]})


def test_seeds_are_averaged_within_the_image():
    means = seed_means(toy_race())
    assert means.meta["methods"] == ["tpe:raw:4", "policy:raw:2"]
    np.testing.assert_allclose(means.column("score.covering"), [[0.6, 0.4], [0.2, 0.6]], atol=1e-6)
    np.testing.assert_allclose(means.column("best.end"), [[0.6, 0.7], [0.6, 0.5]], atol=1e-6)


def test_falls_and_shares_by_hand():
    rows, points = race_rows(toy_race(), METHODS)
    tpe, policy = rows
    assert [(r.objective, r.disturbance, r.method, r.n_images, r.n_seeds) for r in rows] == [
        ("raw", "clean", "tpe:4", 2, 2),
        ("raw", "clean", "policy:2", 2, 1),
    ]
    assert (tpe.fall.mean, policy.fall.mean) == (pytest.approx(0.3), pytest.approx(0.3))
    assert (tpe.fall.low, tpe.fall.high) == (pytest.approx(0.2), pytest.approx(0.4))  # of two images
    assert tpe.share is not None
    assert policy.share is not None
    assert policy.over_reference is not None
    assert tpe.share.mean == pytest.approx(1) == tpe.share.low
    assert policy.share.mean == pytest.approx(1)
    assert (policy.share.low, policy.share.high) == (pytest.approx(0.75), pytest.approx(1.5))
    assert tpe.over_reference is None
    assert (policy.over_reference.low, policy.over_reference.high) == (pytest.approx(-0.1), pytest.approx(0.1))
    assert tpe.applied.mean == pytest.approx((0.25 + 0) / 2)
    assert policy.applied.mean == pytest.approx(0.3)
    assert tpe.on_fresh_views is not None
    assert tpe.on_fresh_views.mean == pytest.approx(0.15)
    assert policy.on_fresh_views is None  # one episode did not measure it
    assert tpe.seeds_sd == pytest.approx(np.std([(0.5 + 0.2) / 2, (0.3 + 0.2) / 2], ddof=1))
    assert policy.seeds_sd is None
    assert (tpe.evaluations, tpe.seconds, policy.seconds) == (12, 4, 1.5)
    falls = fall_rows(points)
    assert [row.method for row in falls] == ["tpe:4", "policy:2"]
    assert falls[0].falls["after_2"].mean == pytest.approx((0.2 + 0) / 2)
    assert falls[0].falls["after_4"].mean == falls[0].falls["after_64"].mean == pytest.approx(0.3)
    curve = [point for point in points if point.method == "policy:2"]
    assert [point.is_over for point in curve] == [False, False] + [True] * 5
    assert [point.spent for point in curve] == [1] + [2] * 6
    assert [point.loss.mean for point in curve] == pytest.approx([0.9] + [0.6] * 6)
    assert [point.share.mean for point in curve if point.share] == pytest.approx([0] + [1] * 6)
    assert [point.seconds for point in points if point.method == "tpe:4"] == pytest.approx(
        [1.5, 2.5, 3.5, 3.5, 3.5, 3.5, 3.5]
    )


def test_conditions_are_apart_and_without_tpe_there_is_no_share():
    rows, _ = race_rows(toy_race(("none", "fog:3")), METHODS)
    assert [(row.disturbance, row.method) for row in rows] == [
        (group, name) for group in ("clean", "fog:3") for name in ("tpe:4", "policy:2")
    ]
    assert [row.fall.mean for row in rows] == pytest.approx([0.4, 0.3, 0.2, 0.3])
    others = tuple(Method(m.label, "random", n_trials=m.n_trials) for m in METHODS)
    assert all(row.share is None for row in race_rows(toy_race(), others)[0])
    named, _ = race_rows(toy_race(), others, reference="policy:2")
    assert named[0].share is not None
    assert named[0].share.mean == pytest.approx(1)


def test_the_reference_is_the_longest_tpe_as_it_comes():
    methods = [parse_method(text) for text in ("tpe:raw:64:n_regions=6", "tpe:raw:16", "tpe:raw:32", "cmaes:raw:64")]
    assert reference_of(methods, "raw") is methods[2]
    assert reference_of(methods, "raw", "cmaes:64") is methods[3]
    assert reference_of(methods, "calibrated") is None


def test_names_leave_the_objective_out(calibration):
    texts = ["tpe:raw:64", "tpe", "policy:calibrated", f"tpe:{calibration}:8", "policy:raw:2:label=no fog"]
    assert [shown_name(parse_method(text)) for text in texts] == ["tpe:64", "tpe", "policy", "tpe:8", "no fog"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=14))
def test_labels_keep_their_order_and_their_distance(heights):
    moved = spread(np.sort(heights), gap=0.05)
    assert len(moved) == len(heights)
    assert (np.diff(moved) >= 0.05 - 1e-9).all()
    assert moved.min() >= 0.01 - 1e-9
    assert moved.max() <= 0.99 + 1e-9


def test_labels_that_are_apart_stay_and_those_that_collide_share_the_way():
    np.testing.assert_allclose(spread(np.array([0.2, 0.5]), gap=0.1), [0.2, 0.5])
    np.testing.assert_allclose(spread(np.array([0.5, 0.5, 0.5]), gap=0.1), [0.4, 0.5, 0.6])


def test_no_two_methods_look_alike():
    drawn = strokes([f"m{i}" for i in range(24)])
    assert len({(s.colour, s.line) for s in drawn.values()}) == 24


@pytest.mark.parametrize("against", ["evaluations", "seconds"])
def test_a_figure_names_every_method_and_ends_where_it_stopped(against):
    _, points = race_rows(toy_race(), METHODS)
    figure = race_plot(points, against=against, drawn=strokes(["tpe:4", "policy:2"]), title="t")
    (ax,) = figure.axes
    assert {text.get_text() for text in ax.texts} == {"tpe:4", "policy:2"}
    curves = [
        line.get_xydata() for line in ax.lines if line.get_transform() == ax.transData and len(line.get_xdata()) > 1
    ]
    want = {"evaluations": [[1, 2, 4], [1, 2]], "seconds": [[1.5, 2.5, 3.5], [1, 1]]}[against]
    assert [curve[:, 0].tolist() for curve in curves[:2]] == want
    with pytest.raises(ValueError, match="evaluations or seconds"):
        race_plot(points, against="trials", drawn={}, title="t")


def test_the_standings_fit_on_a_terminal():
    rows = race_rows(toy_race(), METHODS)[0]
    tables = dict(in_short(rows))
    assert next(iter(tables)) == "raw, clean: fall of the loss, higher is better"
    table = next(iter(tables.values()))
    assert table["method"] == [row.method for row in rows if row.disturbance == rows[0].disturbance]
    assert table["fall [95 %]"][0] == str(rows[0].fall)
    assert table["evaluations"][0] == f"{rows[0].evaluations:.0f}"
    assert {len(column) for column in table.values()} == {len(table["method"])}
