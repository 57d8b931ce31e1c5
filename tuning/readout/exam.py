"""What models find in test images, beside what was drawn: scores an image, and a row a model, disturbance and way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from skimage.morphology import thin

from ciliary.envs.metrics.boundaries import label_boundaries, match_boundaries
from ciliary.envs.metrics.classes import (
    UNLABELLED,
    ClassCounts,
    hausdorff,
    mean_of_present,
    mean_with_absent,
)
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference


@dataclass(frozen=True, eq=False)
class Score:
    """One class map beside the drawn one; (K,) by class, NaN for what is absent from both."""

    dice: np.ndarray
    iou: np.ndarray
    hausdorff_px: np.ndarray
    accuracy: float
    boundary_f: float  # NaN where no boundary was drawn


def score(found: np.ndarray, drawn: np.ndarray, n_classes: int) -> Score:
    """Score classes (H, W) against drawn ones (H, W)."""
    counts = ClassCounts.of(found, drawn, n_classes)
    ours = np.where(drawn == UNLABELLED, UNLABELLED, found)
    edges = label_boundaries(drawn)
    f = math.nan
    if edges.any():
        f = float(match_boundaries(label_boundaries(ours), [thin(edges)]).f)
    return Score(counts.dice, counts.iou, hausdorff(found, drawn, n_classes), counts.accuracy, f)


def mean_dice(found: np.ndarray, drawn: np.ndarray, n_classes: int) -> float:
    """Mean Dice over the classes present, 0 where there is none: what looks are chosen by."""
    value = mean_of_present(ClassCounts.of(found, drawn, n_classes).dice)
    return 0.0 if math.isnan(value) else value


@dataclass(frozen=True, eq=False)
class Answer:
    """Scores of one model at all test images, under one disturbance, read one way."""

    model: str
    n_weights: int
    disturbance: str
    read: str
    scores: tuple[Score, ...]

    @property
    def dice(self) -> np.ndarray:
        """(N,) mean Dice over the classes present in each image."""
        return np.array([mean_of_present(one.dice) for one in self.scores])


@dataclass(frozen=True)
class Row:
    """A line of the table. Intervals: bootstrap over test images."""

    model: str
    weights: int
    disturbance: str
    read: str
    dice: Interval | None  # mean over the classes present
    less: Interval | None  # Dice less that of the first model at its defaults, under the same disturbance
    dice_absent_as_1: float  # mean over all classes
    by_class: Mapping[str, float]
    accuracy: float
    boundary_f: Interval | None
    hausdorff_px: float


@dataclass(frozen=True)
class ImageRow:
    """One test image by one model: what others may pair."""

    image: str
    model: str
    disturbance: str
    read: str
    dice: float
    accuracy: float
    boundary_f: float


def image_rows(answers: Sequence[Answer], images: Sequence[str]) -> list[ImageRow]:
    """A line a test image and answer."""
    return [
        ImageRow(image, one.model, one.disturbance, one.read, float(dice), score.accuracy, score.boundary_f)
        for one in answers
        for image, dice, score in zip(images, one.dice, one.scores, strict=True)
    ]


def rows_of(answers: Sequence[Answer], names: Sequence[str]) -> list[Row]:
    """The table: the answers in their order, each beside the first of its disturbance."""
    first: dict[str, Answer] = {}
    for one in answers:
        first.setdefault(one.disturbance, one)
    return [_row(one, first[one.disturbance], names) for one in answers]


def _row(answer: Answer, reference: Answer, names: Sequence[str]) -> Row:
    iou = np.stack([one.iou for one in answer.scores])
    both = np.isfinite(answer.dice) & np.isfinite(reference.dice)
    less = None
    if answer is not reference and both.any():
        less = paired_difference(answer.dice[both], reference.dice[both])
    return Row(
        answer.model,
        answer.n_weights,
        answer.disturbance,
        answer.read,
        _interval(answer.dice),
        less,
        float(np.mean([mean_with_absent(one.dice) for one in answer.scores])),
        {f"IoU {name}": _mean(iou[:, k]) for k, name in enumerate(names)},
        _mean([one.accuracy for one in answer.scores]),
        _interval([one.boundary_f for one in answer.scores]),
        _mean([mean_of_present(one.hausdorff_px) for one in answer.scores]),
    )


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return mean_of_present(np.asarray(values, float))


def _interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return bootstrap_mean(known) if known.size else None
