"""Shares of a gain by the Shapley value (Shapley 1953), exactly or from sampled orders.

A player's value is what it adds to those before it, mean over all orders in which players may come. Orders are sampled
in antithetic pairs, an order and its reverse (Mitchell, Cooper, Frank & Holmes 2022): whatever two players do together
then falls out of the noise, and only what three or more do together is left in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_EXACT = 6  # players whose 2^P sets are all valued: 64, as many as a few orders cost

Value = Callable[[np.ndarray], np.ndarray]
"""Sets of players, (N, P) bool, to what each set is worth, (N,)."""


@dataclass(frozen=True)
class Shares:
    """Who brought what of P players.

    Attributes:
        share: (P,) Shapley values; they sum to ``gain``.
        standard_error: (P,) of ``share``, over pairs of orders; 0 where all sets were valued, NaN of a single pair.
        undone: (P,) what is lost if this one alone is taken back, v(all) - v(all but it).
        gain: v(all) - v(none).
        n_evaluations: sets that were valued.
        is_exact: whether all sets were.
    """

    share: np.ndarray
    standard_error: np.ndarray
    undone: np.ndarray
    gain: float
    n_evaluations: int
    is_exact: bool


def shapley(value: Value, n_players: int, *, n_permutations: int = 8, seed: int = 0) -> Shares:
    """The Shapley value of each player.

    Args:
        value: called once, with every set that is needed, each once.
        n_players: P >= 1; up to :data:`MOST_EXACT` all sets are valued, and no order is sampled.
        n_permutations: orders to sample, an even number: each comes with its reverse.
        seed: of the orders.

    Raises:
        ValueError: no players, an odd number of orders, or a set whose value is not a finite number.
    """
    if n_players < 1 or n_permutations < 2 or n_permutations % 2:
        raise ValueError(f"expected n_players >= 1 and an even n_permutations, got {n_players} and {n_permutations}")
    everyone = np.ones(n_players, dtype=bool)
    if n_players <= MOST_EXACT:
        sets = (np.arange(2**n_players)[:, None] >> np.arange(n_players)) & 1 == 1
        worth = _valued(value, sets)
        n_without = sets.sum(1)
        weight = np.array([1 / (n_players * math.comb(n_players - 1, k)) for k in range(n_players)])
        share = np.empty(n_players)
        for i in range(n_players):
            without = np.flatnonzero(~sets[:, i])
            share[i] = (weight[n_without[without]] * (worth[without + 2**i] - worth[without])).sum()
        undone = worth[-1] - worth[len(sets) - 1 - 2 ** np.arange(n_players)]
        return Shares(share, np.zeros(n_players), undone, float(worth[-1] - worth[0]), len(sets), True)
    orders = _orders(n_players, n_permutations, seed)
    rank = orders.argsort(1)
    prefixes = rank[:, None] < np.arange(n_players + 1)[:, None]  # (M, P+1, P): the first 0, 1, ... P of each order
    all_but_one = ~np.eye(n_players, dtype=bool)
    sets, place = np.unique(
        np.concatenate([prefixes.reshape(-1, n_players), all_but_one, everyone[None]]), axis=0, return_inverse=True
    )
    worth = _valued(value, sets)[place.ravel()]
    along = worth[: prefixes.shape[0] * prefixes.shape[1]].reshape(prefixes.shape[:2])
    added = np.take_along_axis(np.diff(along, axis=1), rank, 1)  # (M, P), by player
    pairs = added.reshape(-1, 2, n_players).mean(1)
    error = pairs.std(0, ddof=1) / math.sqrt(len(pairs)) if len(pairs) > 1 else np.full(n_players, np.nan)
    undone = worth[-1] - worth[-1 - n_players : -1]
    gain = float(along[0, -1] - along[0, 0])
    return Shares(pairs.mean(0), error, undone, gain, len(sets), False)


def permutations_within(n_players: int, n_evaluations: int) -> int:
    """As many orders as so many evaluations allow, an even number; at least two pairs, which tell how sure they are."""
    pairs = (n_evaluations - n_players - 2) // (2 * max(1, n_players - 1))
    return 2 * max(2, pairs)


def _orders(n_players: int, n: int, seed: int) -> np.ndarray:
    """(n, P): orders, each followed by its reverse."""
    rng = np.random.default_rng(seed)
    forward = np.stack([rng.permutation(n_players) for _ in range(n // 2)])
    return np.stack([forward, forward[:, ::-1]], 1).reshape(n, n_players)


def _valued(value: Value, sets: np.ndarray) -> np.ndarray:
    worth = np.asarray(value(sets), dtype=float)
    if worth.shape != (len(sets),) or not np.isfinite(worth).all():
        n_bad = int((~np.isfinite(worth)).sum())
        raise ValueError(f"expected a finite value of each of {len(sets)} sets, got shape {worth.shape}, {n_bad} not")
    return worth
