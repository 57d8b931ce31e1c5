"""A hierarchy of regions, cut at many levels: ultrametric contour maps, and what a set of images makes of them.

An ultrametric contour map (Arbelaez 2006) holds on a double-size grid (2H + 1, 2W + 1) how strong the boundary
between neighbouring pixels is; cutting it at any level gives closed regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from ciliary.envs.metrics.regions import METRICS

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class RegionSummary:
    """One region score over many images: at one level for all (``ods``), at each image's own best (``ois``)."""

    ods: float
    ods_level: float
    ois: float


def cut_regions(contours: np.ndarray, level: float) -> np.ndarray:
    """Label map (H, W) of the double-size contour map (2H + 1, 2W + 1): what no contour above ``level`` parts."""
    return label(np.asarray(contours) <= level, structure=_EIGHT_NEIGHBOURS)[0][1::2, 1::2]


def contour_strength(contours: np.ndarray) -> np.ndarray:
    """Boundary strength (H, W) of the double-size contour map, to be cut by ``boundary_counts``."""
    return np.asarray(contours)[2::2, 2::2]


def summarise_regions(
    scores: Sequence[Sequence[Mapping[str, float]]], levels: Sequence[float], *, n_people: Sequence[int]
) -> dict[str, RegionSummary]:
    """ODS and OIS of each region score, from the scores of every image at every level.

    As the official evaluator: images count equally for ``pri`` and ``voi``, but by their number of people for
    ``covering`` (it adds up the regions of all people). OIS is never worse than ODS.

    Args:
        scores: ``scores[i][t]`` is what ``region_scores`` gave for image i at level t.
        levels: (T,) the levels.
        n_people: how many people drew each image.

    Raises:
        ValueError: if the three do not fit each other.
    """
    if not scores or len(scores) != len(n_people) or any(len(row) != len(levels) for row in scores):
        raise ValueError(
            f"expected scores of {len(n_people)} images at {len(levels)} levels, got {[len(row) for row in scores]}"
        )
    summaries = {}
    for name, metric in METRICS.items():
        table = metric.oriented(np.array([[at_level[name] for at_level in row] for row in scores]))
        weights = np.array(n_people) if name == "covering" else np.ones(len(scores))
        curve = np.average(table, axis=0, weights=weights)
        best = int(np.argmax(curve))
        ois = np.average(table.max(1), weights=weights)
        summaries[name] = RegionSummary(
            float(metric.oriented(curve[best])), float(levels[best]), float(metric.oriented(ois))
        )
    return summaries
