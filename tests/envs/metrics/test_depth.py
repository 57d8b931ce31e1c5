"""Agreement of relative with true depth: what no unit changes, and what an answer that looks at nothing gets."""

import numpy as np
import pytest

from ciliary.envs.metrics.depth import aligned_log_rmse, ordered_pairs, rank_agreement

DEPTH = np.exp(np.random.default_rng(0).normal(size=(24, 32)))
UNKNOWN = np.where(np.random.default_rng(1).random((24, 32)) < 0.2, 0, DEPTH)


def test_the_truth_in_any_unit_is_perfect():
    guess = 0.3 * np.log(DEPTH) - 2
    assert aligned_log_rmse(guess, UNKNOWN) == pytest.approx(0, abs=1e-9)
    assert rank_agreement(guess, 1000 * UNKNOWN) == pytest.approx(1)
    assert ordered_pairs(guess, 1000 * UNKNOWN) == 1


@pytest.mark.parametrize("guess", [np.zeros((24, 32)), -np.log(DEPTH)])
def test_a_constant_and_the_wrong_way_round_get_the_spread(guess):
    assert aligned_log_rmse(guess, DEPTH) == pytest.approx(np.log(DEPTH).std())


def test_a_constant_has_no_order():
    assert rank_agreement(np.zeros((24, 32)), DEPTH) == 0
    assert ordered_pairs(np.zeros((24, 32)), DEPTH) == 0.5
    assert rank_agreement(-DEPTH, DEPTH) == pytest.approx(-1)
    assert ordered_pairs(-DEPTH, DEPTH) == 0
    assert np.isnan(ordered_pairs(DEPTH, np.ones((24, 32))))


def test_wrong_maps_are_named():
    with pytest.raises(ValueError, match="one shape"):
        aligned_log_rmse(DEPTH[:2], DEPTH)
    with pytest.raises(ValueError, match="pixels of known depth, got 0"):
        rank_agreement(DEPTH, 0 * DEPTH)
