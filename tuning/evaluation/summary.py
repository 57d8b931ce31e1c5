"""How the methods stand with people: each against the fixed setting, the best fixed one, and what was possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ciliary.envs.metrics.statistics import Interval, paired_difference
from ciliary.tuning.evaluation.selectors import COVERING, default_groups, image_array, scores_of, stand
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


def groups_of(table: ResponseTable) -> dict[str, np.ndarray]:
    """Label -> indices of cases; of groups with the same cases the first."""
    groups: dict[str, np.ndarray] = {}
    for label, pattern in default_groups(table).items():
        rows = table.rows(disturbance=pattern)
        if not any(np.array_equal(rows, other) for other in groups.values()):
            groups[label] = rows
    return groups


def pooled(labels: Sequence[str]) -> list[str]:
    """Of groups, those that a page shows in full: clean, and those that pool disturbances; all if nothing is pooled."""
    each = list(dict.fromkeys(labels))
    some = [label for label in each if ":" not in label]
    return some if len(some) > 1 or some == each else each


def seed_means(played: ResponseTable) -> ResponseTable:
    """What was played, (C, S), with a setting a method, (C, M): every column averaged over the method's seeds."""
    labels = list(played.meta["methods"])
    order = list(dict.fromkeys(labels))
    index = [[i for i, label in enumerate(labels) if label == name] for name in order]
    columns = {
        name: np.stack([values[:, rows].mean(1) for rows in index], 1).astype(np.float32)
        for name, values in played.columns.items()
    }
    meta = {**played.meta, "methods": order, "n_seeds": [len(rows) for rows in index]}
    return replace(played, u=played.u[[rows[0] for rows in index]], columns=columns, meta=meta)


def oracle_scores(contest: ResponseTable, response: ResponseTable | None = None) -> np.ndarray:
    """The best that could be had of each case, (C,): over the methods, and the settings of the response table if given.

    Args:
        contest: (C, M) methods.
        response: matched by image and disturbance; cases it does not have are NaN, since the best of a few methods is
            no oracle beside the best of many settings.
    """
    best: np.ndarray = scores_of(contest).max(1)
    if response is None:
        return best
    ceiling: dict[tuple[str, str], float] = {}
    for case, value in zip(response.cases, scores_of(response).max(1), strict=True):
        key = (case.image, case.disturbance)
        ceiling[key] = max(ceiling.get(key, -np.inf), value)
    found = np.array([ceiling.get((case.image, case.disturbance), np.nan) for case in contest.cases])
    return np.asarray(np.maximum(best, found))  # NaN stays


def contest_rows(contest: ResponseTable, *, oracle: np.ndarray | None = None) -> list[ContestRow]:
    """One row for each group of cases and method, the oracle last.

    Args:
        contest: (C, M), ``meta["methods"]`` has the M labels, ``fixed`` among them.
        oracle: (C,) as :func:`oracle_scores` gives it; None leaves it out.

    Raises:
        ValueError: the fixed setting did not play.
    """
    labels: list[str] = list(contest.meta.get("methods", ()))
    if len(labels) != contest.n_settings or FIXED not in labels:
        raise ValueError(f"expected a contest of {contest.n_settings} methods, {FIXED!r} among them; got {labels}")
    scores = dict(zip(labels, scores_of(contest, COVERING).T, strict=True))
    result = []
    for label, rows in groups_of(contest).items():
        shown: dict[str, np.ndarray] = dict(scores)
        if oracle is not None and np.isfinite(oracle[rows]).all():
            shown[ORACLE] = np.asarray(oracle, float)
        best = image_array(contest, scores[BEST_FIXED], rows) if BEST_FIXED in scores else None
        found = stand(contest, shown, rows, reference=FIXED, ceiling=ORACLE if ORACLE in shown else None)
        for name, one in found.items():
            is_fixed, i = name == FIXED, labels.index(name) if name in labels else None
            values = image_array(contest, shown[name], rows)
            result.append(
                ContestRow(
                    name,
                    label,
                    one.n_images,
                    covering=one.score,
                    gain=None if is_fixed else one.gain,
                    gain_over_best=None if best is None else paired_difference(values, best),
                    gap_closed=None if is_fixed else one.gap_closed,
                    harm_rate=one.harm_rate,
                    recovered=None if is_fixed else one.recovered,
                    changed=_mean(contest, "is_changed", rows, i),
                    n_evaluations=_mean(contest, "n_evaluations", rows, i),
                    seconds=_mean(contest, "seconds", rows, i),
                )
            )
    return result


def _mean(table: ResponseTable, column: str, rows: np.ndarray, i_method: int | None) -> float | None:
    if i_method is None or column not in table.columns:
        return None
    return float(table.column(column)[rows, i_method].mean())
