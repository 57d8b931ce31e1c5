"""Whatever holds images, as photographs: paths, names, lists, arrays, PIL images; the one reader behind every door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ciliary.envs.data.reading import Photograph, UnreadableImage
from ciliary.envs.data.sources import BUNDLED, Source, bundled, dataset, file, folder, from_array, scenes


def open_images(images: Any = "bundled", long_side_px: int | None = 192) -> Sequence[Photograph]:
    """Whatever holds images, as photographs: the one reader behind every door.

    Args:
        images: ``bundled``, ``scenes``, a bundled name such as ``coffee``, the path of a file or folder; an image in
            memory (photograph, array, PIL, tensor); or a list of any of these. A data set whose items are tuples that
            start with an image will do too (:func:`dataset`).
        long_side_px: long side that images are shrunk to; None keeps their size.

    Raises:
        UnreadableImage: naming what is none of these.
    """
    if isinstance(images, Source):
        return images
    if isinstance(images, (str, Path)):
        return _named(images, long_side_px)
    if isinstance(images, (Photograph, Image.Image, np.ndarray, Tensor)) or hasattr(images, "original_size"):
        images = [images]
    if not isinstance(images, (list, tuple)):
        return dataset(images, long_side_px)
    if not images:
        raise UnreadableImage("images", "expected at least one, got an empty list")
    if all(isinstance(image, (str, Path)) for image in images):
        parts = [_named(image, long_side_px) for image in images]
        if len(parts) == 1:
            return parts[0]
        where = [(part, i) for part in parts for i in range(len(part))]
        names = _unique([part.names[i] for part, i in where])
        return Source(names, partial(_load_joined, where, names))
    return [as_photograph(image, f"image_{i}", long_side_px) for i, image in enumerate(images)]


def as_photograph(image: Any, name: str = "image", long_side_px: int | None = None) -> Photograph:
    """A photograph as it is; pixels in memory, or the path or bundled name of one image, as a photograph."""
    if isinstance(image, (str, Path)):
        return _named(image, long_side_px)[0]
    if isinstance(image, (Image.Image, np.ndarray, Tensor)):
        return from_array(image, name, long_side_px)
    if not hasattr(image, "original_size"):
        raise UnreadableImage(
            name, f"expected an image (path, array, PIL, tensor, Photograph), got {type(image).__name__}"
        )
    return image  # type: ignore[no-any-return]  # a photograph, or what has all of one


def _named(name: str | Path, long_side_px: int | None) -> Source:
    """A source by its name: a file or folder first, then what comes with the project."""
    if str(name) == "bundled":
        return bundled(long_side_px)
    if str(name) == "scenes":
        return scenes()
    if Path(name).is_dir():
        return folder(name, long_side_px)
    if not Path(name).exists() and str(name) in BUNDLED:
        return bundled(long_side_px, [str(name)])
    return file(name, long_side_px)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names with ``_2``, ``_3``, ... behind those that were there before."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(out)


def _load_joined(where: Sequence[tuple[Source, int]], names: Sequence[str], i: int) -> Photograph:
    source, j = where[i]
    return replace(source[j], name=names[i])
