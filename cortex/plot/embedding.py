"""The proto-objects of many images in a plane: what M4 and M5 say of them alike lies close together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from ciliary.cortex.plot import style
from ciliary.cortex.plot.sheet import Row, Sheet

_THUMBNAIL_PX = 26
_N_THUMBNAILS = 60  # more would hide each other


@dataclass(frozen=True, eq=False)
class Plane:
    """One area's codes in two dimensions.

    Attributes:
        title: the area.
        note: how it was done, and how far neighbours stay neighbours.
        before: (N, 2) places at the first setting.
        after: (M, 2) at the second; empty when there is none.
        moved: pairs (i, j): object i before is object j after.
    """

    title: str
    note: str
    before: np.ndarray
    after: np.ndarray
    moved: Sequence[tuple[int, int]]


def draw_embedding(planes: Sequence[Plane], pictures: Sequence[np.ndarray], *, note: str) -> Figure:
    """A plane an area; ``pictures`` (h, w, 3) are of the objects before, in their order."""
    sheet = Sheet("What looks alike to M4 and M5", note, [Row(len(planes), 5.2, 0.5)])
    for column, plane in enumerate(planes):
        ax = sheet.axes(0, column)
        _draw(ax, plane, pictures)
        ax.set_title(plane.title, fontsize=10, color=style.INK, loc="left", pad=5)
        ax.set_xlabel(plane.note, fontsize=8.5, color=style.FAINT, loc="left", labelpad=3)
    return sheet.figure


def _draw(ax: Axes, plane: Plane, pictures: Sequence[np.ndarray]) -> None:
    for i, j in plane.moved:
        way = np.stack([plane.before[i], plane.after[j]])
        ax.plot(way[:, 0], way[:, 1], color=style.AFTER, lw=0.9, zorder=1)
    if len(plane.after):
        ax.plot(plane.after[:, 0], plane.after[:, 1], "o", color=style.AFTER, ms=4, zorder=4, label="after")
    ax.plot(plane.before[:, 0], plane.before[:, 1], "o", color=style.BEFORE, ms=3, zorder=2, label="before")
    for place, picture in list(zip(plane.before, pictures, strict=True))[:_N_THUMBNAILS]:
        zoom = _THUMBNAIL_PX / max(picture.shape[:2])
        box = AnnotationBbox(OffsetImage(picture, zoom=zoom), (place[0], place[1]), frameon=True, pad=0.06, zorder=3)
        box.patch.set(edgecolor=style.GRID, linewidth=0.5)
        ax.add_artist(box)
    ax.margins(0.08)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(color=style.GRID, linewidth=0.8)
