"""Precision and recall of boundaries against those that several people drew, as the BSDS500 evaluator counts them.

Martin, Fowlkes and Malik 2004; Arbelaez, Maire, Fowlkes and Malik 2011, section 2.2. Each person's pixels are matched
one to one. Recall adds up over people; a predicted pixel is right if it matches anyone's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.morphology import thin

from ciliary.envs.metrics.matching import match_pixels

MAX_DISTANCE = 0.0075  # of the image diagonal, 4.3 px at 481x321; the constant of the benchmark
DEFAULT_THRESHOLDS = tuple(round(k / 21, 4) for k in range(1, 21))
_RIDGE_SLACK = 1.01  # a plateau is no reason to suppress it
_FRAME_PX = 5
_N_INTERPOLATED = 100  # points between two thresholds at which the official evaluator looks for the best F


@dataclass(frozen=True, eq=False)
class Counts:
    """Boundary pixels counted, each field an integer array of one shape: () for one map, (T,) for T thresholds.

    ``hit_recall`` of ``n_recall`` drawn pixels found, summed over people; ``hit_precision`` of ``n_precision``
    predicted pixels that match anyone. Counts add up over images.
    """

    hit_recall: np.ndarray
    n_recall: np.ndarray
    hit_precision: np.ndarray
    n_precision: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """Share of drawn pixels found, in [0, 1]; 0 where none are drawn."""
        return np.asarray(self.hit_recall / np.maximum(self.n_recall, 1))

    @property
    def precision(self) -> np.ndarray:
        """Share of predicted pixels that match anyone, in [0, 1]; 0 where none are predicted."""
        return np.asarray(self.hit_precision / np.maximum(self.n_precision, 1))

    @property
    def f(self) -> np.ndarray:
        """Harmonic mean of precision and recall, in [0, 1]."""
        return _f_measure(self.precision, self.recall)

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Counts)))

    def __getitem__(self, index: int) -> Counts:
        return Counts(*(np.asarray(getattr(self, field.name)[index]) for field in fields(Counts)))


@dataclass(frozen=True, eq=False)
class BoundarySummary:
    """Many images in three numbers and a curve.

    Attributes:
        ods: best F at one threshold for all images (optimal data set scale), interpolated between thresholds.
        ods_threshold: that threshold.
        ois: F when each image is cut at its own best threshold (optimal image scale); never below ``ods``.
        ap: average precision, the area under the curve.
        thresholds, precision, recall: (T,) the curve, counts of all images added up.
    """

    ods: float
    ods_threshold: float
    ois: float
    ap: float
    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def label_boundaries(labels: ArrayLike) -> np.ndarray:
    """Boundaries between the regions of a label map (H, W) -> bool (H, W).

    A pixel is on a boundary where it, its right, its lower and its lower right neighbour are not all of one region:
    one pixel wide along straight borders, half a pixel up and left of them (``seg2bdry`` of the BSDS500 evaluator).
    """
    padded = np.pad(np.asarray(labels), ((0, 1), (0, 1)), mode="edge")
    corner = padded[:-1, :-1]
    return np.asarray((corner != padded[:-1, 1:]) | (corner != padded[1:, :-1]) | (corner != padded[1:, 1:]))


def suppress_non_maxima(strength: ArrayLike, *, sigma_px: float = 2.0) -> np.ndarray:
    """The ridges of a broad boundary strength (H, W): 0 where a neighbour across the boundary is stronger.

    What detectors are given before they are matched (Canny 1986; Dollar & Zitnick 2015), whose boundaries would else be
    as broad as they were seen and be cut and thinned at each threshold to where they are not. Across is the direction
    in which the strength, blurred by ``sigma_px``, bends most. Towards the frame, which many photographs have of their
    own, strength fades within 5 px, as there.
    """
    values = np.asarray(strength, dtype=np.float32)
    hessian = [gaussian_filter(values, sigma_px, order=order) for order in ((2, 0), (1, 1), (0, 2))]
    # The eigenvector of the Hessian's largest eigenvalue by size, as an angle from the x axis: negative on a ridge,
    # positive on its flanks, where the most negative one is that along the ridge and would leave them as they are.
    turn = np.where(hessian[0] + hessian[2] > 0, 0, np.pi / 2)
    across = 0.5 * np.arctan2(2 * hessian[1], hessian[2] - hessian[0]) + turn
    y, x = np.mgrid[: values.shape[0], : values.shape[1]].astype(np.float32)
    is_ridge = np.ones(values.shape, dtype=bool)
    for sign in (-1, 1):
        there = [y + sign * np.sin(across), x + sign * np.cos(across)]
        is_ridge &= values * _RIDGE_SLACK >= map_coordinates(values, there, order=1, mode="nearest")
    h, w = values.shape
    to_edge = np.minimum(np.minimum(y + 1, h - y), np.minimum(x + 1, w - x))
    return np.asarray(np.where(is_ridge, values, 0) * np.minimum(to_edge / _FRAME_PX, 1))


def match_boundaries(
    predicted: ArrayLike, people: Sequence[ArrayLike], *, max_distance: float = MAX_DISTANCE
) -> Counts:
    """Count matches of one boundary map (H, W), which is thinned first, with people's thin ones (H, W).

    Args:
        predicted: bool; of a label map by :func:`label_boundaries`.
        people: bool, one a person.
        max_distance: within which pixels may match, as a share of the image diagonal.

    Raises:
        ValueError: no people, or maps of different sizes.
    """
    if not len(people):
        raise ValueError("expected at least one person's boundaries, got none")
    ours = np.asarray(predicted, dtype=bool)
    ours = thin(ours) if ours.any() else ours
    radius_px = max_distance * float(np.hypot(*ours.shape))
    matched = [match_pixels(ours, drawn, radius_px=radius_px) for drawn in people]
    return Counts(
        np.asarray(sum(int(one.sum()) for one in matched)),
        np.asarray(sum(int(np.count_nonzero(drawn)) for drawn in people)),
        np.asarray(int(np.logical_or.reduce(matched).sum())),
        np.asarray(int(ours.sum())),
    )


def boundary_counts(
    strength: ArrayLike,
    people: Sequence[ArrayLike],
    thresholds: Sequence[float] | np.ndarray = DEFAULT_THRESHOLDS,
    *,
    max_distance: float = MAX_DISTANCE,
) -> Counts:
    """Counts (T,) of a boundary strength map (H, W) cut at each of T rising thresholds (``strength >= threshold``).

    Raises:
        ValueError: thresholds that do not rise, a strength that is not finite, or as :func:`match_boundaries`.
    """
    values, cuts = np.asarray(strength), _rising(thresholds)
    if not np.isfinite(values).all():
        raise ValueError("boundary strength must be finite; got nan or infinity")
    rows: list[Counts] = []
    previous: np.ndarray | None = None
    for cut in cuts:
        above = values >= cut
        is_same = previous is not None and np.array_equal(above, previous)  # maps of few levels
        rows.append(rows[-1] if is_same else match_boundaries(above, people, max_distance=max_distance))
        previous = above
    return Counts(*(np.array([getattr(row, field.name) for row in rows]) for field in fields(Counts)))


def summarise(
    counts: Sequence[Counts], thresholds: Sequence[float] | np.ndarray = DEFAULT_THRESHOLDS
) -> BoundarySummary:
    """Summarise the counts (T,) of many images, one each, at the same T thresholds.

    As the official evaluator, but for one thing. There OIS pools the counts of each image at its own best threshold,
    and pooled F can then fall below ODS, since an image's best F is not what helps the pool most. One threshold for
    all is a choice of thresholds too, so here OIS is the better of the two: OIS >= ODS always.

    Raises:
        ValueError: no counts, or a number of thresholds other than theirs.
    """
    cuts = _rising(thresholds)
    if not counts or any(np.shape(one.n_recall) != cuts.shape for one in counts):
        got = [np.shape(one.n_recall) for one in counts][:3]
        raise ValueError(f"expected counts of shape {cuts.shape} for at least one image, got {got}")
    pooled, at_best = counts[0], counts[0][int(np.argmax(counts[0].f))]
    for one in counts[1:]:
        pooled, at_best = pooled + one, at_best + one[int(np.argmax(one.f))]
    precision, recall = pooled.precision, pooled.recall
    ods, ods_threshold = _best_between(cuts, precision, recall)
    ois = max(float(at_best.f), ods)
    return BoundarySummary(ods, ods_threshold, ois, _area(precision, recall), cuts, precision, recall)


def _best_between(cuts: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> tuple[float, float]:
    """Best F on the straight lines between neighbouring points of the curve, and the threshold there."""
    at = np.unique(np.concatenate([cuts, *(np.linspace(low, high, _N_INTERPOLATED) for low, high in pairwise(cuts))]))
    f = _f_measure(np.interp(at, cuts, precision), np.interp(at, cuts, recall))
    return float(f.max()), float(at[np.argmax(f)])


def _area(precision: np.ndarray, recall: np.ndarray) -> float:
    """Mean interpolated precision at recall 0, .01, .. 1; 0 outside the recalls reached."""
    order = np.lexsort((precision, recall))
    recall, precision = recall[order], precision[order]
    is_last = np.append(np.diff(recall) > 0, True)  # of equal recalls the best precision
    if is_last.sum() < 2:
        return 0.0
    at = np.linspace(0, 1, 101)
    return float(np.interp(at, recall[is_last], precision[is_last], left=0, right=0).sum() * 0.01)


def _f_measure(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    total = precision + recall
    return np.asarray(2 * precision * recall / np.where(total > 0, total, 1))


def _rising(thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    cuts = np.asarray(thresholds, dtype=float)
    if cuts.ndim != 1 or cuts.size == 0 or (np.diff(cuts) <= 0).any():
        raise ValueError(f"expected a list of rising thresholds, got {cuts.tolist()}")
    return cuts
