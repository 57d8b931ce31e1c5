from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from ciliary.tuning.evaluation import selectors as protocols
from ciliary.tuning.evaluation.table import Case
from ciliary.tuning.evaluation.validity import (
    collapse_rate,
    cost_of,
    feature_sign,
    heard_rank_correlation,
    near_default,
    validity_markdown,
    validity_report,
)
from ciliary_tests.toys import table_of

SCORES = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.5, 0.9, 0.6, 0.7]], np.float32)


def by_column(rows):
    return {row.column: row for row in rows}


def test_the_report_by_hand():
    table = table_of(
        SCORES,
        term_good=-SCORES,
        term_bad=SCORES,
        term_blank=np.zeros((3, 4)),
        feature_good=SCORES**2,
        feature_bad=-SCORES,
        feature_n_segments=[[1, 2, 3, 4], [1, 2, 3, 4], [1, 1.6, 3, 4]],
    )
    table.meta["ms_per_candidate"] = {"term": 2.0, "term.good": 0.5, "feature": 4}
    # means of the settings .333, .467, .367, .4: the best fixed one is 1, with .2, .3, .9
    rows = by_column(validity_report(table, train=table))
    good = rows["term.good"]
    assert good.score == "score.covering"
    assert good.within.mean == pytest.approx(-1)
    assert good.picked.mean == pytest.approx((0.4 + 0.4 + 0.9) / 3)
    assert good.gain.mean == pytest.approx(0.3 / 3)
    assert good.gain_per_ms == pytest.approx(0.1 / 0.5)
    assert good.across.mean == pytest.approx(-1)
    assert good.collapse_rate == pytest.approx(1 / 3)  # picks 4, 1 and 1.6 segments
    bad = rows["term.bad"]
    assert bad.within.mean == pytest.approx(1)
    assert bad.picked.mean == pytest.approx((0.1 + 0.1 + 0.5) / 3)
    assert bad.gain_per_ms == pytest.approx(bad.gain.mean / 2)
    blank = rows["term.blank"]  # takes the default
    assert np.isnan(blank.within.mean)
    assert blank.within.n_skipped == 3
    assert blank.picked.mean == pytest.approx((0.1 + 0.4 + 0.5) / 3)
    assert blank.collapse_rate == 1
    for feature, sign in (("feature.good", 1), ("feature.bad", -1)):  # a feature's direction is learned
        assert rows[feature].within.mean == pytest.approx(sign)
        assert rows[feature].gain.mean == pytest.approx(0.1)


def test_the_sign_comes_from_training():
    table = table_of(SCORES, feature_x=SCORES)
    train = table_of(SCORES, feature_x=-SCORES)
    row = validity_report(table, train=train)[0]
    assert row.within.mean == pytest.approx(1)
    assert row.picked.mean == pytest.approx((0.1 + 0.1 + 0.5) / 3)
    assert row.collapse_rate is None
    assert row.gain_per_ms is None


def test_the_best_fixed_setting_is_that_of_the_protocols():
    cases = [Case("a"), Case("b"), Case("a", "fog:3")]
    table = table_of([[0.5, 0.6], [0.5, 0.6], [0.9, 0.0]], cases=cases, term_x=[[0, 1]] * 3)
    row = validity_report(table, train=table)[0]
    # images a: (.5 + .9) / 2 against (.6 + 0) / 2; b: .5 against .6
    assert row.gain.mean == pytest.approx(((0.7 - 0.3) + (0.5 - 0.6)) / 2)
    assert row.gain.n == 2
    assert validity_report(table.where(disturbance="fog:3"), train=table.where(disturbance="fog:3"))[0].gain.mean == 0


def test_an_image_is_one_witness():
    """Ten copies of the cases of one image change nothing about the interval."""
    rng = np.random.default_rng(0)
    scores, term = rng.random((2, 6, 9))
    once = table_of(scores, term_x=term)
    copies = np.repeat(np.arange(6), 10)
    cases = [Case(f"i{i}", "none", seed) for seed, i in enumerate(copies)]
    often = table_of(scores[copies], cases=cases, term_x=term[copies])
    one, ten = validity_report(once, train=once)[0], validity_report(often, train=often)[0]
    for name in ("within", "near", "across", "picked", "gain"):
        a, b = getattr(one, name), getattr(ten, name)
        np.testing.assert_allclose([a.mean, a.low, a.high, a.n], [b.mean, b.low, b.high, b.n], atol=1e-9)


def test_chosen_columns_scores_and_markdown():
    table = table_of(SCORES, term_a=SCORES, term_b=-SCORES).with_columns({"score.pri": SCORES})
    rows = validity_report(table, train=table)
    assert [(r.score, r.column) for r in rows] == [
        (score, column) for score in ("score.covering", "score.pri") for column in ("term.b", "term.a")
    ]  # the better first
    text = validity_markdown(rows)
    assert text.count("### ") == 2
    assert "### pri" in text
    assert text.count("| term.b |") == 2
    assert len(validity_report(table, train=table, scores=["score.pri"], columns=["term.a"])) == 1


def test_a_column_with_holes():
    term = SCORES.copy() * -1
    term[0, 3] = np.nan  # the best setting of image 0 has no value: not picked
    term[1] = np.nan
    row = validity_report(table_of(SCORES, term_x=term), train=table_of(SCORES))[0]
    assert row.within.mean == pytest.approx(-1)
    assert (row.within.n, row.within.n_skipped) == (2, 1)
    assert row.picked.mean == pytest.approx((0.3 + 0.4 + 0.9) / 3)
    assert row.across.n == 2


finite = st.integers(0, 5).map(float)


@given(arrays(float, (4, 6), elements=finite | st.just(np.nan)), arrays(float, (4, 6), elements=finite))
def test_rank_correlation_is_scipys(x, y):
    for value, a, b in zip(heard_rank_correlation(x, y), x, y, strict=True):
        heard = ~np.isnan(a)
        if heard.sum() < 3 or np.ptp(a[heard]) == 0 or np.ptp(b[heard]) == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(spearmanr(a[heard], b[heard]).statistic, abs=1e-9)


@given(arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32)))
def test_the_scores_themselves_are_the_oracle(scores):
    table = table_of(scores, term_perfect=-scores)
    row = validity_report(table, train=table)[0]
    assert row.picked.mean == pytest.approx(protocols.oracle(table).scores.mean())
    assert row.gain.mean >= -1e-9


def test_near_settings_by_hand():
    u = np.array([[0, 0], [1, 1], [0.1, 0], [-0.2, 0], [0, 0.3]], np.float32)
    assert near_default(u, share=0.5, at_least=1).tolist() == [0, 2]
    assert near_default(u, share=0.6, at_least=1).tolist() == [0, 2, 3]
    assert near_default(u, share=0.1, at_least=4).tolist() == [0, 2, 3, 4]
    assert len(near_default(u, share=0.1)) == 5
    with pytest.raises(ValueError, match="share"):
        near_default(u, share=0)


def test_small_parts():
    assert feature_sign(np.zeros((2, 4)), np.eye(2, 4)) == 0
    costs = {"term": 1, "term.stab": 2, "term.stability": 3}
    assert [cost_of(name, costs) for name in ("term.stability", "term.x", "feature.x")] == [3, 1, None]
    table = table_of([[0, 0]], term_n_segments=[[1.4, 1.5]])
    assert [collapse_rate(table, np.array([i])) for i in (0, 1)] == [1, 0]
