"""What the page shows of a percept, as arrays and pictures: numpy alone, since it is drawn while a slider moves."""

from __future__ import annotations

import io
import time
from base64 import b64encode
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image
from torch import Tensor

from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.plot import style
from ciliary.cortex.plot.paint import count_regions, own_colours, with_borders
from ciliary.tuning.app.eye import Eye, Scene
from ciliary.tuning.app.state import State, seen

#: What can be shown, and what is said of it.
VIEWS = {
    "regions": "each region in a colour of its own",
    "contour": "dark: strength of boundary",
    "disagreement": "orange: where the looks disagree",
}
_PALE = 0.35  # contrast that is left of a photograph under a map
_EVERY = 4  # pixels, of which one is looked at for colours
_MOST_COLOURS = 255  # of a picture with a palette, whose last entry is the borders'


@dataclass(frozen=True)
class Layers:
    """Addresses of the pictures of one percept: ``lines`` lie over the photograph, and words about them."""

    lines: str
    percept: str
    words: str


def photograph(scene: Scene) -> str:
    """Address of the image itself, as JPEG: a quarter of the time of PNG."""
    return address(_packed(_as_bytes(scene.picture), "JPEG", quality=90, subsampling=0), "image/jpeg")


def sheet(state: State, eye: Eye, view: str) -> Layers:
    """Perceive what a state shows, and draw it.

    Args:
        state: of a tab.
        eye: who sees.
        view: of :data:`VIEWS`.
    """
    start = time.perf_counter()
    doubt = getattr(None if state.episode is None else state.episode.together, "uncertainty", None)
    drawn = layers(state.scene, seen(state, eye), view, doubt=doubt)
    return Layers(drawn.lines, drawn.percept, f"{drawn.words} · {time.perf_counter() - start:.2f} s")


def layers(scene: Scene, percept: AbstractPercept, view: str, *, doubt: Tensor | None = None) -> Layers:
    """One view of a percept, drawn.

    Args:
        scene: what was seen.
        percept: a batch of one.
        view: of :data:`VIEWS`.
        doubt: (1, 1, h, w) in [0, 1], for ``disagreement``; None: there are no looks, and nothing to draw but paper.
    """
    height, width = scene.photograph.image.shape[-2:]
    said = VIEWS[view]
    if view == "disagreement":
        said = (
            "accommodate first: one setting has nothing to disagree with"
            if doubt is None
            else (f"{said}; {float(doubt.mean()):.2f} on average (of 1)")
        )
    labels = labels_of(scene, percept)
    lines = borders(labels)
    if view == "regions":
        picture = regions(scene, labels, lines)
    elif view == "contour":
        picture = _jpeg(1 - enlarge(percept.boundary, scene.size))
    else:
        picture = _jpeg(pale(scene.picture) if doubt is None else tinted(scene.picture, enlarge(doubt, scene.size)))
    words = f"{words_of(percept)} · {said} · seen at {width} × {height} px"
    return Layers(_over(lines, style.AFTER), picture, words)


def regions(scene: Scene, labels: np.ndarray, lines: np.ndarray) -> str:
    """Address of a picture: each region (H, W) in its own colour, its borders (H, W) bool white."""
    palette = region_colours(scene.picture, labels)
    if len(palette) <= _MOST_COLOURS:  # so many bytes that a slider is answered a tenth of a second sooner
        index = np.where(lines, len(palette), labels).astype(np.uint8)
        return address(_indexed(index, np.vstack([palette, np.ones(3)])))
    return address(_packed(_as_bytes(with_borders(palette[labels], lines, "white")), "PNG", compress_level=1))


def region_colours(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colours (K, 3) of regions 0 .. K - 1, found on every fourth pixel: picture (H, W, 3), labels (H, W)."""
    few, some = labels[::_EVERY, ::_EVERY], picture[::_EVERY, ::_EVERY]
    palette = np.tile(picture.mean((0, 1)), (int(labels.max()) + 1, 1))  # of what lies between these pixels alone
    palette[few.ravel()] = own_colours(some, few).reshape(-1, 3)
    return palette


def labels_of(scene: Scene, percept: AbstractPercept) -> np.ndarray:
    """(H, W) int at the scene's size."""
    return np.asarray(percept.labels(scene.size)[0].numpy())


def borders(labels: np.ndarray) -> np.ndarray:
    """(H, W) bool: lines of two pixels between the labels (H, W)."""
    lines = np.zeros(labels.shape, dtype=bool)
    for one, other in (((slice(None), slice(1, None)), (slice(None), slice(-1))), ((slice(1, None),), (slice(-1),))):
        differs = labels[one] != labels[other]
        lines[one] |= differs
        lines[other] |= differs
    return lines


def enlarge(field: Tensor, size: tuple[int, int]) -> np.ndarray:
    """A map (1, 1, h, w) in [0, 1] at another size (H, W), bilinear."""
    small = Image.fromarray(field[0, 0].detach().clamp(0, 1).numpy().astype(np.float32))
    large: np.ndarray = np.asarray(small.resize(size[::-1], Image.Resampling.BILINEAR))
    return np.asarray(np.clip(large, 0, 1), dtype=np.float32)


def pale(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) in grey, near to white."""
    return np.repeat(1 - _PALE * (1 - picture.mean(2, keepdims=True)), 3, axis=2)


def tinted(picture: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3), pale, under a colour as dense as a map (H, W) in [0, 1] is high."""
    mixed: np.ndarray = pale(picture) * (1 - share[..., None]) + np.array(to_rgb(style.AFTER)) * share[..., None]
    return mixed


def words_of(percept: AbstractPercept) -> str:
    """Such as ``12 regions``."""
    return count_regions(percept.labels()[0].numpy())


def address(data: bytes, kind: str = "image/png") -> str:
    """Bytes as an address that a page shows without a file."""
    return f"data:{kind};base64,{b64encode(data).decode()}"


def _over(lines: np.ndarray, ink: str) -> str:
    """Lines (H, W) bool in one colour, the rest see-through."""
    return address(_indexed(lines.astype(np.uint8), np.array([to_rgb(ink)] * 2), transparency=0))


def _indexed(index: np.ndarray, palette: np.ndarray, **how: int) -> bytes:
    picture = Image.fromarray(index)
    picture.putpalette(_as_bytes(palette).ravel().tolist())
    return _packed(picture, "PNG", compress_level=1, **how)


def _jpeg(picture: np.ndarray) -> str:
    return address(_packed(_as_bytes(picture), "JPEG", quality=90), "image/jpeg")


def _as_bytes(picture: np.ndarray) -> np.ndarray:
    return (picture * 255 + 0.5).astype(np.uint8)


def _packed(picture: np.ndarray | Image.Image, kind: str, **how: int) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(buffer, kind, **how)
    return buffer.getvalue()
