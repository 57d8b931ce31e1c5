"""Any image file to a photograph of bounded size, or one clear line saying why not.

Pillow reads; this file makes its many kinds of pixel one: upright, (3, H, W), sRGB in [0, 1]. Colour profiles are
not applied: values are taken as sRGB. Large files are shrunk while they are read (JPEG in the decoder itself).
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

MIN_ORIGINAL_SIDE_PX = 4
MIN_SIDE_PX = 32  # what the cortex needs on each side; smaller images are enlarged to it
MAX_PIXELS = 400_000_000  # 20,000 x 20,000; Pillow alone would refuse from 179 million on
# Raster kinds only: EPS would start a PostScript interpreter. Pillow's names; those it was built without are left out.
FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "PPM", "TGA", "ICO", "PCX", "JPEG2000", "AVIF",
    "QOI", "SGI",
)  # fmt: skip
_PILLOW_LOCK = threading.RLock()  # its size limit is one global variable, and so are the filters of warnings

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.32, tag 0x0112


class UnreadableImage(ValueError):
    """A file that gives no image. ``path`` is the file, ``reason`` says why; ``str()`` is both in one line."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = Path(path)
        self.reason = " ".join(reason.split())
        super().__init__(f"{self.path}: {self.reason}")


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
    try:
        _check_file(path)
        with _pillow_settings(), Image.open(path, formats=_formats()) as file:
            return _read(file, path, long_side_px)
    except UnreadableImage:
        raise
    except FileNotFoundError:
        raise UnreadableImage(path, "no such file") from None
    except PermissionError:
        raise UnreadableImage(path, "no permission to read it") from None
    except UnidentifiedImageError:
        raise UnreadableImage(path, "not an image, or of a kind that cannot be read here") from None
    except MemoryError:
        raise UnreadableImage(path, "not enough memory to decode it; shrink it first") from None
    except Exception as error:  # decoders meet broken bytes with almost any exception
        raise UnreadableImage(path, f"broken or truncated ({error})") from error


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


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UnreadableImage(path, "no such file")
    if path.is_dir():
        raise UnreadableImage(path, "is a folder, not an image")
    if not path.is_file():  # reading a pipe would wait for ever
        raise UnreadableImage(path, "is not a regular file")
    if path.stat().st_size == 0:
        raise UnreadableImage(path, "is empty (0 bytes)")


@contextmanager
def _pillow_settings() -> Iterator[None]:
    """Lift Pillow's size limit while :data:`MAX_PIXELS` is checked instead, and put it back.

    Its warnings (a damaged EXIF block, and the like) are kept quiet: a file is read or refused.
    """
    with _PILLOW_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _read(file: Image.Image, path: Path, long_side_px: int | None) -> Photograph:
    width, height = file.size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(
            path, f"{width}x{height} px is over the limit of {MAX_PIXELS // 10**6} megapixels; shrink it first"
        )
    if min(width, height) < MIN_ORIGINAL_SIDE_PX:
        raise UnreadableImage(
            path, f"{width}x{height} px is too small; each side must be at least {MIN_ORIGINAL_SIDE_PX} px"
        )
    notes = ["animated or several pages: the first is used"] if getattr(file, "is_animated", False) else []
    fitted = fit_size((height, width), long_side_px)
    # A JPEG decodes at 1/2, 1/4 or 1/8 size for free; twice the wanted size leaves the real filter its work.
    is_drafted = file.draft(None, (2 * max(fitted), 2 * max(fitted))) is not None
    file.load()
    if not is_drafted:
        width, height = file.size  # TIFF turns itself upright while it loads
    orientation = _orientation(file)
    fitted = fit_size((height, width), long_side_px)

    picture, conversion_notes = _simple_mode(file)
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
    if file.mode.startswith("I;16") or (file.mode == "I" and values.min() >= 0 and values.max() <= 65535):
        values /= 65535
        return Image.fromarray(values), []
    notes = []
    is_finite = np.isfinite(values)
    low, high = (float(values[is_finite].min()), float(values[is_finite].max())) if is_finite.any() else (0.0, 1.0)
    if not is_finite.all():
        values = np.where(is_finite, values, np.float32(low))
        notes.append("values that are not finite were set to the lowest")
    if low < 0 or high > 1:
        values = (values - np.float32(low)) / np.float32(max(high - low, 1e-30))
        notes.append(f"values from {low:g} to {high:g} were stretched to 0..1")
    return Image.fromarray(values), notes


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
