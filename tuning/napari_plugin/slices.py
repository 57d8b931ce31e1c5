"""The slice of an image layer that is looked at: its pixels, and where it lies. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST_PX = (
    2048  # long side of the layers that are made: of larger images they are coarser, and lie over them all the same
)


@dataclass(frozen=True)
class Cut:
    """Where a slice lies in a layer's data.

    Attributes:
        index: of each axis of the data but the colours: the place where it is cut, or None where it is seen. Two are.
        size: (height, width) of the slice, at the finest level.
    """

    index: tuple[int | None, ...]
    size: tuple[int, int]

    @property
    def map_size(self) -> tuple[int, int]:
        """(height, width) of the maps that are made of it."""
        ratio = min(1.0, MOST_PX / max(self.size))
        return max(1, round(self.size[0] * ratio)), max(1, round(self.size[1] * ratio))

    def whole(self, flat: np.ndarray) -> np.ndarray:
        """A map (h, w) with as many axes as the layer: of one along those that are cut."""
        return np.expand_dims(flat, [axis for axis, at in enumerate(self.index) if at is not None])

    def steps(self, flat_size: Sequence[int]) -> tuple[float, ...]:
        """How many pixels of the layer one of a map (h, w) covers, along each axis of the layer."""
        seen = iter(n / m for n, m in zip(self.size, flat_size, strict=True))
        return tuple(next(seen) if at is None else 1.0 for at in self.index)

    def corner(self, flat_size: Sequence[int]) -> tuple[float, ...]:
        """Where in the layer's pixels the middle of a map's first pixel lies, along each axis of the layer."""
        return tuple(
            (step - 1) / 2 if at is None else float(at)
            for at, step in zip(self.index, self.steps(flat_size), strict=True)
        )


@dataclass(frozen=True, eq=False)
class Source:
    """An image that is to be looked at.

    Attributes:
        name: of its layer.
        place: which slice.
        load: its pixels, (h, w) or (h, w, colours); may take a while.
        limits: grey values shown as black and as white; None: as a file is read.
        path: the file that the slice is all of, if there is one.
    """

    name: str
    place: Cut
    load: Callable[[], np.ndarray]
    limits: tuple[float, float] | None = None
    path: Path | None = None


def cut(shape: Sequence[int], order: Sequence[int], point: Sequence[float]) -> Cut:
    """The slice that is in front.

    Args:
        shape: of the layer's data, without the colours.
        order: of the viewer's axes, those in front last; a layer has the last ones of a viewer's.
        point: where the viewer stands, in pixels of the layer.

    Raises:
        ValueError: the layer has fewer than two axes.
    """
    n = len(shape)
    if n < 2:
        raise ValueError(f"expected an image of two axes or more, got {n}")
    n_more = len(order) - n
    front = [axis - n_more for axis in order if axis >= n_more][-2:]
    index = tuple(
        None if axis in front else min(max(round(float(point[axis])), 0), shape[axis] - 1) for axis in range(n)
    )
    height, width = (shape[axis] for axis in sorted(front))
    return Cut(index, (height, width))


def level_of(shapes: Sequence[Sequence[int]], place: Cut, long_side_px: int) -> int:
    """Of the levels of a pyramid, finest first, the coarsest that still has a slice of this long side.

    Args:
        shapes: of the levels, without the colours.
        place: the slice, at the finest level.
        long_side_px: that is wanted.
    """
    front = [axis for axis, at in enumerate(place.index) if at is None]
    fit = [i for i, shape in enumerate(shapes) if max(shape[axis] for axis in front) >= long_side_px]
    return fit[-1] if fit else 0


def taken(data: Any, place: Cut, *, full: Sequence[int] | None = None) -> np.ndarray:
    """The pixels of a slice, (h, w) or (h, w, colours), of whatever numpy can be made of (dask, zarr).

    Args:
        data: of the layer, or of one level of its pyramid.
        place: the slice, at the finest level.
        full: shape of the finest level, without the colours, where ``data`` is of another.
    """
    ratio = [1.0] * len(place.index) if full is None else [n / m for n, m in zip(data.shape, full, strict=False)]
    where = tuple(
        slice(None) if at is None else min(int(at * r), data.shape[axis] - 1)
        for axis, (at, r) in enumerate(zip(place.index, ratio, strict=True))
    )
    return np.asarray(data[where])
