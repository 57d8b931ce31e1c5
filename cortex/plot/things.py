"""The figure of things followed: frames painted by identity, and a line for each thing that says when it was seen."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from skimage.segmentation import find_boundaries
from torch import Tensor

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import NARROW_IN, Row, Sheet, narrow_row

NOBODY = -1
N_SHOWN = 8  # frames in the figure
N_LINES = 30  # things in the lower panel, those seen most
_N_COLUMNS = 2
_LINE_IN = 0.15
_LEAST_NAMED = 0.004  # share of the picture from which a thing's number fits into it
_TINT = 0.6
_PALETTE_STEP = 0.618034  # of the golden ratio: any number of hues keeps apart
_HALO: list[patheffects.AbstractPathEffect] = [patheffects.withStroke(linewidth=2.0, foreground="white")]


def thing_colour(identity: int) -> tuple[float, float, float]:
    """RGB of a thing, the same in every picture."""
    hue = (0.08 + _PALETTE_STEP * identity) % 1
    return colorsys.hls_to_rgb(hue, (0.42, 0.58, 0.7)[identity % 3], 0.75)


def paint_things(image: Tensor, identity: np.ndarray) -> np.ndarray:
    """An image (3, H, W) in grey, each thing in its colour; what is nothing stays grey.

    Args:
        image: sRGB in [0, 1].
        identity: (H, W) int at each pixel, -1 for none.

    Returns:
        (H, W, 3) in [0, 1].
    """
    grey = paint.as_picture(image).mean(2, keepdims=True)
    colours = np.array([thing_colour(i) for i in range(int(identity.max(initial=NOBODY)) + 1)] + [(0.5, 0.5, 0.5)])
    is_thing = (identity != NOBODY)[..., None]
    page = np.where(is_thing, _TINT * colours[identity] + (1 - _TINT) * grey, np.repeat(grey, 3, 2))
    return paint.with_borders(page, find_boundaries(identity, mode="inner", background=-2), "white")


def middles(identity: np.ndarray) -> dict[int, tuple[float, float]]:
    """Where the number of each thing that is large enough goes: the pixel of it that is nearest to its middle."""
    found = {}
    for name in np.unique(identity[identity != NOBODY]).tolist():
        y, x = np.nonzero(identity == name)
        if len(y) >= _LEAST_NAMED * identity.size:
            nearest = np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2)
            found[name] = float(y[nearest]), float(x[nearest])
    return found


def draw_things(
    images: Tensor, identity: np.ndarray, *, frames: Sequence[str], name: str = "film", note: str = ""
) -> Figure:
    """Up to eight frames, evenly, and when each thing was seen.

    Args:
        images: (T, 3, H, W) sRGB in [0, 1].
        identity: (T, H, W) int, whose each pixel is, -1 for nobody's.
        frames: T names.
        name: of the film.
        note: how it was followed.
    """
    n, size = len(images), (images.shape[-2], images.shape[-1])
    shown = np.unique(np.linspace(0, n - 1, min(n, N_SHOWN)).round().astype(int))
    seen = seen_table(identity)
    n_rows = -(-len(shown) // _N_COLUMNS)
    n_lines = min(len(seen), N_LINES)
    lines = Row(1, 0.3 + _LINE_IN * max(n_lines, 1), gap_in=0.5)
    sheet = Sheet(f"{name}  ·  things", note, [*[narrow_row(size)] * n_rows, lines], width_in=NARROW_IN)
    for k, i in enumerate(shown.tolist()):
        ax = sheet.axes(k // _N_COLUMNS, k % _N_COLUMNS)
        n_things = len(np.unique(identity[i][identity[i] != NOBODY]))
        style.picture(ax, paint_things(images[i], identity[i]), frames[i], f"{n_things} things")
        for thing, (y, x) in middles(identity[i]).items():
            ax.text(x, y, str(thing), fontsize=8, color=style.INK, ha="center", va="center_baseline").set_path_effects(
                _HALO
            )
    _draw_lines(sheet.axes(n_rows, 0, left_in=0.3), seen, n_lines, shown.tolist(), [frames[i] for i in shown])
    return sheet.figure


def seen_table(identity: np.ndarray) -> np.ndarray:
    """(G, T) bool of identities (T, H, W): in which frames each thing, 0 .. G - 1, has a pixel."""
    n = int(identity.max(initial=NOBODY)) + 1
    seen = np.zeros((n, len(identity)), dtype=bool)
    for t, page in enumerate(identity):
        names = np.unique(page)
        seen[names[names != NOBODY], t] = True
    return seen


def _draw_lines(ax: Axes, seen: np.ndarray, n_lines: int, shown: Sequence[int], frames: Sequence[str]) -> None:
    most = np.argsort(-seen.sum(1), kind="stable")[:n_lines]
    style.plain(ax, "When each thing was seen" + (f", the {n_lines} seen most" if n_lines < len(seen) else ""), "")
    for row, thing in enumerate(np.sort(most).tolist()):
        for t in np.flatnonzero(seen[thing]).tolist():
            ax.add_patch(_cell(t, row, thing))
    ax.set_xlim(-0.5, seen.shape[1] - 0.5)
    ax.set_ylim(max(n_lines, 1) - 0.5, -0.5)
    ax.set_yticks(range(n_lines), [str(thing) for thing in np.sort(most).tolist()], fontsize=7.5)
    ax.set_xticks(shown, frames, fontsize=7.5)


def _cell(t: int, row: int, thing: int) -> Rectangle:
    return Rectangle((t - 0.5, row - 0.4), 1.0, 0.8, facecolor=thing_colour(thing), linewidth=0)
