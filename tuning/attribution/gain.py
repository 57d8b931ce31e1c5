"""What an episode gained, as a game whose players are the parameters that moved, or the looks that were taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.integration.similarity import likeness
from ciliary.cortex.table import ParameterTable
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.attribution.shapley import Shares, permutations_within, shapley

MOVED = 1e-3  # in u: less is rounding, as on the page of an episode
_CANCELLED = 0.1  # of the sum of the shares' sizes
_AT_ONCE = 16  # settings a call, so that a bar moves
_SAME_TOTAL = 2e-3  # two runs of one cortex differ by rounding, which may move a border by a pixel


class NothingMoved(ValueError):
    """The defaults were kept: there is nothing to share."""


@dataclass(frozen=True)
class Why:
    """Who brought what of an episode's gain.

    Attributes:
        names: P players: parameters, or looks.
        words: (P,) what each did.
        shares: of them.
        before, after: what the gain is a difference of.
        is_of_looks: whether the players are looks, and the values likenesses to what all looks come to.
    """

    names: tuple[str, ...]
    words: tuple[str, ...]
    shares: Shares
    before: float
    after: float
    is_of_looks: bool = False

    @property
    def rank_agreement(self) -> float:
        """Spearman's correlation of shares and what is lost when one is undone; NaN where it has no meaning."""
        if len(self.names) < 3 or np.ptp(self.shares.share) == 0 or np.ptp(self.shares.undone) == 0:
            return float("nan")
        return float(spearmanr(self.shares.share, self.shares.undone).statistic)

    @property
    def percent(self) -> np.ndarray:
        """(P,) shares in percent of the gain; NaN where they cancel, and a percentage would say nothing."""
        sizes = np.abs(self.shares.share).sum()
        if not self.shares.gain > _CANCELLED * sizes:
            return np.full(len(self.names), np.nan)
        return 100 * self.shares.share / self.shares.gain

    @property
    def order(self) -> np.ndarray:
        """(P,) players by the size of their share, the largest first."""
        return np.argsort(-np.abs(self.shares.share), kind="stable")


def explain(
    env: AccommodationEnv,
    record: Mapping[str, Any],
    *,
    n_evaluations: int = 320,
    seed: int = 0,
    on_some: Callable[[int], object] = lambda n: None,
) -> Why:
    """Share out what an episode gained.

    Args:
        env: stands at the episode's image, as after its reset.
        record: see :mod:`ciliary.tuning.runs.record`.
        n_evaluations: settings that may be looked at, about.
        seed: of the orders.
        on_some: told of how many more were looked at.

    Raises:
        NothingMoved: the defaults were kept.
        ValueError: the environment finds other totals than the record tells, or one that is not finite.
    """
    u = np.array(record["history"]["u"], np.float32)
    if record["answer"] == "integrated":
        return _of_looks(env, u, n_evaluations, seed, on_some)
    if record["controller"] == "normalise":
        raise NothingMoved("the image's contrast was stretched, no parameter moved")
    first, last = np.array(record["history"]["u"][0]), u[record["i_chosen"]]
    moved = np.flatnonzero((np.abs(last - first) > MOVED) & ~np.isin(env.parameter_names, env.frozen))
    if not len(moved):
        raise NothingMoved("the defaults were kept")

    def totals(settings: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(settings), _AT_ONCE):
            part = settings[start : start + _AT_ONCE]
            found.append(env.evaluate(part).terms["total"])
            on_some(len(part))
        return np.concatenate(found)

    def value(sets: np.ndarray) -> np.ndarray:
        settings = np.repeat(first[None], len(sets), 0)
        settings[:, moved] = np.where(sets, last[moved], first[moved])
        return -totals(settings)

    before, after = totals(np.stack([first, last]))
    _check(record, before, after)
    shares = shapley(value, len(moved), n_permutations=permutations_within(len(moved), n_evaluations), seed=seed)
    table = env.parameters
    names = tuple(table.names[i] for i in moved)
    return Why(names, tuple(_change(table, int(i), first, last) for i in moved), shares, float(before), float(after))


def _of_looks(
    env: AccommodationEnv, u: np.ndarray, n_evaluations: int, seed: int, on_some: Callable[[int], object]
) -> Why:
    """Players are the looks beside the first, which is at the defaults and always there.

    A set is worth the likeness of what it comes to with the first, to what all looks come to: the gain is how far the
    answer has left the percept at the defaults. It is no loss, since no label says which looks were right.
    """
    env.take_looks(u)
    looks = env.looks.looks
    if len(looks) < 2:
        raise NothingMoved("there was one look")
    kept = [i for i in range(len(u)) if not (np.abs(u[:i] - u[i]).max(1) < 1e-4).any()]  # each setting looked once
    answer = integrate(looks).segments

    def worth(chosen: np.ndarray) -> float:
        on_some(1)
        seen = integrate(looks.take([0, *(np.flatnonzero(chosen) + 1).tolist()]))
        return float(likeness(seen.segments, answer)[0])

    def value(sets: np.ndarray) -> np.ndarray:
        return np.array([worth(one) for one in sets])

    n = len(looks) - 1
    shares = shapley(value, n, n_permutations=permutations_within(n, n_evaluations), seed=seed)
    names = tuple(f"look {i}" for i in range(1, n + 1))
    words = tuple(_words_of(env.parameters, u[0], u[i]) for i in kept[1:])
    return Why(names, words, shares, 1 - shares.gain, 1.0, is_of_looks=True)


def _check(record: Mapping[str, Any], before: float, after: float) -> None:
    for name, found in (("before", before), ("after", after)):
        told = record[name]["total"]
        if told is None or not abs(found - told) < _SAME_TOTAL:
            raise ValueError(
                f"the record tells a total of {told} {name}, the same setting has {found:.4f} now; the image, the "
                "objective or the code changed since: accommodate again"
            )


def _change(table: ParameterTable, i: int, first: np.ndarray, last: np.ndarray) -> str:
    one, other = (table.to_physical(u[None])[0, i] for u in (first, last))
    unit = table[i].unit.replace("^2", "²")
    if unit == "1" and table[i].scale == "int":  # a choice, such as who looks
        return f"{one:.0f} → {other:.0f}"
    return f"{one:.3g} → {other:.3g}" + (f" {unit}" if unit not in ("", "1") else "")


def _words_of(table: ParameterTable, first: np.ndarray, last: np.ndarray, n_most: int = 2) -> str:
    """The parameters in which a look differs most."""
    change = np.abs(last - first)
    most = [int(i) for i in np.argsort(-change, kind="stable")[:n_most] if change[i] > MOVED]
    return ", ".join(f"{table.names[i]} {_change(table, i, first, last)}" for i in most)
