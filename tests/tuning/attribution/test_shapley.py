"""Shapley values against games whose answer is known by hand, and against all orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from ciliary.tuning.attribution.shapley import permutations_within, shapley


def gloves(sets: np.ndarray) -> np.ndarray:
    """Player 0 has a left glove, 1 and 2 a right one each: a pair is worth 1. By hand: 4/6, 1/6, 1/6."""
    return (sets[:, 0] & (sets[:, 1] | sets[:, 2])).astype(float)


def of_all_orders(value, n: int) -> np.ndarray:
    worth = value((np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1)
    total = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        there = 0
        for player in order:
            total[player] += worth[there | 1 << player] - worth[there]
            there |= 1 << player
    return total / len(orders)


def polynomial(n: int, degree: int, seed: int = 0):
    """A random game in which at most ``degree`` players do something together."""
    rng = np.random.default_rng(seed)
    terms = [(rng.normal(), rng.choice(n, rng.integers(1, degree + 1), replace=False)) for _ in range(4 * n)]
    return lambda sets: sum(c * sets[:, players].all(1) for c, players in terms) + 3.0


def test_gloves_by_hand():
    found = shapley(gloves, 3)
    np.testing.assert_allclose(found.share, [4 / 6, 1 / 6, 1 / 6])
    np.testing.assert_array_equal(found.undone, [1, 0, 0])  # undoing one right glove costs nothing: the other is there
    assert (found.gain, found.n_evaluations, found.is_exact) == (1, 8, True)
    np.testing.assert_array_equal(found.standard_error, 0)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_exact_is_the_mean_over_all_orders(n):
    value = polynomial(n, n)
    found = shapley(value, n)
    np.testing.assert_allclose(found.share, of_all_orders(value, n), atol=1e-12)


@pytest.mark.parametrize("n", [3, 7, 20])
def test_shares_sum_to_the_gain_exactly(n):
    found = shapley(polynomial(n, min(n, 5)), n, n_permutations=4)
    assert found.share.sum() == pytest.approx(found.gain, abs=1e-12)


def test_a_pair_of_orders_is_exact_where_only_pairs_interact():
    """Before and after a player in an order and its reverse stand all others once."""
    value = polynomial(7, 2, seed=3)
    found = shapley(value, 7, n_permutations=4, seed=5)
    np.testing.assert_allclose(found.share, of_all_orders(value, 7), atol=1e-12)
    np.testing.assert_allclose(found.standard_error, 0, atol=1e-12)


def test_standard_errors_tell_how_far_off_it_is():
    value = polynomial(7, 5, seed=1)
    truth = of_all_orders(value, 7)
    runs = [shapley(value, 7, n_permutations=32, seed=seed) for seed in range(40)]
    z = np.stack([(one.share - truth) / one.standard_error for one in runs])
    assert 0.7 < np.sqrt((z**2).mean()) < 1.5
    assert shapley(value, 7, n_permutations=256, seed=9).standard_error.mean() < runs[0].standard_error.mean()


def test_symmetric_players_have_like_shares_and_idle_ones_none():
    def value(sets):
        return sets[:, :3].sum(1) ** 2 + 0.0

    found = shapley(value, 8, n_permutations=200, seed=0)
    np.testing.assert_allclose(found.share[:3], 3, atol=1e-9)
    np.testing.assert_array_equal(found.share[3:], 0)


def test_each_set_is_valued_once_and_in_one_call():
    calls = []

    def value(sets):
        calls.append(sets.copy())
        return sets.sum(1).astype(float)

    found = shapley(value, 9, n_permutations=6)
    (sets,) = calls
    assert len(np.unique(sets, axis=0)) == len(sets) == found.n_evaluations


def test_same_seed_same_orders():
    value = polynomial(9, 4)
    one, again, other = (shapley(value, 9, n_permutations=4, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.share, again.share)
    assert (one.share != other.share).any()


@pytest.mark.parametrize("n", [8, 30])
def test_the_budget_is_kept(n):
    found = shapley(polynomial(n, 2), n, n_permutations=permutations_within(n, 300))
    assert found.n_evaluations <= 300


@pytest.mark.parametrize(("arguments", "match"), [((0, 2), "n_players"), ((3, 3), "even"), ((3, 0), "even")])
def test_what_is_refused(arguments, match):
    n, n_permutations = arguments
    with pytest.raises(ValueError, match=match):
        shapley(gloves, n, n_permutations=n_permutations)


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        shapley(lambda sets: np.where(sets.all(1), np.nan, 0.0), 3)
