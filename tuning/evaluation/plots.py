"""Figures of an evaluation, precision and recall and the gap to the oracle; and what all figures share.

Drawn with matplotlib's objects on Agg, never through pyplot, as the pages of episodes are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from ciliary.cortex.plot.style import AFTER, BEFORE, FAINT, GRID, INK
from ciliary.envs.metrics.boundaries import BoundarySummary
from ciliary.tuning.evaluation.summary import BEST_FIXED, FIXED, ORACLE, ContestRow

_DPI = 110
COLOURS = ("#d2601a", "#2f6fa7", "#3a8f5c", "#8a5aa8", "#b8912f", "#c2496b", "#4aa3a3", "#6b6f76")
_PEOPLE = "#2e7d32"
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # seven, with eight colours: no pair comes twice before the 56th


def precision_recall(summaries: Mapping[str, BoundarySummary], *, people: BoundarySummary | None = None) -> Figure:
    """Precision over recall of each system: a curve, or a point for a system with one map an image.

    Args:
        summaries: system -> summary.
        people: people against people, a point.
    """
    figure = new_figure(8.4, 5.6)
    ax = figure.add_axes((0.085, 0.11, 0.56, 0.8))
    for f in np.arange(0.1, 1, 0.1):
        recall = np.linspace(f / (2 - f), 1, 200)  # precision 1 at its left end
        precision = f * recall / (2 * recall - f)
        ax.plot(recall, precision, color=GRID, lw=0.9, zorder=0)
        ax.text(1.008, precision[-1], f"F {f:.1f}", fontsize=7.5, color=FAINT, va="center")
    order = sorted(summaries, key=lambda name: -summaries[name].ods)
    for i, name in enumerate(order):
        one, colour = summaries[name], COLOURS[i % len(COLOURS)]
        label = f"{name}  {one.ods:.2f}"
        points = np.unique(np.stack([one.recall, one.precision]), axis=1)
        if points.shape[1] == 1:
            ax.plot(*points, "o" if i < len(COLOURS) else "s", color=colour, ms=7, mec="white", label=label, zorder=3)
            continue
        line = "-" if i < len(COLOURS) else "--"
        is_drawn = (one.recall > 0) | (one.precision > 0)
        ax.plot(one.recall[is_drawn], one.precision[is_drawn], line, color=colour, lw=1.7, label=label, zorder=2)
        at = (np.interp(one.ods_threshold, one.thresholds, values) for values in (one.recall, one.precision))
        ax.plot(*([v] for v in at), "o", color=colour, ms=4.5, zorder=3)
    if people is not None:
        place = ([people.recall[0]], [people.precision[0]])
        label = f"people  {people.ods:.2f}"
        ax.plot(*place, "*", color=_PEOPLE, ms=15, mec="white", label=label, zorder=4)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set_xlabel("recall", fontsize=9, color=FAINT)
    ax.set_ylabel("precision", fontsize=9, color=FAINT)
    plain(ax, "Boundaries against people's")
    key = ax.legend(
        fontsize=8.5, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.1, 1.0), borderaxespad=0.0,
        title="system, F (ODS)", title_fontproperties={"size": 8.5}, alignment="left",
    )  # fmt: skip
    as_they_are(key)
    return figure


def gap_plot(rows: Sequence[ContestRow], method: str) -> Figure:
    """Fixed, the method, best fixed and oracle of each group of cases, with 95 % intervals.

    Args:
        rows: of a contest.
        method: label of the method shown beside the fixed settings.
    """
    groups = list(dict.fromkeys(row.disturbance for row in rows))
    figure = new_figure(8.4, 1.6 + 0.42 * len(groups))
    height = figure.get_figheight()
    ax = figure.add_axes((0.22, 0.62 / height, 0.74, 1 - 1.42 / height))
    found = {(row.disturbance, row.method): row for row in rows}
    shown = [
        (FIXED, BEFORE, "o", 0.0),
        (BEST_FIXED, "#2f6fa7", "D", 0.16),
        (method, AFTER, "o", -0.16),
        (ORACLE, _PEOPLE, "|", 0.0),
    ]
    for name, colour, marker, offset in shown:
        have = [(len(groups) - 1 - i, found[group, name]) for i, group in enumerate(groups) if (group, name) in found]
        if not have or (name == method and method in (FIXED, BEST_FIXED)):
            continue
        y = np.array([at for at, _ in have]) + offset
        mean = np.array([row.covering.mean for _, row in have])
        low, high = (np.array([getattr(row.covering, side) for _, row in have]) for side in ("low", "high"))
        if name != ORACLE:
            low, high = (np.where(np.isfinite(edge), edge, mean) for edge in (low, high))
            ax.hlines(y, low, high, color=colour, lw=1.3, alpha=0.5)
        size = 15 if marker == "|" else 5 if marker == "D" else 7
        ax.plot(mean, y, marker, color=colour, ms=size, mew=2.2 if marker == "|" else 0.8,
                mec=colour if marker == "|" else "white", label=name, ls="none")  # fmt: skip
    for i, group in enumerate(groups):
        fixed, best = found.get((group, FIXED)), found.get((group, ORACLE))
        if fixed is not None and best is not None:
            ax.hlines(len(groups) - 1 - i, fixed.covering.mean, best.covering.mean, color=GRID, lw=5, zorder=0)
    ax.set_yticks(np.arange(len(groups))[::-1], [group.replace("_", " ") for group in groups], parse_math=False)
    ax.set_ylim(-0.6, len(groups) - 0.4)
    ax.set_xlabel("region covering, mean over images and 95 % interval", fontsize=9, color=FAINT)
    plain(ax, "From the fixed setting to the oracle", pad=26)
    ax.tick_params(axis="y", colors=INK)
    ax.grid(axis="x", color=GRID, lw=0.7)
    key = ax.legend(
        fontsize=8.5, frameon=False, labelcolor=INK, ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0),
        handletextpad=0.3, columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip
    as_they_are(key)
    return figure


def as_they_are(key: Legend) -> None:
    """Names of methods in a legend are no formulas, whatever dollars are in them."""
    for text in key.get_texts():
        text.set_parse_math(False)


@dataclass(frozen=True)
class Stroke:
    """How a method is drawn in every figure of a page."""

    colour: str
    line: Any
    marker: str


def strokes(methods: Sequence[str]) -> dict[str, Stroke]:
    """A stroke for each name, no two alike among the first 24."""
    return {
        name: Stroke(COLOURS[i % len(COLOURS)], _LINES[i // len(COLOURS) % len(_LINES)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(dict.fromkeys(methods))
    }


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty white page."""
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(ax: Axes, title: str, *, pad: float = 8) -> None:
    """Title on the left, quiet axes."""
    ax.set_title(title, fontsize=11, color=INK, loc="left", pad=pad, weight="bold")
    ax.tick_params(colors=FAINT, labelsize=8.5, length=0)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set(visible=side in ("bottom", "left"), color=GRID)
