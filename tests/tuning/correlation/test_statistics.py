"""Correlations, corrections and predictions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, pearsonr, spearmanr

from ciliary.envs.metrics.statistics import Bootstrap
from ciliary.tuning.correlation.statistics import associate, corrected, holm, nested_r2, predict, r2_of

FEW = Bootstrap(n_resamples=200)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(60, 5))


def test_holm_by_hand():
    """.01 x 4, .03 x 3, .04 x 2 -> not below .09, .2 x 1."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.2, 0.03])), [0.09, 0.04, 0.2, 0.09])
    np.testing.assert_allclose(holm(np.array([0.5, 0.9])), [1.0, 1.0])


def test_benjamini_and_hochberg_by_hand():
    """.01 x 4/1, .03 x 4/2, .04 x 4/3, .2: from below, none above the next."""
    np.testing.assert_allclose(
        corrected(np.array([0.04, 0.01, 0.2, 0.03]), "bh"), [0.16 / 3, 0.04, 0.2, 0.16 / 3], rtol=1e-12
    )
    with pytest.raises(ValueError, match="holm, bh"):
        corrected(np.array([0.1]), "bonferroni")


def test_correlations_are_scipy_s(x):
    y = x[:, 0] + x[:, 1]
    found = associate("a", x[:, 0], y, how=FEW)
    assert found.pearson.mean == pytest.approx(pearsonr(x[:, 0], y).statistic)
    assert found.spearman.mean == pytest.approx(spearmanr(x[:, 0], y).statistic)
    assert found.p == pytest.approx(spearmanr(x[:, 0], y).pvalue)
    assert found.pearson.low < found.pearson.mean < found.pearson.high


def test_unknown_images_are_left_out(x):
    a = x[:, 0].copy()
    a[:10] = np.nan
    assert associate("a", a, x[:, 1], how=FEW).n == 50


@pytest.mark.parametrize("column", [np.ones(60), np.r_[np.arange(9.0), np.full(51, np.nan)]])
def test_what_cannot_correlate(x, column):
    assert associate("a", column, x[:, 0], how=FEW) is None


def test_without_a_connection_p_values_are_uniform():
    rng = np.random.default_rng(4)
    how = Bootstrap(n_resamples=1)
    p = [associate("a", *rng.normal(size=(2, 30)), how=how).p for _ in range(300)]
    assert kstest(p, "uniform").pvalue > 0.01


def test_a_linear_function_is_predicted(x):
    y = x @ [2.0, -1.0, 0.0, 0.5, 0.0] + 7
    found = predict(x, y, n_permutations=20, how=FEW)
    assert found.r2.mean > 0.99
    assert found.p == pytest.approx(1 / 21)
    assert found.null_high < 0.3


def test_shuffled_ratings_are_within_the_null(x):
    y = np.random.default_rng(1).normal(size=60)
    found = predict(x, y, n_permutations=40, how=FEW)
    assert found.r2.mean < 0.15
    assert found.p > 0.05


def test_many_numbers_predict_noise_only_in_sample():
    """Forty numbers of noise fit sixty ratings well; on images not learned from they predict nothing."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 40)), rng.normal(size=60)
    fitted = x @ np.linalg.lstsq(x, y - y.mean(), rcond=None)[0]
    assert 1 - ((y - y.mean() - fitted) ** 2).sum() / ((y - y.mean()) ** 2).sum() > 0.4
    assert r2_of(nested_r2(x, y)) < 0.1


def test_nothing_of_a_test_image_is_learned(x):
    """The error of an image does not hang on its own numbers' unknowns elsewhere: medians are the training images'."""
    y = x[:, 0]
    holed = x.copy()
    holed[3, 1] = np.nan
    assert np.isfinite(nested_r2(holed, y)).all()
    assert r2_of(nested_r2(holed, y)) > 0.9


def test_the_mean_rating_is_zero():
    rng = np.random.default_rng(3)
    errors = nested_r2(np.zeros((40, 2)) + rng.normal(size=(40, 1)) * 1e-9, rng.normal(size=40))
    assert r2_of(errors) == pytest.approx(0, abs=0.2)
