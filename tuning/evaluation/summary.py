"""How the methods of a contest stand: each against the fixed setting, the best fixed one, and what was possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.envs.metrics.statistics import (
    Interval,
    bootstrap_mean,
    gap_closed,
    harm_rate,
    paired_difference,
)
from ciliary.tuning.evaluation.selectors import (
    CLEAN,
    COVERING,
    default_groups,
    group_means,
    recovered_of,
    scores_of,
)
from ciliary.tuning.evaluation.table import ResponseTable

FIXED = "fixed"
BEST_FIXED = "best fixed"
ORACLE = "oracle"


@dataclass(frozen=True)
class ContestRow:
    """A method on a group of cases; the unit of every interval is the image.

    Attributes:
        covering: mean region covering.
        gain: over the fixed setting, paired; None for itself.
        gain_over_best: over the best fixed setting; None when that did not play.
        gap_closed: share of the way from fixed to the oracle; None without an oracle of these cases.
        harm_rate: share of the cases that score worse than fixed by more than the tolerance.
        recovered: share of what the disturbance costs the fixed setting that is won back; None for clean cases.
        changed: share of the cases in which the defaults were left.
        n_evaluations, seconds: mean of an episode; None for the oracle.
    """

    method: str
    disturbance: str
    n_images: int
    covering: Interval
    gain: Interval | None
    gain_over_best: Interval | None
    gap_closed: Interval | None
    harm_rate: float
    recovered: Interval | None
    changed: float | None
    n_evaluations: float | None
    seconds: float | None


def oracle_scores(contest: ResponseTable, response: ResponseTable | None = None) -> np.ndarray:
    """The best that could be had of each case, (C,): over the methods, and the settings of the response table if given.

    Args:
        contest: (C, M) methods.
        response: matched by image and disturbance; cases it does not have are NaN, since the best of a few methods is
            no oracle beside the best of many settings.
    """
    best = scores_of(contest).max(1)
    if response is None:
        return best
    ceiling: dict[tuple[str, str], float] = {}
    for case, value in zip(response.cases, scores_of(response).max(1), strict=True):
        key = (case.image, case.disturbance)
        ceiling[key] = max(ceiling.get(key, -np.inf), value)
    found = np.array([ceiling.get((case.image, case.disturbance), np.nan) for case in contest.cases])
    return np.maximum(best, found)  # NaN stays


def contest_rows(
    contest: ResponseTable,
    *,
    oracle: np.ndarray | None = None,
    fixed: str = FIXED,
    best_fixed: str = BEST_FIXED,
    groups: Mapping[str, str | Sequence[str]] | None = None,
    harm_tolerance: float = 0.005,
) -> list[ContestRow]:
    """One row for each group of cases and method, the oracle last.

    Args:
        contest: (C, M), ``meta["methods"]`` has the M labels.
        oracle: (C,) as :func:`oracle_scores` gives it; None leaves it out.
        fixed: label of the fixed setting, the reference.
        best_fixed: label of the best fixed setting; need not have played.
        groups: label -> pattern(s) of disturbance; :func:`~ciliary.tuning.evaluation.selectors.default_groups` when
            None, of groups with the same cases the first.
        harm_tolerance: of covering, before a case counts as made worse.

    Raises:
        ValueError: the fixed setting did not play, or a group has no case.
    """
    labels: list[str] = list(contest.meta.get("methods", ()))
    if len(labels) != contest.n_settings or fixed not in labels:
        raise ValueError(f"expected a contest of {contest.n_settings} methods, {fixed!r} among them; got {labels}")
    scores = dict(zip(labels, scores_of(contest, COVERING).T, strict=True))
    if oracle is not None:
        scores[ORACLE] = np.asarray(oracle, float)
    clean = contest.rows(disturbance=CLEAN)
    result = []
    seen: set[tuple[int, ...]] = set()
    for label, pattern in (default_groups(contest) if groups is None else groups).items():
        rows = contest.rows(disturbance=pattern)
        if groups is None and tuple(rows) in seen:  # of one severity, that and "all disturbed" are the same
            continue
        seen.add(tuple(rows))
        if not len(rows):
            raise ValueError(f"no case in group {label!r} ({pattern!r}); there are {sorted(set(contest.disturbances))}")
        means = {name: group_means(contest, values, rows) for name, values in scores.items()}
        base = _array(means[fixed])
        best = _array(means[best_fixed]) if best_fixed in means else None
        has_oracle = ORACLE in means and np.isfinite(_array(means[ORACLE])).all()
        at_clean = {} if set(rows) & set(clean) else group_means(contest, scores[fixed], clean)
        for name in means:
            if name == ORACLE and not has_oracle:
                continue
            values = _array(means[name])
            i = labels.index(name) if name in labels else None
            result.append(
                ContestRow(
                    name,
                    label,
                    len(values),
                    covering=bootstrap_mean(values),
                    gain=None if name == fixed else paired_difference(values, base),
                    gain_over_best=None if best is None else paired_difference(values, best),
                    gap_closed=gap_closed(base, values, _array(means[ORACLE]))
                    if has_oracle and name != fixed
                    else None,
                    harm_rate=harm_rate(scores[name][rows], scores[fixed][rows], tolerance=harm_tolerance),
                    recovered=None if name == fixed else recovered_of(at_clean, means[fixed], means[name]),
                    changed=_mean(contest, "is_changed", rows, i),
                    n_evaluations=_mean(contest, "n_evaluations", rows, i),
                    seconds=_mean(contest, "seconds", rows, i),
                )
            )
    return result


def pooled_groups(rows: Sequence[ContestRow]) -> list[str]:
    """Groups that the page shows in full: clean, and those that pool disturbances; all when nothing is pooled."""
    labels = list(dict.fromkeys(row.disturbance for row in rows))
    pooled = [label for label in labels if ":" not in label]
    return pooled if len(pooled) > 1 or pooled == labels else labels


def _array(means: Mapping[str, float]) -> np.ndarray:
    return np.array(list(means.values()))


def _mean(table: ResponseTable, column: str, rows: np.ndarray, i_method: int | None) -> float | None:
    if i_method is None or column not in table.columns:
        return None
    return float(table.column(column)[rows, i_method].mean())
