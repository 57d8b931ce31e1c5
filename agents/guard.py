"""The guard: a setting found by search is applied only if its gain exceeds the objective's own noise.

The search sees the loss on one set of views and picks its lowest value, which flatters the pick (winner's curse). The
guard measures the pick and the defaults again, paired, on K fresh sets of views, and keeps the defaults unless

    mean gain > z * standard error,   standard error = std(gain, ddof=1) / sqrt(K).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ciliary.agents.trace import GuardDecision, best_trial

_STREAM = 0x6A12D  # keeps the guard's view seeds apart from every other use of the episode's seed


@dataclass(frozen=True)
class Guard:
    """Settings of the guard.

    Attributes:
        n_views_seeds: K, fresh sets of views, >= 2.
        z: one-sided normal quantile a gain must reach; 1.64 is the 5 % level. With K = 4 the standard error is itself a
            guess from four numbers, and about 10 % of gainless settings pass (Student's t, 3 degrees of freedom).
        min_gain: gain below which a change is not worth it, however sure; for objectives that predict a score.
    """

    n_views_seeds: int = 4
    z: float = 1.64
    min_gain: float = 0.0

    def __post_init__(self) -> None:
        if self.n_views_seeds < 2:
            raise ValueError(f"expected n_views_seeds >= 2, got {self.n_views_seeds}")


def views_seeds(seed: int, *, n: int) -> list[int]:
    """``n`` view seeds derived from the episode's seed, none of them used by the search."""
    return [int(s) for s in np.random.SeedSequence([seed, _STREAM]).generate_state(n)]


def judge(default: np.ndarray, candidate: np.ndarray, *, guard: Guard) -> GuardDecision:
    """Decide from fresh totals.

    Args:
        default: (K,) totals of the defaults.
        candidate: (K,) totals of the candidate, same views.
        guard: settings.
    """
    if not np.isfinite(candidate).all():
        return GuardDecision(False, math.nan, math.nan, "Not finite on fresh views: defaults kept.")
    if not np.isfinite(default).all():
        return GuardDecision(True, math.nan, math.nan, "The defaults are not finite on fresh views: accepted.")
    gains = default - candidate
    gain = float(gains.mean())
    error = float(gains.std(ddof=1) / math.sqrt(len(gains)))
    is_accepted = gain > max(guard.z * error, guard.min_gain)
    sign, verdict = (">", "accepted") if is_accepted else ("<=", "defaults kept")
    is_by_noise = guard.z * error >= guard.min_gain
    bar = f"{guard.z:.2f} x standard error {error:.2g}" if is_by_noise else f"least gain {guard.min_gain:.3g}"
    reason = f"Mean gain {gain:.4g} {sign} {bar} on {len(gains)} fresh view sets: {verdict}."
    return GuardDecision(is_accepted, gain, error, reason)


def choose_exactly(total: np.ndarray, *, guard: Guard) -> tuple[int, GuardDecision]:
    """The trial to apply where a setting is always worth the same: nothing needs to be measured again.

    Args:
        total: (T,) totals of the search; row 0 is the default.
        guard: its least gain is what counts.
    """
    i_best = best_trial(total)
    gain = float(total[0] - total[i_best]) if np.isfinite(total[0]) else math.nan
    if i_best == 0:
        return 0, GuardDecision(False, 0.0, 0.0, "No trial beat the defaults: defaults kept.")
    if math.isnan(gain):
        return i_best, GuardDecision(True, math.nan, 0.0, "The defaults are not finite: accepted.")
    is_accepted = gain > guard.min_gain
    sign, verdict = (">", "accepted") if is_accepted else ("<=", "defaults kept")
    reason = f"Gain {gain:.4g} {sign} least gain {guard.min_gain:.3g}, without noise: {verdict}."
    return (i_best if is_accepted else 0), GuardDecision(is_accepted, gain, 0.0, reason)


def choose(
    total: np.ndarray,
    u: np.ndarray,
    evaluate: Callable[[np.ndarray, int], np.ndarray],
    *,
    seed: int,
    guard: Guard,
) -> tuple[int, GuardDecision]:
    """The trial to apply: the one the guard accepts, or 0, the default.

    Args:
        total: (T,) totals of the search; row 0 is the default.
        u: (T, P) its settings.
        evaluate: (u (N, P), views seed) -> totals (N,) on those views.
        seed: of the episode.
        guard: settings.
    """
    i_best = best_trial(total)
    if i_best == 0:
        return 0, GuardDecision(False, 0.0, 0.0, "No trial beat the defaults: defaults kept.")
    population = u[[0, i_best]]
    fresh = np.stack([evaluate(population, s) for s in views_seeds(seed, n=guard.n_views_seeds)])
    decision = judge(fresh[:, 0], fresh[:, 1], guard=guard)
    return (i_best if decision.is_accepted else 0), decision
