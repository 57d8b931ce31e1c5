"""Agreement of one label map with the maps several people drew: the metrics of :data:`METRICS`.

All are made of one table of overlaps per person, :class:`Overlaps`. A search scores many maps of the same image, so
what depends on the people alone is prepared once, in :class:`People`.

A metric is a function of the overlaps and a line of :data:`METRICS`: columns, signs and headings come from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ciliary.envs.metrics.metric import Metric as Metric


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


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How a label map lies over the maps of P people: M pairs of a person's region and one of the labels that meet.

    Attributes:
        n_people, n_pixels: P, and the pixels looked at.
        shared_px: (M,) pixels that the two regions of a pair have in common, > 0.
        theirs_px, ours_px: (M,) areas of the two.
        person_px: (R,) areas of all regions that people drew, person after person.
        label_px: (L,) areas of the labels.
        first: (R,) where the pairs of each region that a person drew start; none is without a pair.
    """

    n_people: int
    n_pixels: int
    shared_px: np.ndarray
    theirs_px: np.ndarray
    ours_px: np.ndarray
    person_px: np.ndarray
    label_px: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, people: People) -> Overlaps:
        """Count them; ``labels`` is a full-size map (H, W)."""
        columns, n_labels = _compact(labels[:: people.stride, :: people.stride])
        n_people, n_pixels = people.rows.shape
        area_px = people.area_px
        joint = np.zeros(area_px.size * n_labels, dtype=np.intp)
        cell_of_pixel = np.empty_like(columns)
        ends = (*people.starts[1:], area_px.size)
        for own_rows, start, end in zip(people.rows, people.starts, ends, strict=True):
            # small arrays stay in the cache
            np.multiply(own_rows, n_labels, out=cell_of_pixel)
            cell_of_pixel += columns
            joint[start * n_labels : end * n_labels] = np.bincount(cell_of_pixel, minlength=(end - start) * n_labels)
        cells = np.flatnonzero(joint)  # most regions never meet
        row, column = np.divmod(cells, n_labels)
        ours = np.bincount(columns, minlength=n_labels).astype(float)
        first = np.searchsorted(row, np.arange(area_px.size))
        return cls(n_people, n_pixels, joint[cells].astype(float), area_px[row], ours[column], area_px, ours, first)


def covering(o: Overlaps) -> float:
    """Area-weighted best intersection over union of each region a person drew, in (0, 1].

    Arbelaez, Maire, Fowlkes and Malik 2011, "Contour detection and hierarchical image segmentation", eq. 8.
    """
    best_iou = np.maximum.reduceat(o.shared_px / (o.theirs_px + o.ours_px - o.shared_px), o.first)
    return float((o.person_px * best_iou).sum() / (o.n_people * o.n_pixels))


def probabilistic_rand_index(o: Overlaps) -> float:
    """Share of pixel pairs treated alike, in [0, 1] (Unnikrishnan, Pantofaru and Hebert 2007)."""
    # Pairs apart in one map and together in the other: (sum a^2 + sum b^2) / 2 - sum overlap^2.
    alone = (o.person_px @ o.person_px + o.n_people * (o.label_px @ o.label_px)) / 2
    n_pairs = o.n_people * o.n_pixels * (o.n_pixels - 1) / 2
    return float(1 - (alone - o.shared_px @ o.shared_px) / n_pairs) if n_pairs else 1.0


def variation_of_information(o: Overlaps) -> float:
    """What labels and people do not tell of each other, in bits, in [0, 2 log2 N] (Meila 2005)."""
    bits = np.log2(o.shared_px / o.theirs_px) + np.log2(o.shared_px / o.ours_px)
    return max(float(-(o.shared_px @ bits) / (o.n_people * o.n_pixels)), 0.0)


#: All as in the official BSDS500 evaluator.
METRICS: Mapping[str, Metric[Overlaps]] = {
    metric.name: metric
    for metric in (
        Metric("covering", covering, higher_is_better=True, title="covering"),
        Metric("pri", probabilistic_rand_index, higher_is_better=True, title="PRI"),
        Metric("voi", variation_of_information, higher_is_better=False, title="VoI", unit="bits"),
    )
}


def region_scores(labels: ArrayLike, people: People | Sequence[ArrayLike], *, stride: int = 1) -> dict[str, float]:
    """Every metric of a label map (H, W) against people's maps (H, W), each the mean over people.

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
    overlaps = Overlaps.of(found, people)
    return {name: metric.function(overlaps) for name, metric in METRICS.items()}


def region_covering(labels: ArrayLike, people: People | Sequence[ArrayLike], *, stride: int = 1) -> float:
    """:func:`covering` of people's regions by the labels; arguments as :func:`region_scores`."""
    return region_scores(labels, people, stride=stride)["covering"]


def weighted_covering(labels: ArrayLike, reference: ArrayLike, weight: ArrayLike) -> float:
    """:func:`covering` of a reference's regions where places count unequally, in [0, 1].

    Areas, of regions and of what they share, are sums of the weight.

    Args:
        labels, reference: label maps (H, W).
        weight: (H, W) >= 0, such as the density of fixations.

    Raises:
        ValueError: sizes differ, labels are not integers, or there is no weight.
    """
    ours, theirs, mass = _label_map(labels), _label_map(reference), np.asarray(weight, dtype=float)
    if not ours.shape == theirs.shape == mass.shape:
        raise ValueError(f"expected three maps of one size, got {ours.shape}, {theirs.shape} and {mass.shape}")
    if not (mass >= 0).all() or not mass.sum() > 0:
        raise ValueError("expected weights >= 0 and some above it")
    (own, n_own), (other, n_other) = _compact(ours), _compact(theirs)
    shared = np.bincount(other * n_own + own, mass.ravel(), n_other * n_own).reshape(n_other, n_own)
    area, our_area = shared.sum(1), shared.sum(0)
    union = area[:, None] + our_area - shared
    best = np.max(shared / np.where(union > 0, union, 1), 1)
    return float((area * best).sum() / area.sum())


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
