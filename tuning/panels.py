"""The single panels of a figure: each draws one thing on the axes it is given and knows nothing of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from skimage.segmentation import find_boundaries

from cortex.parameters import BY_NAME

INK, FAINT, GRID = "#22262b", "#7b838c", "#e6e8ea"
BEFORE, AFTER, TRIAL = "#8a93a0", "#d2601a", "#c9ced4"
_FINE = 4  # region borders are drawn on a grid this much finer than the percept, so that they are thin lines
_MAX_MOVED = 8


def picture(ax: Axes, image: np.ndarray, title: str, note: str = "") -> None:
    """An image (H, W) in [0, 1], drawn dark on light, or (H, W, 3), without axes; ``note`` stands below it."""
    if image.ndim == 2:
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="bilinear")
    else:
        ax.imshow(np.clip(image, 0, 1), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(color=GRID, linewidth=0.8)
    ax.set_title(title, fontsize=10, color=INK, loc="left", pad=5)
    if note:
        ax.set_xlabel(note, fontsize=8.5, color=FAINT, loc="left", labelpad=3)


def paint_regions(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each region in its mean colour with white borders: image (H, W, 3), labels (H, W) -> (4H, 4W, 3)."""
    flat = labels.ravel()
    n_pixels = np.maximum(np.bincount(flat), 1)
    mean = np.stack([np.bincount(flat, weights=image[..., c].ravel()) / n_pixels for c in range(3)], -1)
    fine = labels.repeat(_FINE, 0).repeat(_FINE, 1)
    page = mean[fine]
    page[find_boundaries(fine, mode="inner", background=-1)] = 1.0
    return page


def history(
    ax: Axes, total: Sequence[float | None], best: Sequence[float | None], before: float, i_chosen: int
) -> None:
    """Total of each trial, best so far, the defaults as a dashed line, and the chosen trial.

    Totals far above the defaults are drawn at the upper edge as triangles, so that they do not press the rest flat.
    """
    y, best_y = (np.array([np.nan if v is None else v for v in values], float) for values in (total, best))
    x = np.arange(len(y))
    finite = y[np.isfinite(y)]
    if len(finite):
        low = min(finite.min(), before)
        span = max(np.quantile(finite, 0.9), before) - low or max(abs(before), 1e-3)
        top = low + 1.25 * span
        ax.set_ylim(low - 0.12 * span, top)
        over = y > top
        ax.plot(x[over], np.full(over.sum(), top - 0.02 * span), "^", color=TRIAL, ms=4.5, clip_on=False)
    ax.axhline(before, color=BEFORE, lw=1.2, ls=(0, (5, 3)), zorder=1, label="defaults")
    ax.plot(x, y, "o", color=TRIAL, ms=4, zorder=2, label="trial")
    if len(x) > 1:
        ax.step(x, best_y, where="post", color=AFTER, lw=1.8, zorder=3, label="best so far")
    if np.isfinite(y[i_chosen]):
        ax.plot(i_chosen, y[i_chosen], "o", color=AFTER, ms=8, mec="white", mew=1.4, zorder=4, label="applied")
    ax.set_xlim(-0.6, max(len(x) - 0.4, 1))
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    ax.set_xlabel("trial", fontsize=8.5, color=FAINT)
    _plain(ax, "Loss over trials", "total (lower is better)")
    _legend(ax, n_columns=4)


def terms(ax: Axes, before: Mapping[str, float | None], after: Mapping[str, float | None]) -> None:
    """Pairs of bars of the terms which the total is made of."""
    names = [name for name in ("total", "stability", "consistency", "collapse", "economy") if name in before]
    x = np.arange(len(names))
    for offset, side, colour, label in ((-0.2, before, BEFORE, "before"), (0.2, after, AFTER, "after")):
        heights = np.array([side.get(name) for name in names], dtype=float)  # None becomes nan
        bars = ax.bar(x + offset, heights, 0.38, color=colour, label=label)
        ax.bar_label(bars, [f"{h:.2f}" for h in heights], fontsize=7, color=FAINT, padding=1.5)
    ax.set_xticks(x, names)
    ax.margins(y=0.22)
    _plain(ax, "Terms, before and after", "")
    ax.tick_params(axis="x", labelsize=7.5)
    _legend(ax, n_columns=2)


def moved(
    ax: Axes, u_before: np.ndarray, u_after: np.ndarray, theta: Mapping[str, float], *, names: Sequence[str]
) -> None:
    """The parameters which moved most, as dumbbells on u in [-1, 1]; the physical values stand beside them."""
    change = np.abs(u_after - u_before)
    order = [i for i in np.argsort(-change)[:_MAX_MOVED] if change[i] > 1e-6][::-1]
    if not order:
        ax.set_axis_off()
        ax.set_title("What moved", fontsize=10, color=INK, loc="left", pad=5)
        ax.text(
            0, 0.92, "nothing: the defaults are in place", fontsize=9, color=FAINT, transform=ax.transAxes, va="top"
        )
        return
    y = np.arange(len(order))
    ax.hlines(y, u_before[order], u_after[order], color=AFTER, lw=1.6, alpha=0.55)
    ax.plot(u_before[order], y, "o", color=BEFORE, ms=5)
    ax.plot(u_after[order], y, "o", color=AFTER, ms=6.5)
    ax.set_yticks(y, [names[i] for i in order], fontsize=8)
    for row, i in enumerate(order):
        default = f"{BY_NAME[names[i]].default:.3g} → " if names[i] in BY_NAME else ""
        ax.text(1.1, row, f"{default}{theta[names[i]]:.3g}", fontsize=8, color=FAINT, va="center", clip_on=False)
    ax.set_xlim(-1.05, 1.05)
    ax.set_ylim(-0.7, len(order) - 0.3)
    ax.set_xticks([-1, 1], ["low", "high"], fontsize=8)
    _plain(ax, "What moved most", "")
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", colors=INK)


def _legend(ax: Axes, *, n_columns: int) -> None:
    """Above the axes, at the right, where no point can lie under it."""
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.985), "borderaxespad": 0.0}
    ax.legend(fontsize=8, frameon=False, ncols=n_columns, labelcolor=INK, handlelength=1.5, columnspacing=1.2, **place)


def _plain(ax: Axes, title: str, label: str) -> None:
    ax.set_title(title, fontsize=10, color=INK, loc="left", pad=5)
    ax.set_ylabel(label, fontsize=8.5, color=FAINT)
    ax.tick_params(colors=FAINT, labelsize=8.5, length=0)
    ax.grid(axis="y", color=GRID, lw=0.7)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set(visible=side == "bottom", color=GRID)
