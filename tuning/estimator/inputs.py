"""Images and label maps as users of scikit-learn hold them, read one by one; what is wrong is told by its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.labelled import read_label_map
from ciliary.envs.data.reading import Photograph, UnreadableImage
from ciliary.envs.data.sources import BUNDLED

_16_BITS = 65535


def check_images(images: Any, name: str = "X") -> Sequence[Any]:
    """A sequence of images, or ``ValueError`` if it is something else, such as one image alone."""
    one = isinstance(images, (str, Path, Image.Image)) or (isinstance(images, np.ndarray) and images.ndim == 2)
    if one or not hasattr(images, "__len__") or not hasattr(images, "__getitem__"):
        got = f"an array {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"{name}: expected a list of images, or an array (N, H, W) or (N, H, W, 3), got {got}")
    if not len(images):
        raise ValueError(f"{name}: expected at least one image, got none")
    return images  # type: ignore[no-any-return]


def read_image(image: Any, i: int, size_px: int | None) -> Photograph:
    """The i-th image of X, with a long side of at most ``size_px``.

    Args:
        image: (H, W), (H, W, 3 or 4) of uint8, of uint16, or in [0, 1]; PIL, a tensor (3, H, W), a path, the name of a
            bundled photograph.
        i: its place, for messages.
        size_px: as :func:`ciliary.envs.data.reading.read_image` has it.

    Raises:
        ValueError: it is none of these; says which one it is, what was expected and what was got.
    """
    try:
        if isinstance(image, (str, Path)):
            if not Path(image).is_file() and str(image) not in BUNDLED:
                raise UnreadableImage(image, "no such file")
        elif isinstance(image, np.ndarray) and image.dtype == np.uint16:
            # as from a file: there are microscopes that use 12 of the 16 bits
            image = Image.fromarray(image) if image.ndim == 2 else (image / _16_BITS).astype(np.float32)
        return as_photograph(image, f"image_{i}", size_px)
    except UnreadableImage as error:
        where = f" ({error.path})" if isinstance(image, (str, Path)) else ""
        raise ValueError(f"X[{i}]{where}: {error.reason}") from error


def check_people(y: Any, n_images: int) -> Sequence[Any]:
    """What people drew, one entry an image, not looked at yet.

    Raises:
        ValueError: it is no sequence, or of another length than X.
    """
    if not hasattr(y, "__len__") or not hasattr(y, "__getitem__") or isinstance(y, str):
        raise ValueError(f"y: expected a list of label maps, one an image, got {type(y).__name__}")
    if len(y) != n_images:
        raise ValueError(f"expected as many entries of y as of X, got {len(y)} for {n_images} images")
    return y  # type: ignore[no-any-return]


def read_label_maps(drawn: Any, i: int, size: tuple[int, int] | None = None) -> list[np.ndarray]:
    """The maps (H, W) that one or more people drew of the i-th image.

    Args:
        drawn: a map of any integers, a list or array of several people's maps, or paths in place of maps.
        i: its place, for messages.
        size: (height, width) of the image, which the maps must have; None: any.

    Raises:
        ValueError: naming the place, what was expected, and what was got.
    """
    if isinstance(drawn, (str, Path)):
        drawn = [drawn]
    try:
        is_paths = isinstance(drawn, (list, tuple)) and any(isinstance(one, (str, Path)) for one in drawn)
        maps = np.asarray([read_label_map(one) for one in drawn] if is_paths else drawn)
    except ValueError as error:
        raise ValueError(f"y[{i}]: {error}") from error
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or maps.size == 0 or maps.dtype.kind not in "iub":
        raise ValueError(
            f"y[{i}]: expected a label map (H, W) of integers, or (people, H, W), got {maps.shape} of {maps.dtype}"
        )
    if size is not None and maps.shape[1:] != size:
        raise ValueError(f"y[{i}]: expected label maps of the image's size {size}, got {maps.shape[1:]}")
    return list(maps)


@contextmanager
def at_image(i: int) -> Iterator[None]:
    """Errors of a perceiver or a controller within say at which image they came."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError) as error:
        kind = RuntimeError if isinstance(error, RuntimeError) else ValueError
        raise kind(f"X[{i}]: {error}") from error
