from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ciliary.tuning.evaluation import selectors as protocols
from ciliary.tuning.evaluation.table import Case
from ciliary_tests.toys import table_of

CASES = [Case("a"), Case("b"), Case("a", "fog:3"), Case("b", "fog:3"), Case("a", "dark:3"), Case("b", "dark:5")]
SCORES = [
    [0.5, 0.6, 0.1],  # clean: setting 1 is best on average
    [0.5, 0.6, 0.9],
    [0.2, 0.3, 0.5],  # fog: setting 2
    [0.2, 0.3, 0.5],
    [0.9, 0.0, 0.0],  # dark:3: setting 0, and so for dark as a whole
    [0.1, 0.0, 0.9],  # dark:5: setting 2, were it alone
]


@pytest.fixture
def table():
    return table_of(SCORES, cases=CASES)


def test_fixed_settings_by_hand(table):
    np.testing.assert_allclose(protocols.fixed(table).scores, [0.5, 0.5, 0.2, 0.2, 0.9, 0.1])
    best = protocols.best_fixed(table, train=table)
    assert best.index.tolist() == [1] * 6
    np.testing.assert_allclose(best.scores, [0.6, 0.6, 0.3, 0.3, 0, 0])


def test_a_best_fixed_setting_comes_from_the_training_table(table):
    train = table_of([[0.1, 0.2, 0.9], [0.9, 0.0, 0.0]], cases=[Case("z"), Case("z", "fog:3")])
    assert protocols.best_fixed(table, train=train).index.tolist() == [2] * 6


def test_refit_settings_by_hand(table):
    # over both severities of dark: means .5, 0, .45
    assert protocols.refit_fixed(table, train=table).index.tolist() == [1, 1, 2, 2, 0, 0]
    # over all disturbed: means .35, .15, .475
    assert protocols.refit_fixed(table, train=table, per="all").index.tolist() == [1, 1, 2, 2, 2, 2]


def test_refit_takes_a_kind_at_any_severity(table):
    train = table_of(SCORES[:5], cases=CASES[:5])  # dark at severity 3 alone
    assert protocols.refit_fixed(table, train=train).index.tolist() == [1, 1, 2, 2, 0, 0]


def test_refit_without_training_cases_of_the_kind_is_an_error(table):
    train = table_of(SCORES[:4], cases=CASES[:4])
    with pytest.raises(ValueError, match=r"dark:\*.*there are disturbances \['fog:3', 'none'\]"):
        protocols.refit_fixed(table, train=train)
    assert protocols.refit_fixed(table, train=train, per="all").index.tolist() == [1, 1, 2, 2, 2, 2]


def test_random_and_oracle_by_hand(table):
    np.testing.assert_allclose(protocols.random(table).scores, [0.4, 2 / 3, 1 / 3, 1 / 3, 0.3, 1 / 3], rtol=1e-6)
    assert protocols.random(table).index.tolist() == [-1] * 6
    assert protocols.oracle(table).index.tolist() == [1, 2, 2, 2, 0, 2]


def test_a_pick_is_the_lowest_loss(table):
    losses = [[3, 2, 1], [1, 1, 1], [np.nan, 2, 1], [np.nan] * 3, [np.inf, np.nan, 5], [0, -1, -1]]
    assert protocols.pick(table, np.array(losses)).index.tolist() == [2, 0, 2, 0, 2, 1]
    named = table.with_columns({"term.x": np.array(losses, np.float32)})
    assert protocols.pick(named, "term.x").protocol == "term.x"
    assert protocols.pick(named, "term.x").index.tolist() == [2, 0, 2, 0, 2, 1]
    with pytest.raises(ValueError, match="expected losses of shape"):
        protocols.pick(table, np.zeros((6, 2)))


def test_choices_made_elsewhere(table):
    np.testing.assert_allclose(
        protocols.choose(table, [0, 1, 2, 0, 1, 2], protocol="x").scores, [0.5, 0.6, 0.5, 0.2, 0, 0.9]
    )
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match="indices in"):
            protocols.choose(table, wrong, protocol="x")


def test_tables_of_other_settings_do_not_train(table):
    with pytest.raises(ValueError, match="other settings"):
        protocols.best_fixed(table, train=table_of(table.column("score.covering")[:, ::2]))


def test_scores_must_be_numbers(table):
    values = table.column("score.covering").copy()
    values[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 times, first in b fog:3 seed 0"):
        protocols.oracle(table.with_columns({"score.covering": values}))


def test_the_summary_by_hand(table):
    selections = protocols.select_all(table, train=table, losses={"mine": np.array([[0, 1, 2]] * 6)})
    assert [s.protocol for s in selections] == ["random", "fixed", "best fixed", "refit fixed", "mine", "oracle"]
    rows = {(row.protocol, row.disturbance): row for row in protocols.summarise(table, selections)}
    clean = rows["mine", "clean"]  # row 0 everywhere: .5, .5 against .6, .6 against .6, .9
    assert clean.n_images == 2
    assert clean.score.mean == pytest.approx(0.5)
    assert clean.gain.mean == pytest.approx(-0.1)
    assert clean.gap_closed.mean == pytest.approx(-0.1 / 0.15)
    assert clean.harm_rate == 1.0
    assert clean.recovered is None
    fog = rows["refit fixed", "fog:3"]  # .5 against .3, lost .3
    assert fog.gain.mean == pytest.approx(0.2)
    assert fog.gap_closed.mean == pytest.approx(1)
    assert fog.harm_rate == 0
    assert fog.recovered is not None
    assert fog.recovered.mean == pytest.approx(0.2 / 0.3)
    dark = rows["mine", "dark:5"]  # image b alone: lost .6, won .1
    assert dark.n_images == 1
    assert dark.recovered is not None
    assert dark.recovered.mean == pytest.approx(0.1 / 0.6)
    severe = rows["mine", "severity 3"]  # a: (.2 + .9) / 2, b: .2: the image is the unit
    assert severe.n_images == 2
    assert severe.score.mean == pytest.approx(0.375)
    assert severe.harm_rate == pytest.approx(2 / 3)  # of cases
    assert rows["oracle", "all disturbed"].gap_closed.mean == pytest.approx(1)
    assert list(dict.fromkeys(d for _, d in rows)) == [
        "clean", "fog:3", "dark:3", "dark:5", "severity 3", "all disturbed",
    ]  # fmt: skip


def test_nothing_to_recover_without_clean_cases(table):
    disturbed = table.where(disturbance="*:*")
    selections = protocols.select_all(disturbed, train=table)
    assert all(row.recovered is None for row in protocols.summarise(disturbed, selections))


def test_a_summary_needs_its_ends(table):
    with pytest.raises(ValueError, match="'oracle'"):
        protocols.summarise(table, [protocols.best_fixed(table, train=table)])
    ends = [protocols.best_fixed(table, train=table), protocols.oracle(table)]
    with pytest.raises(ValueError, match="name twice"):
        protocols.summarise(table, [*ends, protocols.oracle(table)])
    with pytest.raises(ValueError, match="no case in group 'x'"):
        protocols.summarise(table, ends, groups={"x": "rain:*"})


def test_means_of_images():
    assert protocols.image_means(["b", "a", "b"], np.array([1.0, 5.0, 2.0])) == {"b": 1.5, "a": 5.0}


unit = st.floats(0, 1, width=32)
tables = st.tuples(st.integers(1, 5), st.integers(1, 6)).flatmap(lambda shape: arrays(np.float32, shape, elements=unit))


@given(tables)
def test_no_choice_beats_the_oracle_and_none_loses_to_itself(scores):
    table = table_of(scores)
    everything = protocols.select_all(table, train=table, losses={"up": -scores, "down": scores})
    by_name = {s.protocol: s.scores for s in everything}
    for values in by_name.values():
        assert (by_name["oracle"] >= values - 1e-9).all()
        assert (by_name["down"] <= values + 1e-9).all()
    np.testing.assert_array_equal(by_name["up"], by_name["oracle"])
    for weaker in ("random", "fixed"):
        assert by_name["best fixed"].mean() >= by_name[weaker].mean() - 1e-9


@given(arrays(np.float32, (6, 4), elements=unit))
def test_refitting_helps_where_it_was_fitted(scores):
    table = table_of(scores, cases=CASES)
    best, refit, pooled = (
        protocols.best_fixed(table, train=table),
        protocols.refit_fixed(table, train=table),
        protocols.refit_fixed(table, train=table, per="all"),
    )
    rows = table.rows(disturbance="*:*")
    assert refit.scores[rows].mean() >= pooled.scores[rows].mean() - 1e-9 >= best.scores[rows].mean() - 2e-9
    np.testing.assert_array_equal(refit.scores[:2], best.scores[:2])


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_cases_does_not_matter(scores, random):
    order = list(range(len(scores)))
    random.shuffle(order)
    loss = np.sin(37 * scores)
    train = table_of(scores)
    for kind in (
        lambda t, i: protocols.best_fixed(t, train=train),
        lambda t, i: protocols.oracle(t),
        lambda t, i: protocols.pick(t, loss[i]),
    ):
        straight = kind(train, slice(None)).scores
        np.testing.assert_array_equal(kind(table_of(scores[order]), order).scores, straight[order])
