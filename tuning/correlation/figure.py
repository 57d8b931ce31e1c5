"""Correlations with their intervals, the strongest as points, and predictions beside their null."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.plot import style
from ciliary.cortex.plot.sheet import Row, Sheet
from ciliary.tuning.correlation.statistics import Association, Prediction

N_POINTS = 4  # numbers whose images are shown as points


def draw_correlations(rating: str, found: Sequence[Association], level: float = 0.05) -> Figure:
    """Spearman's correlation of each number with its interval; what stays after the correction in colour."""
    sheet = Sheet(f"{rating}: Spearman's correlation with each number", "95 % bootstrap over images; "
                  f"in colour: p < {level:g} after the correction", [Row(1, 0.24 * max(len(found), 2), 0.3)],
                  width_in=8.6)  # fmt: skip
    ax = sheet.axes(0, 0, left_in=2.3)
    for row, one in enumerate(found):
        colour = style.AFTER if one.p_corrected < level else style.BEFORE
        ax.plot([one.spearman.low, one.spearman.high], [row, row], color=colour, lw=2)
        ax.plot(one.spearman.mean, row, "o", color=colour, ms=5)
    ax.axvline(0, color=style.FAINT, lw=0.8)
    ax.set_yticks(range(len(found)), [one.number for one in found], fontsize=8, parse_math=False)
    ax.set_ylim(len(found) - 0.4, -0.6)
    ax.set_xlim(-1, 1)
    style.plain(ax, "", "")
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=style.GRID, lw=0.7)
    ax.tick_params(axis="y", colors=style.INK)
    return sheet.figure


def draw_points(rating: str, y: np.ndarray, columns: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Each image as a point: rating against the numbers that go with it most."""
    sheet = Sheet(f"{rating} against the numbers that go with it most", "a point an image; chosen by the same images, "
                  "so they look better than they are", [Row(N_POINTS, 2.3, 0.45, 0.45)])  # fmt: skip
    for i, (name, x) in enumerate(columns[:N_POINTS]):
        ax = sheet.axes(0, i, left_in=0.3)
        ax.plot(x, y, "o", color=style.AFTER, ms=3.5, alpha=0.6, mew=0)
        style.plain(ax, "", rating if i == 0 else "")
        ax.set_xlabel(name, fontsize=8.5, color=style.FAINT, parse_math=False)
    return sheet.figure


def draw_prediction(rating: str, found: Prediction) -> Figure:
    """R2 of all numbers together, its interval, and the shuffles."""
    sheet = Sheet(f"{rating} predicted from all numbers together", "R² on images not learned from; grey: ratings "
                  "shuffled; 0: as good as the mean rating", [Row(1, 1.7, 0.45)], width_in=8.6)  # fmt: skip
    ax = sheet.axes(0, 0, left_in=0.4)
    low = min(float(found.null.min()), found.r2.low, -0.2)
    ax.hist(found.null, bins=np.linspace(low, max(1e-6, float(found.null.max())), 30).tolist(), color=style.TRIAL)
    top = ax.get_ylim()[1]
    ax.plot([found.r2.low, found.r2.high], [0.5 * top] * 2, color=style.AFTER, lw=2)
    ax.plot(found.r2.mean, 0.5 * top, "o", color=style.AFTER, ms=7)
    ax.axvline(0, color=style.INK, lw=0.8, ls=(0, (4, 3)))
    ax.set_xlim(low - 0.02, max(0.5, found.r2.high + 0.05))
    style.plain(ax, "", "shuffles")
    ax.set_xlabel("R²", fontsize=8.5, color=style.FAINT)
    return sheet.figure
