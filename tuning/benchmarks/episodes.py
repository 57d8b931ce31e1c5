"""Who learns from what: examples and validation images by class; accuracy of the test images over all draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.tuning.benchmarks.pictures import NamedImages

N_VALIDATION = 5  # training images of a class, none of the examples, that tell how sure to be


@dataclass(frozen=True, eq=False)
class Episode:
    """One draw of examples; all are indices in ascending order.

    Attributes:
        support: training images that serve as examples.
        validation: other training images, for calibration only; may be empty.
        query: test images to name.
    """

    support: np.ndarray
    validation: np.ndarray
    query: np.ndarray


def draw_episodes(named: NamedImages, n_shots: int, n_episodes: int, *, seed: int) -> list[Episode]:
    """Episodes of ``n_shots`` examples a class.

    With one seed, the examples of fewer shots are among those of more shots, so that curves over shots do not jump by
    luck. All test images are to be named. Where there are official runs, each is one episode and nothing is drawn.

    Raises:
        ValueError: a class has fewer training images, or runs have another number of shots.
    """
    if n_shots < 1 or n_episodes < 1:
        raise ValueError(f"expected n_shots and n_episodes >= 1, got {n_shots} and {n_episodes}")
    most = most_shots(named)
    if named.has_runs:
        if n_shots != most:
            raise ValueError(f"{named.source}: its runs have {most} example of each class, asked for {n_shots}")
        return _official(named)
    if n_shots > most:
        raise ValueError(f"{named.source}: asked for {n_shots} examples of each class, one class has only {most}")
    return [_draw(named, n_shots, np.random.default_rng([seed, i])) for i in range(n_episodes)]


def most_shots(named: NamedImages) -> int:
    """Training images of the class (in the run) that has fewest."""
    _, counts = np.unique(named.train.task * named.n_classes + named.train.labels, return_counts=True)
    return int(counts.min())


def _draw(named: NamedImages, n_shots: int, rng: np.random.Generator) -> Episode:
    labels = named.train.labels
    order = np.lexsort([rng.random(len(labels)), labels])  # class after class, in random order within
    ordered = labels[order]
    rank = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    support, rest = order[rank < n_shots], order[(rank >= n_shots) & (rank < n_shots + N_VALIDATION)]
    return Episode(np.sort(support), np.sort(rest), np.arange(len(named.test)))


def _official(named: NamedImages) -> list[Episode]:
    none = np.empty(0, np.int64)
    tasks = np.unique(named.train.task)
    return [Episode(np.flatnonzero(named.train.task == t), none, np.flatnonzero(named.test.task == t)) for t in tasks]


UNIT_IMAGES = "95 %, bootstrap over test images, each averaged over the draws of examples"
UNIT_RUNS = "95 %, bootstrap over the official runs"


def unit_accuracy(scores: np.ndarray, named: NamedImages, episodes: Sequence[Episode]) -> np.ndarray:
    """Accuracy of each witness: a test image, averaged over the episodes; or a run, whose images share their examples.

    Args:
        scores: (E, N, C) of the test images.
        named: their labels.
        episodes: E of them, which together ask for every image.

    Returns:
        (N,), or (E,) where there are official runs.
    """
    is_asked = np.zeros(scores.shape[:2], bool)
    for i, one in enumerate(episodes):
        is_asked[i, one.query] = True
    is_right = (scores.argmax(2) == named.test.labels) & is_asked
    axis = 1 if named.has_runs else 0
    return np.asarray(is_right.sum(axis) / is_asked.sum(axis))


def unit_words(named: NamedImages) -> str:
    """What intervals are over, in words."""
    return UNIT_RUNS if named.has_runs else UNIT_IMAGES
