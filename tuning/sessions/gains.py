"""What episodes gained: the numbers that a note, a table, a chart and a contact sheet of a session are made of."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ciliary.envs.metrics.statistics import Interval, bootstrap_mean

#: Of the terms these are better higher; all others are losses.
HIGHER_IS_BETTER = ("predicted_score",)
#: What an episode is judged by, in this order: what was minimised, then what holds on views that nobody searched on.
JUDGED = ("total", "predicted_score", "stability", "consistency")
WORSE = 0.005  # gain below minus which an episode is counted as worse, as `harm_rate` counts
_SAME = 1e-6  # of u: float32 there and back
_MOST_RESAMPLED = 1000  # episodes; above, an interval of the mean is thinner than three digits show


def gains_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Gain by term, of :data:`JUDGED` that were measured before and after; above 0 it got better."""
    gains = {}
    for name in JUDGED:
        before, after = (record[side].get(name) for side in ("before", "after"))
        if before is not None and after is not None:
            gains[name] = after - before if name in HIGHER_IS_BETTER else before - after
    return gains


def is_of_looks(record: Mapping[str, Any]) -> bool:
    """Whether an episode's trials were looks to be put together, none of them a step of a search."""
    return "change" in record.get("history", ()) or str(record.get("objective")).startswith("looks")


def moved_parameters(record: Mapping[str, Any]) -> dict[str, float]:
    """Physical values of the parameters whose setting is not the default; those furthest from it first.

    Trial 0 is the defaults. Without the settings tried, all that are not frozen.
    """
    values, frozen = record["parameters"], record.get("frozen", ())
    u = record["history"].get("u")
    if u is None:
        return {name: value for name, value in values.items() if name not in frozen}
    distance = dict(zip(values, np.abs(np.subtract(u[record["i_chosen"]], u[0])).tolist(), strict=True))
    names = sorted((name for name in values if distance[name] > _SAME and name not in frozen), key=distance.get)  # type: ignore[arg-type]
    return {name: values[name] for name in reversed(names)}


def by_gain(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Records from the largest gain in the total to the smallest; without those that have none."""
    return [records[i] for i in ranked(records)]


def ranked(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Their places: records may lie in a file."""
    gains = np.fromiter((gains_of(record).get("total", np.nan) for record in records), np.float64, len(records))
    order = np.argsort(-gains, kind="stable")
    return order[np.isfinite(gains[order])]


class Summary:
    """Of many episodes, seen one by one: means, and how sure they are.

    Attributes:
        n: episodes.
        gain: by term, interval of the mean gain over the episodes that have one (bootstrap over episodes).
        before, after: by term, means over the same episodes.
        n_better, n_worse: episodes whose total gained, or lost, more than :data:`WORSE`.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        gains: defaultdict[str, array[float]] = defaultdict(_numbers)
        sides: defaultdict[str, array[float]] = defaultdict(_numbers)
        self.n = 0
        for record in records:
            self.n += 1
            for name, value in gains_of(record).items():
                gains[name].append(value)
                sides[name].extend((record["before"][name], record["after"][name]))
        names = [name for name in JUDGED if name in gains]
        self.gain = {name: _interval(np.array(gains[name])) for name in names}
        self.before, self.after = ({name: float(np.mean(sides[name][i::2])) for name in names} for i in (0, 1))
        totals = np.array(gains["total"])
        self.n_better, self.n_worse = int((totals > WORSE).sum()), int((totals < -WORSE).sum())


def _numbers() -> array[float]:
    return array("d")


def _interval(values: np.ndarray) -> Interval:
    if len(values) <= _MOST_RESAMPLED:
        return bootstrap_mean(values)
    error = float(1.96 * values.std() / len(values) ** 0.5)
    mean = float(values.mean())
    return Interval(mean, mean - error, mean + error, len(values))
