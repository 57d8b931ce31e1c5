"""Any image file to a photograph of bounded size, or one clear line saying why not.

Pillow reads; this file makes its many kinds of pixel one: upright, (3, H, W), sRGB in [0, 1]. Colour profiles are
not applied: values are taken as sRGB. Large files are shrunk while they are read (JPEG in the decoder itself).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from ciliary.envs.data.opening import MAX_PIXELS as MAX_PIXELS
from ciliary.envs.data.opening import UnreadableImage as UnreadableImage
from ciliary.envs.data.opening import open_picture

MIN_ORIGINAL_SIDE_PX = 4
MIN_SIDE_PX = 32  # what the cortex needs on each side; smaller images are enlarged to it

_16_BITS = 65535
_FEWER_BITS = (8, 10, 12)  # 14 would be a photograph at a quarter of its light, which there are
_HUGE = 1e38

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.32, tag 0x0112


@dataclass(frozen=True, eq=False)
class Photograph:
    """An image with its name and where it came from."""

    name: str
    image: Tensor  # (3, H, W) float32, sRGB in [0, 1]
    original_size: tuple[int, int]  # (height, width) upright, before any resizing
    path: Path | None = None
    labels: Tensor | None = None  # (H, W) int64, where the true segmentation is known; never seen by a controller
    notes: tuple[str, ...] = ()  # what had to be done to it, for the user


def read_image(path: str | Path, long_side_px: int | None = 192) -> Photograph:
    """Read one image file.

    Args:
        path: the file. What it holds is told from its content, not from its extension.
        long_side_px: images are shrunk to this long side, never enlarged, except that a side below 32 px becomes
            32 px (with the aspect ratio kept as far as ``long_side_px`` allows). None keeps the size.

    Returns:
        The photograph; ``original_size`` is that of the upright file. First frame of an animation, transparency on
        mid-grey; 16-bit values / 65535; float values outside [0, 1] stretched to it. Each is said in ``notes``.

    Raises:
        UnreadableImage: missing, empty, not an image, truncated, no permission, under 4 px or over 400 megapixels.
        ValueError: if ``long_side_px`` is below 32.
    """
    if long_side_px is not None and long_side_px < MIN_SIDE_PX:
        raise ValueError(f"long_side_px must be at least {MIN_SIDE_PX}, got {long_side_px}")
    path = Path(path)
    with open_picture(path) as file:
        return photograph_of(file, path, long_side_px)


def fit_size(size: tuple[int, int], long_side_px: int | None) -> tuple[int, int]:
    """Size (height, width) to work at: long side at most ``long_side_px``, both sides at least 32 px.

    The aspect ratio is kept if these two leave room for it: (8, 8) -> (32, 32), but (10, 2000) -> (32, 192).
    """
    long, short = max(size), min(size)
    limit = max(long, MIN_SIDE_PX) if long_side_px is None else long_side_px
    scale = min(1.0, limit / long)
    if short * scale < MIN_SIDE_PX:
        scale = min(MIN_SIDE_PX / short, limit / long)
    height, width = (max(MIN_SIDE_PX, round(side * scale)) for side in size)
    return height, width


def photograph_of(file: Image.Image, path: Path, long_side_px: int | None) -> Photograph:
    """The photograph of a picture that Pillow holds, however it came there; ``path`` names it.

    Raises:
        UnreadableImage: it is too small.
    """
    width, height = file.size
    if min(width, height) < MIN_ORIGINAL_SIDE_PX:
        raise UnreadableImage(
            path, f"{width}x{height} px is too small; each side must be at least {MIN_ORIGINAL_SIDE_PX} px"
        )
    notes = ["animated or several pages: the first is used"] if getattr(file, "is_animated", False) else []
    fitted = fit_size((height, width), long_side_px)
    # A JPEG decodes at 1/2, 1/4 or 1/8 size for free; twice the wanted size leaves the real filter its work.
    is_drafted = file.draft(None, (2 * max(fitted), 2 * max(fitted))) is not None
    is_halved = "16" in str([part[3] for part in getattr(file, "tile", ())])  # of 16 bits Pillow keeps the upper 8
    file.load()
    if not is_drafted:
        width, height = file.size  # TIFF turns itself upright while it loads
    orientation = _orientation(file)
    fitted = fit_size((height, width), long_side_px)

    picture, conversion_notes = _simple_mode(file)
    if is_halved and picture.mode == "RGB" and max(high for _, high in picture.getextrema()) < 16:  # type: ignore[misc]
        notes.append("16-bit colour that uses its lowest 12 bits: shown nearly black; save it with 8 bits a channel")
    if picture.size != fitted[::-1]:
        picture = picture.resize(fitted[::-1], Image.Resampling.BICUBIC, reducing_gap=2.0)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
        if orientation >= 5:
            height, width = width, height
    if min(height, width) < MIN_SIDE_PX:
        notes.append(f"enlarged from {width}x{height} to {picture.width}x{picture.height} px")
    image = torch.from_numpy(_pixels(picture)).permute(2, 0, 1).contiguous()
    return Photograph(path.stem, image, (height, width), path, notes=(*notes, *conversion_notes))


def _orientation(file: Image.Image) -> int:
    try:
        return int(file.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 -- a damaged EXIF block does not spoil the pixels
        return 1


def _simple_mode(file: Image.Image) -> tuple[Image.Image, list[str]]:
    """To one of L, RGB, RGBA, CMYK or F (in [0, 1]): modes in which averaging pixels means averaging light."""
    if file.mode == "F" or file.mode.startswith("I"):
        return _float_grey(file)
    if file.has_transparency_data:
        return (file if file.mode == "RGBA" else file.convert("RGBA")), ["transparent parts are shown on mid-grey"]
    if file.mode == "1":
        return file.convert("L"), []
    return (file if file.mode in ("L", "RGB", "CMYK") else file.convert("RGB")), []


def _float_grey(file: Image.Image) -> tuple[Image.Image, list[str]]:
    values = np.array(file, dtype=np.float32)
    notes = []
    if file.mode.startswith("I;16") or (file.mode == "I" and values.min() >= 0 and values.max() <= _16_BITS):
        values, few = of_16_bits(values)
        return Image.fromarray(values), [few] if few else []
    is_finite = np.isfinite(values)
    low, high = (float(values[is_finite].min()), float(values[is_finite].max())) if is_finite.any() else (0.0, 1.0)
    if not is_finite.all():
        values = np.where(is_finite, values, np.float32(low))
        notes.append("values that are not finite were set to the lowest")
    if low < 0 or high > 1:
        half = 0.5 if max(-low, high) > _HUGE else 1.0  # so that their difference is a number too
        values = (values * np.float32(half) - np.float32(half * low)) / np.float32(max(half * (high - low), 1e-30))
        notes.append(f"values from {low:g} to {high:g} were stretched to 0..1")
    return Image.fromarray(values), notes


def of_16_bits(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Values 0 to 65535 to [0, 1] in float32; and, where they use fewer bits, what they were taken for."""
    top = float(values.max())
    n_bits = next((n for n in _FEWER_BITS if 0 < top < 2**n), 16)  # of a camera or a microscope, in 16
    few = f"values up to {top:g} of {_16_BITS}: read as {n_bits} bits" if n_bits < 16 else ""
    return values.astype(np.float32) / np.float32(2**n_bits - 1), few


def _pixels(picture: Image.Image) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1]."""
    if picture.mode == "F":
        grey = np.asarray(picture, dtype=np.float32).clip(0, 1)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode == "RGBA":
        rgba = np.asarray(picture, dtype=np.float32) / 255
        alpha = rgba[..., 3:]
        return rgba[..., :3] * alpha + 0.5 * (1 - alpha)
    return np.array(picture.convert("RGB"), dtype=np.float32) / 255
