"""What the page shows of a percept, as arrays and PNGs: numpy alone, since it is drawn while a slider moves."""

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
    "regions": "each region in its mean colour",
    "contour": "dark: strength of boundary",
    "disagreement": "orange: where the looks disagree",
}
_PALE = 0.35  # contrast that is left of a photograph under a map


@dataclass(frozen=True)
class Drawn:
    """Addresses of the pictures of a state, and the words below them."""

    image: str
    percept: str
    words: str


def sheet(state: State, eye: Eye, view: str, *, has_borders: bool = True) -> Drawn:
    """Perceive what a state shows, and draw it.

    Args:
        state: of a tab.
        eye: who sees.
        view: of :data:`VIEWS`.
        has_borders: whether those of the regions are on the image.
    """
    start = time.perf_counter()
    scene, percept = state.scene, seen(state, eye)
    doubt = getattr(None if state.episode is None else state.episode.together, "uncertainty", None)
    labels = labels_of(scene, percept)
    picture = draw(scene, percept, view, labels=labels, doubt=doubt)
    height, width = scene.photograph.image.shape[-2:]
    said = VIEWS[view]
    if view == "disagreement":
        said = (
            "accommodate first: one setting has nothing to disagree with"
            if doubt is None
            else (f"{said}; {100 * float(doubt.mean()):.0f} % on average")
        )
    words = f"{words_of(percept)} · {said} · seen at {width} × {height} px · {time.perf_counter() - start:.2f} s"
    lines = borders(labels) if has_borders else np.zeros(scene.size, dtype=bool)
    image = jpeg(with_borders(scene.picture, lines, style.AFTER))
    return Drawn(address(image, "image/jpeg"), address(png(picture)), words)


def draw(
    scene: Scene, percept: AbstractPercept, view: str, *, labels: np.ndarray, doubt: Tensor | None = None
) -> np.ndarray:
    """One view of a percept, (H, W, 3) in [0, 1] at the scene's size.

    Args:
        scene: what was seen.
        percept: a batch of one.
        view: of :data:`VIEWS`.
        labels: (H, W) int at the scene's size.
        doubt: (1, 1, h, w) in [0, 1], for ``disagreement``; None: there are no looks, and nothing to draw but paper.
    """
    if view == "contour":
        dark = 1 - enlarge(percept.boundary, scene.size)
        return np.repeat(dark[..., None], 3, axis=2)
    if view == "disagreement":
        return pale(scene.picture) if doubt is None else tinted(scene.picture, enlarge(doubt, scene.size))
    return with_borders(painted(scene.picture, labels), borders(labels), "white")


def painted(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each region in its own colour, found on every second pixel: picture (H, W, 3), labels (H, W) -> (H, W, 3)."""
    few = labels[::2, ::2]
    palette = np.tile(picture.mean((0, 1)), (int(labels.max()) + 1, 1))  # of what lies between these pixels alone
    palette[few.ravel()] = own_colours(picture[::2, ::2], few).reshape(-1, 3)
    return np.asarray(palette[labels])


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


def png(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) in [0, 1] as PNG, packed quickly."""
    return _packed(picture, "PNG", compress_level=1)


def jpeg(picture: np.ndarray) -> bytes:
    """A photograph (H, W, 3) in [0, 1] as JPEG: a quarter of the time."""
    return _packed(picture, "JPEG", quality=90, subsampling=0)


def _packed(picture: np.ndarray, kind: str, **how: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(buffer, kind, **how)
    return buffer.getvalue()


def address(data: bytes, kind: str = "image/png") -> str:
    """Bytes as an address that a page shows without a file."""
    return f"data:{kind};base64,{b64encode(data).decode()}"
