"""Agreement of class maps, class by class: Dice, intersection over union, pixel accuracy, Hausdorff distance.

All but the last are made of one table of counts. A class that is absent from an image, in what was drawn and in what
was found, has no overlap to speak of, 0/0. It is NaN here, and left out of the mean (:func:`mean_of_present`); other
tools smooth it to 1, by which an image of few classes looks well done (:func:`mean_with_absent`). A report has both.

Pixel accuracy is here to be looked at beside them: where one class fills the image, whoever misses all others has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt

#: Pixels that nobody labelled: neither learned from nor scored.
UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Pixels of K classes, each field (K,): found and drawn, found only, drawn only."""

    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray

    @classmethod
    def of(cls, found: ArrayLike, drawn: ArrayLike, n_classes: int) -> ClassCounts:
        """Count them in two maps (H, W) of 0 .. n_classes - 1; where ``drawn`` is :data:`UNLABELLED` nothing counts.

        Raises:
            ValueError: maps of different sizes, or a class out of range.
        """
        ours, theirs = np.asarray(found), np.asarray(drawn)
        if ours.shape != theirs.shape:
            raise ValueError(f"expected two maps of one size, got {ours.shape} and {theirs.shape}")
        is_known = theirs != UNLABELLED
        ours, theirs = ours[is_known].astype(np.intp), theirs[is_known].astype(np.intp)
        if ours.size and not (min(ours.min(), theirs.min()) >= 0 and max(ours.max(), theirs.max()) < n_classes):
            raise ValueError(f"expected classes 0 .. {n_classes - 1}, got {np.unique([*np.unique(ours), *theirs])}")
        table = np.bincount(theirs * n_classes + ours, minlength=n_classes**2).reshape(n_classes, n_classes)
        hit = np.diag(table)
        return cls(hit, table.sum(0) - hit, table.sum(1) - hit)

    @property
    def dice(self) -> np.ndarray:
        """(K,) 2 TP / (2 TP + FP + FN), in [0, 1]; NaN for a class that is neither drawn nor found."""
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def iou(self) -> np.ndarray:
        """(K,) TP / (TP + FP + FN), in [0, 1]; NaN likewise."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive + self.false_negative)

    @property
    def accuracy(self) -> float:
        """Share of pixels that are of the class drawn; NaN where none is labelled."""
        return float(_ratio(self.true_positive.sum(), self.true_positive.sum() + self.false_negative.sum()))


def mean_of_present(per_class: np.ndarray) -> float:
    """Mean over the classes that an image has, or was said to have; NaN where it has none."""
    known = per_class[~np.isnan(per_class)]
    return float(known.mean()) if known.size else math.nan


def mean_with_absent(per_class: np.ndarray) -> float:
    """Mean over all classes, one that is absent counting as 1: what smoothed ratios report."""
    return float(np.where(np.isnan(per_class), 1.0, per_class).mean())


def hausdorff(found: ArrayLike, drawn: ArrayLike, n_classes: int) -> np.ndarray:
    """(K,) the largest distance, in pixels, from a pixel of either map's class to the nearest of the other's.

    NaN for a class that is in neither map; the image's diagonal, the farthest there is, for one that is in one only.
    Where nothing is labelled, both maps are taken to have no class.
    """
    ours, theirs = np.asarray(found), np.asarray(drawn)
    ours = np.where(theirs == UNLABELLED, UNLABELLED, ours)
    out = np.full(n_classes, np.nan)
    for k in range(n_classes):
        one, other = ours == k, theirs == k
        if one.any() or other.any():
            is_in_both = one.any() and other.any()
            farthest = max(_farthest(one, other), _farthest(other, one)) if is_in_both else math.hypot(*theirs.shape)
            out[k] = farthest
    return out


def _farthest(one: np.ndarray, other: np.ndarray) -> float:
    """From any pixel of one mask to the nearest of another, by a distance transform.

    Not by a search tree of pixels, as scikit-image has it: on large masks SciPy's runs out of stack.
    """
    return float(distance_transform_edt(~other)[one].max())


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))
