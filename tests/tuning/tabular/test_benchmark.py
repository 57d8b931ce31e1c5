"""The benchmark by hand: what is seen without labels, the best fixed setting of other folds, oracle, regret, report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ciliary.tuning.evaluation.table import Case
from ciliary.tuning.tabular.benchmark import BEST_FIXED, DEFAULT, ORACLE, Benchmark
from ciliary_tests.toys import table_of

FOLDS = {"a": 0, "b": 0, "c": 1, "d": 1}
# Fold 0 likes setting 1, fold 1 setting 2; over all of them the default is best.
SCORES = [[0.5, 0.9, 0.1], [0.5, 0.8, 0.2], [0.5, 0.1, 0.9], [0.5, 0.2, 0.7]]
DISSENT = [[3, 1, 2], [3, 2, 1], [1, 2, 3], [1, 3, 2]]
U = [[0.0, 0.5, -1.0], [1.0, 0.5, -1.0], [0.0, 0.5, 0.0]]  # the second parameter never moves


def benchmark_of(scores=SCORES, *, cases=None, **more):
    cases = cases or [Case(name) for name in FOLDS]
    table = table_of(scores, cases=cases, u=U, term_dissent=np.resize(DISSENT, np.shape(scores)), **more)
    table = replace(table, parameters=("p", "q", "r"), meta={"folds": FOLDS})
    return Benchmark(table)


def rows_of(benchmark, choices=None):
    return {(row.choice, row.images): row for row in benchmark.report(choices or {})}


def test_an_instance_knows_what_moves_and_nothing_of_labels():
    seen = benchmark_of(feature_size=np.ones((4, 3))).instance(2)
    assert seen.case == Case("c")
    assert seen.names == ("p", "r")
    np.testing.assert_array_equal(seen.settings, np.array(U)[:, [0, 2]])
    np.testing.assert_array_equal((seen.low, seen.high), [[0, -1], [1, 0]])
    assert set(seen.known) == {"term.dissent", "feature.size"}
    np.testing.assert_array_equal(seen.losses, DISSENT[2])


@pytest.mark.parametrize(
    ("asked", "setting"),
    [({"p": 0, "r": -1}, 0), ({"p": 0.9, "r": -0.9}, 1), ({"p": 0.1, "r": -0.2}, 2), ({"p": 0.5, "r": -1}, 0)],
)
def test_the_nearest_setting_answers(asked, setting):
    seen = benchmark_of().instance(0)
    assert seen.nearest(asked) == setting
    assert seen.nearest(seen.params(setting)) == setting


def test_near_is_measured_in_sides_of_the_box():
    table = replace(table_of([[0, 0, 0]], u=[[0, 0], [0.1, 0], [0, 1.0]], term_dissent=[[0, 0, 0]]), meta={})
    seen = Benchmark(table, folds={"i0": 0}).instance(0)
    assert seen.nearest({"u0": 0.06, "u1": 0.45}) == 1  # .4 and .45 sides off; in u, the default would be nearer


def test_a_missing_parameter_is_named():
    with pytest.raises(KeyError, match="expected a value of each of p, r; missing r"):
        benchmark_of().instance(0).nearest({"p": 0})


def test_the_best_fixed_setting_is_chosen_on_other_folds():
    best = benchmark_of().best_fixed()
    assert best.index.tolist() == [2, 2, 1, 1]
    np.testing.assert_allclose(best.scores, [0.1, 0.2, 0.1, 0.2], rtol=1e-6)


def test_regret_and_others():
    benchmark = benchmark_of()
    assert benchmark.regret(0, 1) == 0
    assert benchmark.regret(3, 0) == pytest.approx(0.2)
    assert benchmark.others(0).images == ("c", "d")
    assert benchmark.others(3).images == ("a", "b")


def test_the_report_by_hand():
    rows = rows_of(benchmark_of(), {"mine": [1, 1, 1, 2], "twice": [[0, 0, 0, 0], [1, 1, 2, 2]]})
    means = {name: row.score.mean for (name, _), row in rows.items()}
    assert means == pytest.approx(
        {
            "random setting": (3 * 0.5 + 1.4 / 3) / 4, DEFAULT: 0.5, BEST_FIXED: 0.15,
            "mine": (0.9 + 0.8 + 0.1 + 0.7) / 4, "twice": (0.5 + 0.825) / 2, ORACLE: 0.825,
        }
    )  # fmt: skip
    mine = rows["mine", "clean"]
    assert mine.n_images == 4
    assert mine.over_default.mean == pytest.approx(0.625 - 0.5)
    assert mine.over_best_fixed.mean == pytest.approx(0.625 - 0.15)
    assert mine.gap_closed.mean == pytest.approx(0.125 / 0.325)
    assert mine.worse == pytest.approx(1 / 4)
    assert mine.loss == pytest.approx((1 + 2 + 2 + 2) / 4)
    assert rows["random setting", "clean"].loss == pytest.approx(2)


def test_clean_and_disturbed_are_told_apart_and_chosen_for_apart():
    cases = [Case(name, kind) for kind in ("none", "fog:3") for name in FOLDS]
    benchmark = benchmark_of([*SCORES, *(row[::-1] for row in SCORES)], cases=cases)
    assert benchmark.best_fixed().index.tolist() == [2, 2, 1, 1, 0, 0, 1, 1]
    rows = rows_of(benchmark)
    assert {images for _, images in rows} == {"clean", "disturbed"}
    assert rows[ORACLE, "disturbed"].score.mean == pytest.approx(0.825)
    assert rows[DEFAULT, "disturbed"].score.mean == pytest.approx((0.1 + 0.2 + 0.9 + 0.7) / 4)


@pytest.mark.parametrize(
    ("choice", "wrong"),
    [([0, 1], "setting of each of 4 cases"), ([0, 0, 0, 3], r"settings in \[0, 3\)"), ([-1] * 4, "in")],
)
def test_choices_are_checked(choice, wrong):
    with pytest.raises(ValueError, match=f"mine: .*{wrong}"):
        benchmark_of().report({"mine": choice})


def test_labels_are_no_objective():
    table = benchmark_of().table
    with pytest.raises(ValueError, match=r"label-free objective, one of term\.dissent; got 'score\.covering'"):
        Benchmark(table, objective="score.covering")
    with pytest.raises(KeyError, match=r"no column 'term\.x'"):
        Benchmark(table, objective="term.x")
    with pytest.raises(ValueError, match="a fold of each image; 1 have none, such as d"):
        Benchmark(table, folds={"a": 0, "b": 0, "c": 1})
    with pytest.raises(ValueError, match="settings that differ"):
        Benchmark(replace(table, u=np.zeros((3, 3), np.float32)))
