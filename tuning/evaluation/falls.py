"""Who is ahead, and when: falls of the loss, and shares of a reference's. The unit is the image.

Seeds, and cases of one image, are averaged within the image before anything is resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, gap_closed, paired_difference
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.play import MARKS
from ciliary.tuning.evaluation.selectors import image_array
from ciliary.tuning.evaluation.summary import groups_of, seed_means
from ciliary.tuning.evaluation.table import ResponseTable

REFERENCE = "tpe"


@dataclass(frozen=True)
class RaceRow:
    """A method under an objective, on a group of cases.

    Attributes:
        method: its name, without the objective.
        n_seeds: episodes of each case.
        evaluations: of the cortex in an episode, guard included, mean.
        fall: of the loss from the defaults to the best trial; higher is better.
        share: of what the reference's best trials gain (a ratio of means).
        over_reference: fall less the reference's, paired.
        applied: fall from the defaults to what is applied, guard included.
        on_fresh_views: fall from the defaults to the best trial, on views that the search did not see; None where the
            guard did not measure it.
        seeds_sd: standard deviation over seeds of the mean fall; None of one seed.
        seconds: of an episode, mean, panel included.
    """

    objective: str
    disturbance: str
    method: str
    n_images: int
    n_seeds: int
    evaluations: float
    fall: Interval
    share: Interval | None
    over_reference: Interval | None
    applied: Interval
    on_fresh_views: Interval | None
    seeds_sd: float | None
    seconds: float


@dataclass(frozen=True)
class CurvePoint:
    """Where a method stands when it may have made so many evaluations, and has made ``spent`` of them (mean).

    ``is_over``: it had stopped at an earlier mark, on average.
    """

    objective: str
    disturbance: str
    method: str
    evaluations: int
    n_images: int
    loss: Interval
    fall: Interval
    share: Interval | None
    seconds: float
    spent: float
    is_over: bool


@dataclass(frozen=True)
class FallRow:
    """Falls of a method at the marks, for the page: ``after_2``, ``after_4``, ..."""

    method: str
    falls: Mapping[str, Interval]


def shown_name(method: Method) -> str:
    """Its label without the objective, which stands above the table."""
    parts = method.label.split(":")
    if method.label.startswith(f"{method.controller}:"):  # one's own has a colon itself
        parts = [method.controller, *method.label[len(method.controller) + 1 :].split(":")]
    return ":".join([parts[0], *parts[2:]]) if len(parts) > 1 and method.objective.endswith(parts[1]) else method.label


def reference_of(methods: Sequence[Method], objective: str, wanted: str | None = None) -> Method | None:
    """The method that shares refer to: the one of that label, else TPE of most trials as it comes; None without."""
    own = [method for method in methods if method.objective == objective]
    for method in own:
        if wanted is not None and wanted in (method.label, shown_name(method)):
            return method
    plain = [m for m in own if m.controller == REFERENCE and not (m.changes or m.u or m.options)]
    return max(plain, key=lambda method: method.n_trials, default=None)


def race_rows(
    race: ResponseTable, methods: Sequence[Method], *, reference: str | None = None
) -> tuple[list[RaceRow], list[CurvePoint]]:
    """Standings and curves: for each objective and group of cases, every method.

    Args:
        race: as :func:`~ciliary.tuning.evaluation.play.play_methods` gives it.
        methods: those of the race.
        reference: label of the method that shares refer to; see :func:`reference_of`.
    """
    means = seed_means(race)
    rows, points = [], []
    for objective in dict.fromkeys(method.objective for method in methods):
        own = [method for method in methods if method.objective == objective]
        first = reference_of(methods, objective, reference)
        for label, index in groups_of(race).items():
            best = None if first is None else _falls(means, first, index)["end"]
            for method in own:
                at = (objective_name(objective), label, shown_name(method))
                rows.append(_row(race, means, method, index, at=at, reference=best, is_reference=method is first))
                points += _points(means, method, index, at=at, reference=best)
    return rows, points


def objective_name(objective: str) -> str:
    """Without folders: results are read on other machines."""
    return objective.rsplit("/", 1)[-1]


def fall_rows(points: Sequence[CurvePoint]) -> list[FallRow]:
    """The curves of one objective and group as rows of a table."""
    found: Mapping[tuple[str, int], Interval] = {(point.method, point.evaluations): point.fall for point in points}
    return [
        FallRow(method, {f"after_{mark}": found[method, mark] for mark in MARKS[1:]})
        for method in dict.fromkeys(point.method for point in points)
    ]


def _row(
    race: ResponseTable,
    means: ResponseTable,
    method: Method,
    index: np.ndarray,
    *,
    at: tuple[str, str, str],
    reference: np.ndarray | None,
    is_reference: bool,
) -> RaceRow:
    falls = _falls(means, method, index)
    fresh = image_array(means, _of(means, "fresh_gain", method), index)
    seeds = [i for i, label in enumerate(race.meta["methods"]) if label == method.label]
    by_seed = (race.column("before") - race.column("best.end"))[index][:, seeds].astype(float).mean(0)
    is_compared = reference is not None and not is_reference
    return RaceRow(
        *at,
        n_images=len(fresh),
        n_seeds=len(seeds),
        evaluations=float(_of(means, "n_evaluations", method)[index].mean()),
        fall=bootstrap_mean(falls["end"]),
        share=_share(falls["end"], reference),
        over_reference=paired_difference(falls["end"], reference) if is_compared else None,  # type: ignore[arg-type]
        applied=bootstrap_mean(falls["applied"]),
        on_fresh_views=bootstrap_mean(fresh) if np.isfinite(fresh).all() else None,
        seeds_sd=float(by_seed.std(ddof=1)) if len(seeds) > 1 else None,
        seconds=float(_of(means, "seconds", method)[index].mean()),
    )


def _points(
    means: ResponseTable, method: Method, index: np.ndarray, *, at: tuple[str, str, str], reference: np.ndarray | None
) -> list[CurvePoint]:
    falls = _falls(means, method, index)
    n_trials = _of(means, "n_trials", method)[index]
    points = []
    for i, mark in enumerate(MARKS):
        name = f"{mark:02d}"
        loss = image_array(means, _of(means, f"best.{name}", method), index)
        seconds = float(_of(means, f"seconds.{name}", method)[index].mean())
        points.append(
            CurvePoint(
                *at,
                mark,
                len(loss),
                loss=bootstrap_mean(loss),
                fall=bootstrap_mean(falls[name]),
                share=_share(falls[name], reference),
                seconds=seconds,
                spent=float(np.minimum(n_trials, mark).mean()),
                is_over=i > 0 and bool(MARKS[i - 1] >= n_trials.mean()),
            )
        )
    return points


def _share(fall: np.ndarray, reference: np.ndarray | None) -> Interval | None:
    return None if reference is None else gap_closed(np.zeros_like(fall), fall, reference)


def _falls(means: ResponseTable, method: Method, index: np.ndarray) -> dict[str, np.ndarray]:
    """Fall of the loss of each image, (N,), at each mark, at the end of the search, and as applied."""
    columns = {f"{mark:02d}": f"best.{mark:02d}" for mark in MARKS} | {"end": "best.end", "applied": "term.total"}
    before = _of(means, "before", method)
    return {key: image_array(means, before - _of(means, name, method), index) for key, name in columns.items()}


def _of(means: ResponseTable, column: str, method: Method) -> np.ndarray:
    """A column (C,) of one method."""
    return means.column(column)[:, list(means.meta["methods"]).index(method.label)].astype(float)
