"""The one door to a picture file: which kinds are opened, how large they may be, and which of them are our own.

Everything that reads pixels of a file comes through :func:`open_picture`, photographs, depth and label maps alike.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 400_000_000  # 20,000 x 20,000; Pillow alone would refuse from 179 million on
MAX_WIDE_PIXELS = 100_000_000  # of 32 bits each, of which several copies are held at once
# Raster kinds only: EPS would start a PostScript interpreter. Pillow's names; those it was built without are left out.
FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "PPM", "TGA", "ICO", "PCX", "JPEG2000", "AVIF",
    "QOI", "SGI",
)  # fmt: skip
#: What Ciliary writes into its own pictures (PNG: ``Software``; GIF: the comment), by which they are known again.
SOFTWARE = "Ciliary"
_MOST_UNPACKED = 2000  # times the file's size: more than any photograph, and any plain page, comes to
_SMALL_BYTES = 16_000_000  # unpacked, under which nobody is harmed
_MAX_TILES = 65535  # ISO 15444-1, A.4.2: a tile's index has 16 bits
_HEAD_BYTES = 1 << 16
_PILLOW_LOCK = threading.RLock()  # its size limit is one global variable, and so are the filters of warnings


class UnreadableImage(ValueError):
    """A file that gives no image. ``path`` is the file, ``reason`` says why; ``str()`` is both in one line."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = Path(path)
        self.reason = " ".join(reason.split())
        super().__init__(f"{self.path}: {self.reason}")


@contextmanager
def open_picture(path: str | Path) -> Iterator[Image.Image]:
    """A picture file, opened but not decoded, of a kind and a size that may be decoded.

    Raises:
        UnreadableImage: missing, empty, no picture, over the limits; or whatever went wrong in the block.
    """
    path = Path(path)
    try:
        _check_file(path)
        with _pillow_settings(), Image.open(path, formats=_formats()) as file:
            _check_size(file, path)
            yield file
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


def is_signed(path: Path) -> bool:
    """Whether Ciliary drew this PNG or GIF."""
    if path.suffix.lower() not in (".png", ".gif"):
        return False
    try:
        with Image.open(path, formats=("PNG", "GIF")) as picture:
            return SOFTWARE in (
                picture.info.get("Software"),
                picture.info.get("comment", b"").decode("ascii", "ignore"),
            )
    except Exception:  # noqa: BLE001 -- what cannot be opened was not drawn by us
        return False


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UnreadableImage(path, "no such file")
    if path.is_dir():
        raise UnreadableImage(path, "is a folder, not an image")
    if not path.is_file():  # reading a pipe would wait for ever
        raise UnreadableImage(path, "is not a regular file")
    if path.stat().st_size == 0:
        raise UnreadableImage(path, "is empty (0 bytes)")


def _check_size(file: Image.Image, path: Path) -> None:
    """Refuse what would take memory or time without bound, before it is decoded."""
    width, height = file.size
    is_wide = file.mode in ("F", "I")
    limit = MAX_WIDE_PIXELS if is_wide else MAX_PIXELS
    if width * height > limit:
        kind = " of 32 bits" if is_wide else ""
        raise UnreadableImage(
            path, f"{width}x{height} px is over the limit of {limit // 10**6} megapixels{kind}; shrink it first"
        )
    unpacked, packed = width * height * (1 if file.mode in ("1", "L", "P") else 4), path.stat().st_size
    if unpacked > max(_SMALL_BYTES, _MOST_UNPACKED * packed):
        raise UnreadableImage(path, f"{packed} bytes that say {width}x{height} px: broken, or made to do harm")
    if file.format == "JPEG2000":
        _check_tiles(path)


def _check_tiles(path: Path) -> None:
    """A JPEG 2000 decoder walks over as many tiles as its header says, whatever follows."""
    with path.open("rb") as raw:
        head = raw.read(_HEAD_BYTES)
    at = head.find(b"\xff\x4f\xff\x51")  # start of the code stream, and its sizes
    if at < 0 or len(head) < at + 40:
        return
    right, bottom, _, _, wide, tall, first_x, first_y = struct.unpack(">8I", head[at + 8 : at + 40])
    if not wide or not tall:
        raise UnreadableImage(path, "broken or truncated (its tiles have no size)")
    n_tiles = -(-(right - first_x) // wide) * -(-(bottom - first_y) // tall)
    if not 0 < n_tiles <= _MAX_TILES:
        raise UnreadableImage(path, f"its header says {n_tiles} tiles of {wide}x{tall} px: broken, or made to do harm")


@contextmanager
def _pillow_settings() -> Iterator[None]:
    """Lift Pillow's size limit while ours are checked instead, and put it back.

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
