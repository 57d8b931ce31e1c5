"""Pixels of a layer as a perceiver is shown them: read as the commands would read them from a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.reading import Photograph, UnreadableImage
from ciliary.tuning.napari_plugin.slices import Source


def read(source: Source, long_side_px: int) -> Photograph:
    """The slice as :func:`photograph_of` has it, under its layer's name."""
    made = photograph_of(source.load(), source.name, long_side_px, limits=source.limits)
    return replace(made, path=source.path)


def photograph_of(
    pixels: np.ndarray, name: str, long_side_px: int, *, limits: tuple[float, float] | None = None
) -> Photograph:
    """Pixels as a perceiver is shown them: what the reader of files would make of them.

    8 and 16 bits are read as of a file (10 and 12 bits in 16 are found out); other grey values outside [0, 1] are
    stretched to it. What was done is in ``notes``.

    Args:
        pixels: (H, W) grey, or (H, W, 3 or 4), of any real type.
        name: of the image.
        long_side_px: it is shrunk to; a side under 32 px becomes 32 px.
        limits: grey values shown as black and as white; None: as above.

    Raises:
        UnreadableImage: complex values; colours that are neither of 8 or 16 bits nor in [0, 1]; under 4 px.
    """
    if np.iscomplexobj(pixels):
        raise UnreadableImage(name, f"expected real values, got {pixels.dtype}; show their absolute value")
    if limits is not None and pixels.ndim == 2:
        low, high = limits
        shown = (pixels.astype(np.float64) - low) / max(high - low, np.finfo(float).tiny)
        return as_photograph(Image.fromarray(shown.clip(0, 1).astype(np.float32)), name, long_side_px)
    return as_photograph(_held(pixels), name, long_side_px)


def _held(pixels: np.ndarray) -> Image.Image | np.ndarray:
    """As Pillow would hold them, had they come from a file; colours as floats, which have no file, as they are."""
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    is_int = pixels.dtype.kind in "iu" and pixels.dtype != np.uint16 and pixels.size
    if is_int and pixels.ndim == 3 and pixels.min() >= 0 and pixels.max() < 256:  # bytes, only wider
        pixels = pixels.astype(np.uint8)
    if pixels.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.dtype == np.uint16:
        if pixels.ndim == 3:  # of 16 bits a colour the reader keeps the upper 8
            return Image.fromarray((pixels >> 8).astype(np.uint8))
        return Image.fromarray(np.ascontiguousarray(pixels, dtype="<u2"))
    if pixels.ndim == 2:
        return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(pixels, dtype=np.float32)
