"""Agreement of one label map with the maps several people drew: covering, probabilistic Rand index, VoI.

The three share one table of overlaps per person. A search scores many maps of the same image, so what depends on the
people alone is prepared once, in :class:`People`; every function also takes the bare maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

SCORES = ("covering", "pri", "voi")


@dataclass(frozen=True, eq=False)
class People:
    """The maps of ``P`` people of one image, prepared for scoring against them; made by :meth:`of`.

    Attributes:
        shape: (height, width) of the full-size maps.
        stride: every ``stride``-th pixel of each axis is looked at.
        rows: (P, N) region of each pixel, numbered from 0 for each person, none missing.
        starts: (P,) where each person's regions start in ``area_px``.
        area_px: (sum of regions,) looked-at pixels in each region, as float64.
    """

    shape: tuple[int, int]
    stride: int
    rows: np.ndarray
    starts: np.ndarray
    area_px: np.ndarray

    @classmethod
    def of(cls, maps: Sequence[ArrayLike], *, stride: int = 1) -> People:
        """Prepare label maps (H, W) of any integers.

        Raises:
            ValueError: no maps, maps of different sizes, empty or non-integer maps, or a stride below 1.
        """
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        arrays = [_label_map(one) for one in maps]
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1:
            raise ValueError(f"expected at least one map, all of one size; got sizes {sorted(shapes)}")
        rows, starts, n_regions = [], [], 0
        for array in arrays:
            compact, n_new = _compact(array[::stride, ::stride])
            rows.append(compact)
            starts.append(n_regions)
            n_regions += n_new
        area_px = np.concatenate([np.bincount(own_rows) for own_rows in rows]).astype(float)
        height, width = shapes.pop()
        return cls((height, width), stride, np.stack(rows), np.array(starts), area_px)


def region_scores(labels: ArrayLike, people: People | Sequence[ArrayLike], *, stride: int = 1) -> dict[str, float]:
    """Three scores of a label map (H, W) against people's maps (H, W), each the mean over people.

    ``covering``: area-weighted best intersection over union of each region a person drew, in (0, 1], higher is
    better (Arbelaez, Maire, Fowlkes and Malik 2011, "Contour detection and hierarchical image segmentation", eq. 8).
    ``pri``: probabilistic Rand index, share of pixel pairs treated alike, in [0, 1], higher is better (Unnikrishnan,
    Pantofaru and Hebert 2007). ``voi``: variation of information in bits, in [0, 2 log2 N], lower is better
    (Meila 2005). All as in the official BSDS500 evaluator.

    Args:
        labels: any integers; a region is all pixels of one label, connected or not.
        people: their maps, or :meth:`People.of` them when many maps are scored.
        stride: score on every ``stride``-th pixel of each axis. With a :class:`People` its own stride holds.

    Raises:
        ValueError: sizes differ, labels are not integers, or ``stride`` contradicts the prepared people.
    """
    if not isinstance(people, People):
        people = People.of(people, stride=stride)
    elif stride not in (1, people.stride):
        raise ValueError(f"these people were prepared with stride {people.stride}, got stride {stride}; leave it out")
    found = _label_map(labels)
    if found.shape != people.shape:
        raise ValueError(f"labels are {found.shape}, people's maps {people.shape}; resize the labels first")
    columns, n_labels = _compact(found[:: people.stride, :: people.stride])
    n_people, n_pixels = people.rows.shape
    area_px = people.area_px

    joint = np.zeros(area_px.size * n_labels, dtype=np.intp)
    cell_of_pixel = np.empty_like(columns)
    ends = (*people.starts[1:], area_px.size)
    for own_rows, start, end in zip(people.rows, people.starts, ends, strict=True):  # small arrays stay in the cache
        np.multiply(own_rows, n_labels, out=cell_of_pixel)
        cell_of_pixel += columns
        joint[start * n_labels : end * n_labels] = np.bincount(cell_of_pixel, minlength=(end - start) * n_labels)
    cells = np.flatnonzero(joint)  # most regions never meet
    overlap = joint[cells].astype(float)
    row, column = np.divmod(cells, n_labels)
    theirs, ours = area_px[row], np.bincount(columns, minlength=n_labels).astype(float)
    first_cell = np.searchsorted(row, np.arange(area_px.size))  # no region is empty, so each has a cell
    best_iou = np.maximum.reduceat(overlap / (theirs + ours[column] - overlap), first_cell)
    covering = (area_px * best_iou).sum() / (n_people * n_pixels)

    # Pairs apart in one map and together in the other: (sum a^2 + sum b^2) / 2 - sum overlap^2.
    split_pairs = (area_px @ area_px + n_people * (ours @ ours)) / 2 - overlap @ overlap
    n_pairs = n_people * n_pixels * (n_pixels - 1) / 2
    pri = 1 - split_pairs / n_pairs if n_pairs else 1.0

    voi = -(overlap @ (np.log2(overlap / theirs) + np.log2(overlap / ours[column]))) / (n_people * n_pixels)
    return {"covering": float(covering), "pri": float(pri), "voi": max(float(voi), 0.0)}


def region_covering(labels: ArrayLike, people: People | Sequence[ArrayLike], *, stride: int = 1) -> float:
    """Covering of people's regions by the labels, in (0, 1]; see :func:`region_scores`."""
    return region_scores(labels, people, stride=stride)["covering"]


def probabilistic_rand_index(labels: ArrayLike, people: People | Sequence[ArrayLike], *, stride: int = 1) -> float:
    """Share of pixel pairs that labels and people treat alike, in [0, 1]; see :func:`region_scores`."""
    return region_scores(labels, people, stride=stride)["pri"]


def variation_of_information(labels: ArrayLike, people: People | Sequence[ArrayLike], *, stride: int = 1) -> float:
    """What labels and people do not tell of each other, in bits, 0 at best; see :func:`region_scores`."""
    return region_scores(labels, people, stride=stride)["voi"]


def _label_map(labels: ArrayLike) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "iub":
        raise ValueError(f"expected a label map (height, width) of integers, got {array.shape} of {array.dtype}")
    return array


def _compact(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels numbered from 0 without gaps, flat as intp, and how many there are."""
    flat = labels.ravel().astype(np.intp)
    low, high = int(flat.min()), int(flat.max())
    if high - low >= 4 * flat.size + 1024:  # a look-up table would be larger than sorting is slow
        present, compact = np.unique(flat, return_inverse=True)
        return compact.ravel(), present.size
    if low:
        flat = flat - low
    is_used = np.bincount(flat) > 0
    if is_used.all():
        return flat, is_used.size
    return (np.cumsum(is_used) - 1)[flat], int(is_used.sum())
