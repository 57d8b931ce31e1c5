"""How sure to be: the error by hand, the temperature against one that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from ciliary.tuning.benchmarks.naming import calibration_error, confidence, fit_temperature


def test_calibration_error_by_hand():
    """Of two bins, one holds 0.3 and 0.5, one right: gap 0.1; the other 0.7, 0.9 and 1.0, one right: gap 1.6 / 3."""
    sureness, is_right = np.array([0.3, 0.5, 0.7, 0.9, 1.0]), np.array([True, False, True, False, False])
    assert calibration_error(sureness, is_right, n_bins=2) == pytest.approx(2 / 5 * 0.1 + 3 / 5 * 1.6 / 3)
    # of five bins, 0.3 and 0.5 are in one each
    assert calibration_error(sureness[:2], is_right[:2], n_bins=5) == pytest.approx((0.7 + 0.5) / 2)


def test_bins_are_closed_above():
    """0.5 lies in the lower of two bins: together with 0.4, not with 0.6."""
    sureness, is_right = np.array([0.4, 0.5, 0.6]), np.array([1, 0, 1])
    assert calibration_error(sureness, is_right, n_bins=2) == pytest.approx((abs(0.6 - 0.5) + 0.4) / 3)


@pytest.mark.parametrize("sureness", [0.0, 0.2, 1.0])
def test_always_right_or_always_wrong(sureness):
    given_ = np.full(10, sureness)
    assert calibration_error(given_, np.ones(10, bool)) == pytest.approx(1 - sureness)
    assert calibration_error(given_, np.zeros(10, bool)) == pytest.approx(sureness)


def test_calibration_error_against_a_plain_loop():
    rng = np.random.default_rng(0)
    sureness, right = rng.uniform(0, 1, 500), rng.random(500) < 0.6
    expected = 0.0
    for i in range(15):
        own = (sureness > i / 15) & (sureness <= (i + 1) / 15)
        if own.any():
            expected += own.mean() * abs(right[own].mean() - sureness[own].mean())
    assert calibration_error(sureness, right) == pytest.approx(expected)


def test_nothing_to_say():
    assert np.isnan(calibration_error(np.array([]), np.array([])))
    assert np.isnan(calibration_error(np.array([np.nan]), np.array([True])))
    assert np.isnan(fit_temperature(np.empty((0, 3)), np.empty(0, int)))
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        calibration_error(np.array([1.5]), np.array([True]))
    with pytest.raises(ValueError, match="of one shape"):
        calibration_error(np.array([0.5]), np.array([True, False]))


@pytest.mark.parametrize("temperature", [0.05, 1.0, 8.0])
def test_a_known_temperature_is_found(temperature):
    rng = np.random.default_rng(0)
    scores = temperature * 2 * rng.standard_normal((20_000, 5))
    probabilities = softmax(scores / temperature, axis=1)
    labels = (probabilities.cumsum(1) < rng.random((20_000, 1))).sum(1)
    found = fit_temperature(scores, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    is_right = scores.argmax(1) == labels
    assert calibration_error(confidence(scores, found), is_right) < 0.02
    assert calibration_error(confidence(scores, temperature / 10), is_right) > 0.1  # ten times too sure


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_temperature_changes_how_sure_and_nothing_else(seed, n_classes):
    rng = np.random.default_rng(seed)
    scores, labels = rng.standard_normal((8, n_classes)), rng.integers(0, n_classes, 8)
    temperature = fit_temperature(scores, labels)
    assert (softmax(scores / temperature, axis=1).argmax(1) == scores.argmax(1)).all()

    def likelihood(t):
        return log_softmax(scores / t, axis=1)[np.arange(8), labels].mean()

    assert likelihood(temperature) >= likelihood(1.0) - 1e-4
    sureness = confidence(scores, temperature)
    assert ((1 / n_classes - 1e-9 <= sureness) & (sureness <= 1 + 1e-9)).all()
