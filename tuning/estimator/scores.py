"""How well label maps agree with what people drew, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np

from ciliary.envs.metrics.regions import METRICS, People, region_scores
from ciliary.tuning.estimator.inputs import check_people, read_label_maps


def image_scores(y_true: Any, y_pred: Any, *, metric: str = "covering") -> np.ndarray:
    """The score (N,) of each image's label map; higher is better.

    The unit that statistics are made of: resample these (:mod:`ciliary.envs.metrics.statistics`), not pixels.

    Args:
        y_true: N label maps (H, W) of any integers; or of each image those of several people.
        y_pred: N label maps of the same sizes; a region is all pixels of one number.
        metric: of :data:`~ciliary.envs.metrics.regions.METRICS`: ``covering`` in (0, 1], ``pri`` in [0, 1], or ``voi``
            in bits, of which the negative is taken.

    Raises:
        ValueError: an unknown metric, other lengths or sizes, or maps that are none; names the place.
    """
    check_metric(metric)
    found = []
    for i, (drawn, labels) in enumerate(zip(check_people(y_true, len(y_pred)), y_pred, strict=True)):
        maps = read_label_maps(drawn, i, np.shape(labels))
        found.append(METRICS[metric].oriented(region_scores(labels, People.of(maps))[metric]))
    return np.array(found)


def check_metric(metric: str) -> None:
    """Raise ``ValueError`` naming those there are, unless it is one of them."""
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; choose from {', '.join(METRICS)}")
