"""Intervals that hold what they promise, ratios by hand, and SciPy as the oracle of ranks and resampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ciliary.envs.metrics.statistics import (
    Bootstrap,
    across_image_rank_correlation,
    bootstrap_mean,
    bootstrap_of,
    gap_closed,
    harm_rate,
    paired_difference,
    recovered_share,
    within_image_rank_correlation,
)


def share_covered(interval_of, truth, n_trials=300):
    """Of how many simulated experiments the interval holds the truth."""
    held = 0
    for trial in range(n_trials):
        interval = interval_of(np.random.default_rng(trial))
        held += interval.low <= truth <= interval.high
    return held / n_trials


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says():
    # Binomial spread of 300 trials at .94 is .014: the band is three of them wide.
    def one(rng, level=0.95):
        return bootstrap_mean(rng.beta(4, 3, 60), how=Bootstrap(n_resamples=500, level=level))

    assert 0.90 <= share_covered(one, 4 / 7) <= 0.985
    assert 0.72 <= share_covered(lambda rng: one(rng, level=0.8), 4 / 7) <= 0.87


def test_the_interval_of_a_ratio_holds_it():
    def one(rng):
        fixed = rng.normal(0.5, 0.1, 80)
        gap = rng.exponential(0.1, 80)
        return gap_closed(
            fixed, fixed + 0.4 * gap + rng.normal(0, 0.03, 80), fixed + gap, how=Bootstrap(n_resamples=500)
        )

    assert 0.90 <= share_covered(one, 0.4) <= 0.985


def test_as_wide_as_the_textbook_and_as_scipy():
    values = np.random.default_rng(0).normal(size=200)
    ours = bootstrap_mean(values, how=Bootstrap(n_resamples=4000))
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(200)
    scipy = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert (ours.high - ours.low) / 2 == pytest.approx(half, rel=0.06)
    assert (ours.low, ours.high) == pytest.approx((scipy.low, scipy.high), abs=0.1 * half)


def test_pairing_removes_what_images_have_in_common():
    rng = np.random.default_rng(1)
    hard = rng.normal(0.5, 0.2, 100)  # images differ far more than the two choices do
    better = hard + 0.01 + rng.normal(0, 0.005, 100)
    difference = paired_difference(better, hard)
    assert difference.low > 0
    assert bootstrap_mean(better).low < bootstrap_mean(hard).high
    assert paired_difference(hard, better).high < 0


def test_an_image_seen_eight_times_is_one_witness():
    values = np.random.default_rng(2).normal(size=(40, 1))
    once, eight_times = bootstrap_mean(values[:, 0]), bootstrap_mean(values.repeat(8, 1))
    assert eight_times.n == 40
    assert (eight_times.low, eight_times.high) == pytest.approx((once.low, once.high))
    rows = np.array([[0.0, 1.0], [1.0, 1.0]])
    assert bootstrap_mean(rows).mean == 0.75


def test_gap_by_hand():
    fixed, chosen, oracle = np.array([0.5, 0.5]), np.array([0.6, 0.5]), np.array([0.7, 0.5])
    assert gap_closed(fixed, chosen, oracle).mean == pytest.approx(0.5)  # not the mean of .5 and 0/0
    assert gap_closed(fixed, oracle, oracle).mean == 1
    assert gap_closed(fixed, fixed, oracle).mean == 0
    assert gap_closed(fixed, fixed - 0.1, oracle).mean == pytest.approx(-1)


def test_a_constant_ratio_has_no_width():
    gap = np.random.default_rng(3).uniform(0.05, 0.2, 50)
    interval = gap_closed(np.zeros(50), 0.3 * gap, gap)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.3, 0.3, 0.3))


def test_without_a_gap_anything_is_possible():
    same = np.linspace(0.4, 0.6, 20)
    interval = gap_closed(same, same, same)
    assert np.isnan(interval.mean)
    assert (interval.low, interval.high) == (-np.inf, np.inf)
    # A gap in few images: many resamples miss it, but not so many that all is lost at a low level.
    oracle = same + np.eye(20)[0] * 0.1
    assert gap_closed(same, same, oracle).high == np.inf
    assert np.isfinite(gap_closed(same, same, oracle, how=Bootstrap(level=0.2)).high)


def test_recovered_share_by_hand():
    clean, disturbed = np.array([0.6, 0.5]), np.array([0.4, 0.3])
    assert recovered_share(clean, disturbed, disturbed + 0.05).mean == pytest.approx(0.25)
    assert recovered_share(clean, disturbed, clean).mean == pytest.approx(1)
    assert recovered_share(clean, disturbed, clean + 0.1).mean == pytest.approx(1.5)


def test_harm_by_hand():
    fixed = np.full(4, 0.5)
    chosen = np.array([0.4, 0.498, 0.5, 0.9])
    assert harm_rate(chosen, fixed) == 0.25
    assert harm_rate(chosen, fixed, tolerance=0.0) == 0.5
    assert harm_rate(chosen, fixed, tolerance=0.2) == 0


@given(seed=st.integers(0, 10**6), n_levels=st.sampled_from([2, 3, 50]))
def test_ranks_as_scipy_has_them(seed, n_levels):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, n_levels, (2, 6, 9)).astype(float)  # ties, and now and then a constant row
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True) if np.ptp(a) > 0 and np.ptp(b) > 0]
    got = within_image_rank_correlation(x, y, how=Bootstrap(n_resamples=50))
    assert (got.n, got.n_skipped) == (len(expected), 6 - len(expected))
    if expected:
        assert got.mean == pytest.approx(np.mean(expected), abs=1e-12)


def test_rank_correlation_by_hand():
    x = np.array([[1.0, 2, 3], [1, 2, 3], [5, 5, 5]])
    y = np.array([[10.0, 20, 900], [3, 2, 1], [1, 2, 3]])
    got = within_image_rank_correlation(x, y)
    assert (got.mean, got.n, got.n_skipped) == (0, 2, 1)
    assert within_image_rank_correlation(x[:1], y[:1]).mean == pytest.approx(1)
    nothing = within_image_rank_correlation(x[2:], y[2:])
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all()
    assert nothing.n_skipped == 1
    x[0, 2] = np.inf  # a setting that failed is the worst, not an error
    assert within_image_rank_correlation(x[:1], y[:1]).mean == pytest.approx(1)


def test_within_and_across_are_different_questions():
    # Within an image the term is noise; across images it knows which are hard.
    rng = np.random.default_rng(4)
    hard = rng.normal(size=(60, 1))
    x, y = (hard + 0.1 * rng.normal(size=(60, 30)) for _ in range(2))
    within, across = within_image_rank_correlation(x, y), across_image_rank_correlation(x[:, 0], y[:, 0])
    assert abs(within.mean) < 0.1
    assert across.low > 0.9
    assert across.mean == pytest.approx(stats.spearmanr(x[:, 0], y[:, 0]).statistic)
    assert across.low <= across.mean <= across.high
    assert np.isnan(across_image_rank_correlation(np.ones(5), np.arange(5.0)).mean)


def test_same_seed_same_interval():
    values = np.random.default_rng(5).random(30)
    assert bootstrap_mean(values, how=Bootstrap(seed=1)) == bootstrap_mean(values, how=Bootstrap(seed=1))
    assert bootstrap_mean(values, how=Bootstrap(seed=1)) != bootstrap_mean(values, how=Bootstrap(seed=2))
    assert str(bootstrap_mean(np.ones(3))) == "1.0000 [1.0000, 1.0000]"


def test_one_image_says_nothing_of_others():
    interval = bootstrap_mean(np.array([0.7]))
    assert (interval.mean, interval.low, interval.high) == (0.7, -np.inf, np.inf)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean(np.array([])), "one or more values"),
        (lambda: bootstrap_mean(np.array([1.0, np.nan])), "values: expected finite values, got 1"),
        (lambda: paired_difference(np.ones(3), np.ones(4)), "same images"),
        (lambda: bootstrap_mean(np.ones(3), how=Bootstrap(level=95)), r"level in \(0, 1\), got 95"),
        (lambda: bootstrap_mean(np.ones(3), how=Bootstrap(n_resamples=0)), "n_resamples"),
        (lambda: within_image_rank_correlation(np.ones(3), np.ones(3)), "images, settings"),
        (lambda: within_image_rank_correlation(np.full((1, 2), np.nan), np.ones((1, 2))), "x: .* got 2 NaN"),
        (lambda: across_image_rank_correlation(np.ones((2, 2)), np.ones((2, 2))), "images,"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_interval_of_any_number_is_that_of_the_mean_for_the_mean():
    values = np.random.default_rng(3).normal(size=(20, 4))
    found, known = bootstrap_of(lambda x: float(x.mean()), values), bootstrap_mean(values)
    assert (found.mean, found.low, found.high) == pytest.approx((known.mean, known.low, known.high))


def test_a_median_is_of_all_values_and_images_are_drawn_whole():
    values = np.array([[0.0, 0.0, 1.0], [5.0, 5.0, 9.0]])
    interval = bootstrap_of(lambda x: float(np.median(x)), values)
    assert (interval.low, interval.mean, interval.high) == (0.0, 3.0, 5.0)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_of(lambda x: float(np.median(x)), np.array([1.0, np.nan]))
