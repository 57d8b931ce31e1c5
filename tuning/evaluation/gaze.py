"""How well maps tell where people look, between floor and people's own ceiling: a table with intervals over images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ciliary.envs.data.gaze import GazeSet
from ciliary.envs.metrics.gaze import GAZE_METRICS, Gazed, gaze_scores
from ciliary.envs.metrics.gaze_baselines import PEOPLE_SIGMA_DEG, all_counts, centre_bias, people_scores, scaled
from ciliary.envs.metrics.statistics import DEFAULT, Bootstrap, Interval, bootstrap_mean

FLOORS = ("uniform", "centre")
CEILING = "people"
TIMES_CENTRE = " x centre"

Scores = Mapping[str, list[dict[str, float]]]
"""Row -> for each photograph that is told on, metric -> score."""


def gaze_table(
    maps: Mapping[str, np.ndarray],
    gazed: GazeSet,
    *,
    photograph: tuple[int, int],
    px_per_deg: float,
    told_on: Sequence[int] | None = None,
    how: Bootstrap = DEFAULT,
) -> dict[str, dict[str, Interval]]:
    """Name -> metric -> interval of :func:`gaze_rows`, whose arguments these are.

    Args:
        maps, gazed, photograph, px_per_deg, told_on: as there.
        how: the resampling of photographs.

    Raises:
        ValueError: as there.
    """
    return means_of(gaze_rows(maps, gazed, photograph=photograph, px_per_deg=px_per_deg, told_on=told_on), how=how)


def gaze_rows(
    maps: Mapping[str, np.ndarray],
    gazed: GazeSet,
    *,
    photograph: tuple[int, int],
    px_per_deg: float,
    told_on: Sequence[int] | None = None,
) -> Scores:
    """Metrics of maps at people's fixations, photograph by photograph.

    Args:
        maps: name -> (N, h, w) >= 0 of each of the N photographs, all of one size.
        gazed: the photographs, all shown at one size.
        photograph: (height, width) of that size in px.
        px_per_deg: of the photographs as they were shown.
        told_on: indices of the photographs that numbers are of; all when None. The centre bias and the negatives of
            sAUC are of all N but the one that is scored, since neither reads a photograph.

    Returns:
        ``uniform`` and ``centre``, each map, each map times the centre bias (``<name> x centre``), and ``people``, whom
        others tell. The information gain is over the centre bias; of a map alone it tells little.

    Raises:
        ValueError: maps of other sizes or numbers than there are photographs.
    """
    sizes = {values.shape for values in maps.values()}
    if len(sizes) != 1 or len(sizes & {(len(gazed), *size[1:]) for size in sizes}) != 1:
        raise ValueError(f"expected maps (N, h, w) of one size for N = {len(gazed)} photographs, got {sorted(sizes)}")
    _, h, w = sizes.pop()
    sigma = PEOPLE_SIGMA_DEG * px_per_deg * w / photograph[1]
    centre = centre_bias(all_counts(gazed.fixations, photograph=photograph, size=(h, w)), sigma=sigma)
    rows: dict[str, list[dict[str, float]]] = {}
    for i in range(len(gazed)) if told_on is None else told_on:
        own = scaled(gazed.fixations[i], photograph=photograph, size=(h, w))
        others = _elsewhere(gazed, i, photograph, (h, w))
        for name, values in _candidates(maps, centre[i], i):
            found = Gazed.of(values, *own, others=others, baseline=centre[i], sigma=sigma)
            rows.setdefault(name, []).append(gaze_scores(found))
        ceiling = people_scores(gazed.fixations[i], photograph=photograph, centre=centre[i], sigma=sigma, others=others)
        rows.setdefault(CEILING, []).append(ceiling)
    return rows


def means_of(rows: Scores, *, how: Bootstrap = DEFAULT) -> dict[str, dict[str, Interval]]:
    """Name -> metric -> mean over photographs, with its interval."""
    return {
        name: {metric: _interval([row[metric] for row in found], how) for metric in GAZE_METRICS}
        for name, found in rows.items()
    }


def more_than(rows: Scores, one: str, other: str, metric: str, *, how: Bootstrap = DEFAULT) -> Interval:
    """By how much row ``one`` is above row ``other``, paired by photograph; of those where both are finite."""
    a, b = (np.array([row[metric] for row in rows[name]]) for name in (one, other))
    is_told = np.isfinite(a) & np.isfinite(b)
    return _interval(np.where(is_told, a, np.nan) - np.where(is_told, b, 0), how)


def _candidates(maps: Mapping[str, np.ndarray], centre: np.ndarray, i: int) -> Iterator[tuple[str, np.ndarray]]:
    yield FLOORS[0], np.full(centre.shape, 1 / centre.size)
    yield FLOORS[1], centre
    for name, values in maps.items():
        yield name, values[i]
        yield name + TIMES_CENTRE, values[i] * centre


def _elsewhere(
    gazed: GazeSet, i: int, photograph: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    places = [scaled(one, photograph=photograph, size=size) for j, one in enumerate(gazed.fixations) if j != i]
    return np.concatenate([y for y, _ in places]), np.concatenate([x for _, x in places])


def _interval(values: Sequence[float] | np.ndarray, how: Bootstrap) -> Interval:
    """Of the finite values; a map with a hole where somebody looked has an infinite gain, which is counted."""
    column = np.asarray(values)
    is_told = np.isfinite(column)
    if not is_told.any():
        return Interval(float("nan"), float("nan"), float("nan"), 0, len(column))
    found = bootstrap_mean(column[is_told], how=how)
    return Interval(found.mean, found.low, found.high, found.n, int((~is_told).sum()))
