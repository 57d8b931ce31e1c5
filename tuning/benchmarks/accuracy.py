"""Right and wrong answers of many episodes, an image or a run each, so that intervals and differences can be had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ciliary.tuning.benchmarks.episodes import Episode
from ciliary.tuning.benchmarks.pictures import NamedImages

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
    return is_right.sum(axis) / is_asked.sum(axis)


def unit_words(named: NamedImages) -> str:
    """What intervals are over, in words."""
    return UNIT_RUNS if named.has_runs else UNIT_IMAGES
