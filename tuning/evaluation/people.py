"""People against people: how well each person agrees with the others on an image, the ceiling of every score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.metrics.boundaries import Counts, match_boundaries
from ciliary.envs.metrics.regions import METRICS, region_scores


@dataclass(frozen=True, eq=False)
class Agreement:
    """Of one image: each score, the mean over people of one scored against all others; and boundary counts so."""

    name: str
    n_people: int
    scores: dict[str, float]
    boundaries: Counts | None


def agreement(image: LabelledImage, *, stride: int = 1, with_boundaries: bool = True) -> Agreement:
    """Score each person of an image against all the others (leave one out).

    Args:
        image: drawn by at least two people.
        stride: regions are scored on every ``stride``-th pixel of each axis.
        with_boundaries: matching boundaries takes most of the time.

    Raises:
        ValueError: fewer than two people.
    """
    n_people = len(image.segmentations)
    if n_people < 2:
        raise ValueError(f"{image.name}: drawn by {n_people} person; people against people needs at least 2")
    rows, counts = [], []
    for one in range(n_people):
        rows.append(region_scores(image.segmentations[one], _others(image.segmentations, one), stride=stride))
        if with_boundaries:
            counts.append(match_boundaries(image.boundaries[one], _others(image.boundaries, one)))
    scores = {name: float(np.mean([row[name] for row in rows])) for name in METRICS}
    return Agreement(image.name, n_people, scores, _total(counts))


def _others(maps: tuple[np.ndarray, ...], one: int) -> tuple[np.ndarray, ...]:
    return maps[:one] + maps[one + 1 :]


def _total(counts: list[Counts]) -> Counts | None:
    if not counts:
        return None
    total = counts[0]
    for one in counts[1:]:
        total = total + one
    return total
