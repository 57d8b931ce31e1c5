"""The page of a focusing episode: the scene at rest and in the end, the window at the gaze, the looks on a curve."""

from __future__ import annotations

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import NARROW_IN, Row, Sheet, narrow_row
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.tuning.focus.episode import Retina, Watched
from ciliary.tuning.focus.inputs import LENS

_HALO: list[patheffects.AbstractPathEffect] = [patheffects.withStroke(linewidth=2.6, foreground="white")]
_WORDS = {LENS: ("lens, dioptres (nearness in focus)", "focus term (lower is sharper)", "dpt")}
_WORDS["pupil_mm"] = ("pupil, mm", "pupil term (lower tells more)", "mm")


def draw_focus(watched: Watched, retina: Retina, *, name: str) -> Figure:
    """The figure of an episode.

    Args:
        watched: the episode.
        retina: of its scene.
        name: of the scene.
    """
    size = watched.scene.size_px
    has_truth = bool(np.isfinite(watched.object_dpt)) and watched.muscle == LENS
    is_deep = has_truth and float(watched.scene.distance_dpt.max() - watched.scene.distance_dpt.min()) > 1e-3
    row = narrow_row(size)
    windows = narrow_row((watched.windows[0].shape[-2], watched.windows[0].shape[-1]))
    last_row = row if is_deep else Row(2, 2.3)
    sheet = Sheet(headline(watched, name), note_of(watched), [row, windows, last_row], width_in=NARROW_IN)
    first, last = float(watched.setting[0]), float(watched.setting[watched.trace.i_chosen])
    unit = _WORDS[watched.muscle][2]
    for column, (setting, title) in enumerate(((first, "At rest"), (last, "In the end"))):
        ax = sheet.axes(0, column)
        style.picture(ax, displayed(retina.at(setting)), title, f"{setting:.2f} {unit}")
        mark_gaze(ax, watched)
    if is_deep:
        ax = sheet.axes(2, 0)
        distance = watched.scene.distance_dpt[0]
        low, high = float(distance.min()), float(distance.max())
        words = f"dioptres, {low:.2f} white to {high:.2f} black; {watched.object_dpt:.2f} at the gaze"
        style.picture(ax, ((distance - low) / max(high - low, 1e-6)).numpy(), "Truth, which the eye is not told", words)
        mark_gaze(ax, watched)
    for column, (i, title) in enumerate(((0, "Window at rest"), (watched.trace.i_chosen, "Window in the end"))):
        style.picture(sheet.axes(1, column), displayed(watched.windows[i]), title, f"look {i + 1}")
    curve = sheet.axes(2, 1, left_in=0.55) if is_deep else sheet.axes(2, 0, n_columns=2, left_in=0.55)
    draw_curve(curve, watched)
    return sheet.figure


def headline(watched: Watched, name: str) -> str:
    """Scene, controller, looks and what came of them."""
    n, trace = len(watched.setting), watched.trace
    words = [name, trace.controller, f"{n} look{'s' if n > 1 else ''}"]
    if np.isfinite(watched.error_dpt):
        words.append(f"{watched.error_dpt:.2f} dpt off (at rest {abs(watched.setting[0] - watched.object_dpt):.2f})")
    else:
        first, last = watched.term[0], watched.term[trace.i_chosen]
        words.append(f"term {first:.3f} → {last:.3f}".replace("-", "−"))
    return "  ·  ".join(words)


def note_of(watched: Watched) -> str:
    """What there is to say of the scene."""
    y, x = watched.gaze
    field = [side / watched.scene.px_per_deg / 2 for side in watched.scene.size_px]
    place = f"gaze {y * field[0]:+.1f}° down, {x * field[1]:+.1f}° right of the centre".replace("-", "−")
    return "; ".join((place, *watched.scene.notes))


def draw_curve(ax: Axes, watched: Watched, n_looks: int | None = None) -> None:
    """The term over the muscle's range, and the first so many looks, numbered."""
    across, down, _ = _WORDS[watched.muscle]
    style.plain(ax, "Looks, in their order", down)
    ax.set_xlabel(across, fontsize=8.5, color=style.FAINT)
    ax.plot(*watched.curve, color=style.TRIAL, lw=1.4, marker="o" if watched.scene.frames else "", ms=3, zorder=2)
    if watched.muscle != LENS:
        ax.set_xscale("log", base=2)
        ax.set_xticks([2, 3, 4, 6, 8], ["2", "3", "4", "6", "8"])
        ax.minorticks_off()
    elif np.isfinite(watched.object_dpt):
        ax.axvline(watched.object_dpt, color=style.BEFORE, lw=1.2, ls=(0, (5, 3)), zorder=1)
        ax.annotate("truth", (watched.object_dpt, 1.0), (3, -9), xycoords=("data", "axes fraction"),
                    textcoords="offset points", fontsize=8, color=style.FAINT)  # fmt: skip
    n = len(watched.setting) if n_looks is None else n_looks
    x, y = watched.setting[:n], watched.term[:n]
    ax.plot(x, y, color=style.AFTER, lw=0.8, alpha=0.6, zorder=3)
    ax.scatter(x, y, s=62, facecolor="white", edgecolor=style.AFTER, linewidth=1.2, zorder=4)
    for i, (right, up) in enumerate(zip(x, y, strict=True), start=1):
        ax.text(right, up, str(i), fontsize=5.5, color=style.INK, ha="center", va="center_baseline", zorder=5)
    values = np.concatenate([watched.curve[1], watched.term])
    values = values[np.isfinite(values)]
    margin = 0.08 * max(float(np.ptp(values)), 1e-3)
    ax.set_ylim(values.max() + margin, values.min() - margin)  # sharp is up


def mark_gaze(ax: Axes, watched: Watched) -> None:
    """The window at the gaze, as a square."""
    (y, x), side = watched.gaze_px, watched.windows.shape[-1]
    box = Rectangle((x - side / 2, y - side / 2), side, side, fill=False, edgecolor=style.AFTER, lw=1.3)
    box.set_path_effects(_HALO)
    ax.add_patch(box)
    height, width = watched.scene.size_px
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)


def displayed(light: Tensor) -> np.ndarray:
    """Linear light (3, H, W) as sRGB (H, W, 3)."""
    return paint.as_picture(linear_to_srgb(light))
