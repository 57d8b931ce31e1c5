"""Figures of which pixels count: heat of hidden places, gradients beside their control, curves of deletion."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.explain.controls import Likeness, likeness
from ciliary.cortex.explain.faithfulness import Curves
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import Row, Sheet, picture_row

_HEAT = colormaps["YlOrRd"]
_KNOWS_NOTHING = ("random", "edges")  # names of maps that ask nothing of the cortex begin so


@dataclass(frozen=True, eq=False)
class Explained:
    """One number, and the maps that are to explain it.

    Attributes:
        name: of the target.
        words: what it says.
        maps: method to (H, W); signed, what is positive counts for it.
        control: the same where nothing is known; may be empty.
        notes: method to a word below its map.
        region: (H, W) bool, the part of the image it is about, to be outlined.
    """

    name: str
    words: str
    maps: Mapping[str, Tensor]
    control: Mapping[str, Tensor]
    notes: Mapping[str, str]
    region: np.ndarray | None = None


def draw_occlusion(image: Tensor, rows: Sequence[Explained], *, share: float) -> Figure:
    """Each target's heat by itself and over the image (3, H, W); ``share`` of each side was hidden at once."""
    seen = paint.as_picture(image)
    size = seen.shape[:2]
    sheet = Sheet(
        "What hangs on what is seen where",
        f"a window of {100 * share:.0f} % of each side hides each place behind the mean of its surroundings",
        [picture_row(3, size) for _ in rows],
    )
    for i, row in enumerate(rows):
        (heat,) = row.maps.values()
        top = max(float(heat.abs().max()), 1e-6)
        _named(sheet.axes(i, 0), _over(seen, heat, top), row, width=54)
        fall = f"falls by {float(heat.max()):.3g} at most"
        style.picture(sheet.axes(i, 1), paint.signed(heat, paint.OFF_ON, top), "How far it falls (orange)", fall)
        y, x = divmod(int(heat.argmax()), size[1])
        ax = sheet.axes(i, 2)
        style.picture(ax, _faint(seen, heat, top), "Where it matters", "what matters less fades; cross: most")
        ax.plot(x, y, "+", color=style.AFTER, ms=11, mew=2)
    return sheet.figure


def draw_saliency(image: Tensor, rows: Sequence[Explained], *, lot: str, note: str = "") -> Figure:
    """A target a pair of rows: its maps, and below them those of a cortex that knows nothing.

    Args:
        image: (3, H, W).
        rows: targets, all with the same methods.
        lot: what of the control was drawn by lot.
        note: the line above.
    """
    seen = paint.as_picture(image)
    size = seen.shape[:2]
    n_columns = 1 + (len(rows[0].maps) if rows else 0)
    sheet = Sheet(
        "Which pixels it would change with", note, [picture_row(max(n_columns, 3), size) for _ in range(2 * len(rows))]
    )
    for i, row in enumerate(rows):
        _named(sheet.axes(2 * i, 0), seen, row, width=32)
        sheet.words(2 * i + 1, 0, f"the control:\n{lot}")
        for column, (name, heat) in enumerate(row.maps.items(), start=1):
            _map(sheet.axes(2 * i, column), heat, name, row.notes.get(name, ""))
            control = row.control[name]
            _map(sheet.axes(2 * i + 1, column), control, "", _alike(likeness(heat, control)))
    return sheet.figure


def draw_faithfulness(curves: Curves, names: Sequence[str], *, target: str, note: str) -> Figure:
    """Deletion at the left, insertion at the right; maps that ask nothing of the cortex are grey."""
    sheet = Sheet(f"Which map names the pixels that {target} hangs on", note, [Row(2, 3.3, 0.6)])
    areas = (
        ("Deleted first", curves.deletion, curves.deletion_area),
        ("Inserted first", curves.insertion, curves.insertion_area),
    )
    inks = iter(colormaps["tab10"].colors)  # type: ignore[attr-defined]
    ink = {name: style.TRIAL if name.startswith(_KNOWS_NOTHING) else next(inks) for name in names}
    dashes = {name: (2 + 2 * i, 1 + i) for i, name in enumerate(n for n in names if n.startswith(_KNOWS_NOTHING))}
    for column, (words, levels, area) in enumerate(areas):
        ax = sheet.axes(0, column, left_in=0.4, right_in=1.75)
        for name, level, value in zip(names, levels, area, strict=True):
            line: dict[str, Any] = {"dashes": dashes[name]} if name in dashes else {}
            ax.plot(curves.share, level, color=ink[name], lw=1.6, label=f"{float(value):.2f}  {name}", **line)
        style.plain(ax, words, target)
        ax.set_xlabel("share of the pixels", fontsize=8.5, color=style.FAINT)
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02), "borderaxespad": 0.0}
        best = "area, less is better" if column == 0 else "area, more is better"
        ax.legend(
            fontsize=8,
            frameon=False,
            labelcolor=style.INK,
            handlelength=1.6,
            title=best,
            title_fontsize=8,
            alignment="left",
            **place,
        )
    return sheet.figure


def _map(ax: Axes, heat: Tensor, title: str, note: str) -> None:
    """Sizes dark on light, signs in two colours; ends at the 99.5th percentile."""
    bound = paint.limit(heat, 1e-12)
    is_signed = float(heat.min()) < 0
    picture = paint.signed(heat, paint.OFF_ON, bound) if is_signed else paint.strength(heat, bound)
    style.picture(ax, picture, title, note)
    if float(heat.abs().max()) == 0:
        style.nothing(ax, "nothing goes back")


def _alike(found: Likeness) -> str:
    return f"alike: rank {found.rank:.2f}, SSIM {found.structure:.2f}".replace("-", "−")


def _named(ax: Axes, picture: np.ndarray, row: Explained, *, width: int) -> None:
    """The target's name over a picture, what it says below, and what it is about outlined."""
    style.picture(ax, picture, row.name, textwrap.fill(row.words, width))
    if row.region is not None and 0 < row.region.mean() < 1:
        ax.contour(row.region, levels=[0.5], colors=["white"], linewidths=2.2)
        ax.contour(row.region, levels=[0.5], colors=[style.INK], linewidths=1.0)


def _over(image: np.ndarray, heat: Tensor, top: float) -> np.ndarray:
    """What falls, in colours over a faint image (H, W, 3)."""
    share = np.clip(heat.numpy() / top, 0, 1)[..., None]
    faint = 0.5 + 0.5 * image.mean(2, keepdims=True)
    return np.asarray(faint * (1 - 0.8 * share) + _HEAT(share[..., 0])[..., :3] * 0.8 * share)


def _faint(image: np.ndarray, heat: Tensor, top: float) -> np.ndarray:
    """The image, faded where the number does not fall."""
    share = np.clip(heat.numpy() / top, 0, 1)[..., None]
    return np.asarray(image * share + (1 - share) * (0.75 + 0.2 * image))
