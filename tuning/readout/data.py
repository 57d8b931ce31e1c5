"""Images and the class of each of their pixels: read one by one, counted before they are split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.envs.data.cells import PREFIX, synthetic_cells
from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.labelled import LabelledSet, read_labelled_folder
from ciliary.envs.metrics.classes import UNLABELLED

MOST_CLASSES = 32  # more values than this are numbers of objects


@dataclass(frozen=True, eq=False)
class Example:
    """An image (3, H, W) float32, sRGB in [0, 1], and the value (H, W) int64 that each of its pixels was given."""

    name: str
    image: Tensor
    values: np.ndarray


class Examples(Protocol):
    """Labelled images, read on access; may raise ``ValueError`` or ``OSError`` for one that is broken."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Example: ...


@dataclass(frozen=True)
class Folder:
    """A labelled folder (:func:`~ciliary.envs.data.labelled.read_labelled_folder`) at one size, in natural order.

    Natural: ``slice2`` stands before ``slice10``, as in the stack, so that blocks are neighbours.
    """

    data: LabelledSet
    long_side_px: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return self.data.names

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> Example:
        one = self.data[i]
        if len(one.segmentations) != 1:
            raise ValueError(
                f"{one.name}: expected one map of classes, got {len(one.segmentations)}; keep one a name in labels/"
            )
        image = as_photograph(one.image, one.name, self.long_side_px).image
        height, width = image.shape[-2:]
        drawn = torch.from_numpy(one.segmentations[0].astype(np.float64))[None, None]
        values = F.interpolate(drawn, size=(height, width), mode="nearest-exact")[0, 0]
        return Example(one.name, image, values.numpy().astype(np.int64))


@dataclass(frozen=True)
class Cells:
    """Synthetic cells (:mod:`ciliary.envs.data.cells`), by number."""

    n: int
    size_px: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(f"cells{i:04d}" for i in range(self.n))

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Example:
        image, values = synthetic_cells(i, size_px=self.size_px)
        return Example(self.names[i], image, values)


def open_examples(labelled: str, size_px: int) -> Examples:
    """A folder of images/ and labels/, or ``synthetic-cells:N``.

    Raises:
        ValueError: neither, or a folder that is not as it should be.
    """
    kind, _, number = labelled.partition(":")
    if kind == PREFIX:
        if not number.isdecimal() or int(number) < 1:
            raise ValueError(f"expected {PREFIX}:N with a number of images, such as {PREFIX}:50, got {labelled!r}")
        return Cells(int(number), size_px)
    data = read_labelled_folder(Path(labelled))
    return Folder(replace(data, entries=tuple(sorted(data.entries, key=lambda one: natural_key(one.name)))), size_px)


def natural_key(name: str) -> tuple[tuple[bool, int, str], ...]:
    """By which ``slice2`` stands before ``slice10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


@dataclass(frozen=True)
class Classes:
    """Which value is which class.

    Attributes:
        values: of the label maps, ascending; their places are the classes.
        is_foreground: 0 is one class and everything else another.
        void: the value of pixels that nobody labelled, or None.
    """

    values: tuple[int, ...]
    is_foreground: bool = False
    void: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What to call them."""
        if self.is_foreground:
            return "background", "foreground"
        return tuple(str(value) for value in self.values)

    def __len__(self) -> int:
        return len(self.values)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Classes (H, W) int64 of values (H, W); :data:`~ciliary.envs.metrics.classes.UNLABELLED` where void.

        Raises:
            ValueError: a value that is no class.
        """
        is_void = np.zeros(values.shape, bool) if self.void is None else values == self.void
        if self.is_foreground:
            found = (values != 0).astype(np.int64)
        else:
            known = np.array(self.values)
            found = np.searchsorted(known, values).clip(max=len(known) - 1)
            if (lost := (known[found] != values) & ~is_void).any():
                raise ValueError(f"expected the values {self.values}, got also {np.unique(values[lost]).tolist()[:5]}")
        return np.where(is_void, UNLABELLED, found)


@dataclass(frozen=True, eq=False)
class Census:
    """What the maps hold, before anything is split.

    Attributes:
        classes: K of them.
        names: of the N images that could be read.
        pixels: (N, K) of each class.
    """

    classes: Classes
    names: tuple[str, ...]
    pixels: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """(K,) of all labelled pixels."""
        return np.asarray(self.pixels.sum(0) / max(self.pixels.sum(), 1))

    @property
    def lacking(self) -> np.ndarray:
        """(K,) images without a pixel of the class."""
        return np.asarray((self.pixels == 0).sum(0))


def take_census(
    counted: Sequence[tuple[str, dict[int, int]]], *, is_foreground: bool = False, void: int | None = None
) -> Census:
    """Count classes in the values of all images.

    Args:
        counted: name, and pixels of each value, of every image.
        is_foreground: 0 against everything else.
        void: value that is no class.

    Raises:
        ValueError: one class or none, or so many that they must be numbers of objects.
    """
    found = sorted({value for _, counts in counted for value in counts} - {void})
    if not is_foreground and len(found) > MOST_CLASSES:
        raise ValueError(
            f"the maps have {len(found)} values ({found[0]} to {found[-1]}), more than {MOST_CLASSES} classes: if they "
            "number objects, use --classes foreground (0 against the rest)"
        )
    values = (0, 1) if is_foreground else tuple(found)
    classes = Classes(values, is_foreground, void)
    pixels = np.zeros((len(counted), len(values)), np.int64)
    for i, (_, counts) in enumerate(counted):
        for value, n in counts.items():
            if value != void:
                pixels[i, int(value != 0) if is_foreground else values.index(value)] += n
    if (pixels.sum(0) > 0).sum() < 2:
        raise ValueError(f"expected two classes or more in the maps, got the values {found}")
    return Census(classes, tuple(name for name, _ in counted), pixels)


def count_values(values: np.ndarray) -> dict[int, int]:
    """Value -> pixels of a map."""
    found, n = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), n.tolist(), strict=True))


def class_weights(census: Census, rows: Sequence[int]) -> np.ndarray:
    """(K,) weights of the classes from some images alone: the median share over the class's own, mean 1.

    Median frequency balancing (Eigen & Fergus 2015, section 6.3.2), shares taken over all pixels. A class that these
    images lack weighs 0.
    """
    pixels = census.pixels[list(rows)].sum(0)
    share = pixels / max(pixels.sum(), 1)
    weight = np.divide(np.median(share[share > 0]), share, out=np.zeros(len(share)), where=share > 0)
    return np.asarray(weight / weight[share > 0].mean())
