"""How every figure looks: inks, and what any panel needs. Drawn on the axes that are given, never by pyplot."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes

INK, FAINT, GRID = "#22262b", "#7b838c", "#e6e8ea"
BEFORE, AFTER, TRIAL = "#8a93a0", "#d2601a", "#b3bac2"
#: Bars beside those in AFTER: told apart in print, too.
HOLLOW: dict[str, Any] = {"facecolor": GRID, "edgecolor": BEFORE, "linewidth": 0.8}
_LETTER_IN = 0.066  # mean width of a letter of a note, 8.5 points


def picture(ax: Axes, image: np.ndarray, title: str, note: str = "") -> None:
    """An image (H, W) in [0, 1], drawn dark on light, or (H, W, 3), without axes; ``note`` stands below it.

    A note that is wider than the axes goes on in a second line.
    Words are drawn as they are: a name with dollars is no formula.
    """
    if image.ndim == 2:
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="bilinear")
    else:
        ax.imshow(np.clip(image, 0, 1), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(color=GRID, linewidth=0.8)
    ax.set_title(title, fontsize=10, color=INK, loc="left", pad=5, parse_math=False)
    if note:
        box, figure = ax.get_position(), ax.get_figure(root=True)
        width_in = box.width * figure.get_figwidth() if figure is not None else 0.0
        note = textwrap.fill(note, n_letters(width_in), break_long_words=False)
        ax.set_xlabel(note, fontsize=8.5, color=FAINT, loc="left", labelpad=3, parse_math=False)


def n_letters(width_in: float) -> int:
    """How many letters of a note there is room for."""
    return max(12, int(width_in / _LETTER_IN))


def nothing(ax: Axes, words: str) -> None:
    """Why a picture is blank, across its middle."""
    place: dict[str, Any] = {"ha": "center", "va": "center", "transform": ax.transAxes}
    ax.text(0.5, 0.5, words, fontsize=9, color=FAINT, **place)


def plain(ax: Axes, title: str, label: str) -> None:
    """Title and label, faint ticks, and no more lines than it takes."""
    ax.set_title(title, fontsize=10, color=INK, loc="left", pad=5, parse_math=False)
    ax.set_ylabel(label, fontsize=8.5, color=FAINT)
    ax.tick_params(colors=FAINT, labelsize=8.5, length=0)
    ax.grid(axis="y", color=GRID, lw=0.7)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set(visible=side == "bottom", color=GRID)


def legend(ax: Axes, *, n_columns: int) -> None:
    """Above the axes, at the right, where no point can lie under it."""
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.985), "borderaxespad": 0.0}
    ax.legend(fontsize=8, frameon=False, ncols=n_columns, labelcolor=INK, handlelength=1.5, columnspacing=1.2, **place)


def spelled(term: str) -> str:
    """The name of a term as people write it."""
    return term.replace("_", " ")
