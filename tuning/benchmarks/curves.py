"""Curves of accuracy and bars of costs, as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ciliary.cortex.plot.style import FAINT, GRID, INK
from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.benchmarks.operations import StageCost
from ciliary.tuning.evaluation.plots import COLOURS, new_figure, plain, strokes

_PANEL_IN, _LEFT_IN, _GAP_IN, _HEIGHT_IN = 3.1, 0.75, 0.35, 4.2
_LETTER_IN, _KEY_IN = 0.075, 0.75  # of a legend: a letter, and what stands before the name


@dataclass(frozen=True)
class Curves:
    """What is drawn.

    Attributes:
        panels: title -> name of a line -> one value for each ``x``.
        x: where the values stand.
        x_label, y_label: names of the axes.
        baseline: a dotted line, and its name.
        is_log: ``x`` doubles from tick to tick.
        scale: values are drawn times this: 100 for percent.
    """

    panels: Mapping[str, Mapping[str, Sequence[Interval]]]
    x: Sequence[float]
    x_label: str
    y_label: str
    baseline: tuple[str, float] | None = None
    is_log: bool = False
    scale: float = 1.0


def draw_curves(curves: Curves) -> Figure:
    """All panels with the same vertical axis, and one legend."""
    n = len(curves.panels)
    names = [name for lines in curves.panels.values() for name in lines]
    legend = _KEY_IN + _LETTER_IN * max(map(len, names))
    width = _LEFT_IN + n * _PANEL_IN + (n - 1) * _GAP_IN + legend
    figure = new_figure(width, _HEIGHT_IN)
    drawn = strokes(names)
    first, handles = None, {}
    for i, (title, lines) in enumerate(curves.panels.items()):
        left = _LEFT_IN + i * (_PANEL_IN + _GAP_IN)
        ax = figure.add_axes((left / width, 0.13, _PANEL_IN / width, 0.76), sharey=first)
        first = first or ax
        for name, values in lines.items():
            stroke = drawn[name]
            y, low, high = (curves.scale * np.array([getattr(v, f) for v in values]) for f in ("mean", "low", "high"))
            (handles[name],) = ax.plot(
                curves.x, y, color=stroke.colour, ls=stroke.line, marker=stroke.marker, lw=1.6, ms=5, mew=0
            )
            is_known = np.isfinite(low) & np.isfinite(high)
            ax.vlines(
                np.array(curves.x)[is_known], low[is_known], high[is_known], color=stroke.colour, alpha=0.4, lw=1.2
            )
        if curves.baseline is not None:
            ax.axhline(curves.scale * curves.baseline[1], color=FAINT, lw=0.9, ls=(0, (1, 2)), zorder=1)
        if curves.is_log:
            ax.set_xscale("log", base=2)
        ax.xaxis.set_major_locator(FixedLocator(list(curves.x)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.set_xlabel(curves.x_label, fontsize=9, color=FAINT)
        plain(ax, title)
        ax.grid(color=GRID, lw=0.7)
        ax.tick_params(labelleft=i == 0)
    assert first is not None
    first.set_ylabel(curves.y_label, fontsize=9, color=FAINT)
    if curves.baseline is not None:
        name = curves.baseline[0]
        handles[name] = first.plot([], [], color=FAINT, lw=0.9, ls=(0, (1, 2)))[0]
    place = ((width - legend + 0.1) / width, 0.89)
    figure.legend(list(handles.values()), list(handles), loc="upper left", bbox_to_anchor=place, frameon=False,
                  fontsize=8.5, labelcolor=INK)  # fmt: skip
    return figure


KINDS = {
    "multiply_adds": "multiply-adds of products and convolutions",
    "fourier": "multiply-adds of Fourier transforms",
    "elementwise": "numbers computed one by one",
}


def draw_costs(costs: Sequence[StageCost]) -> Figure:
    """A bar for each stage, in millions of operations of one image."""
    figure = new_figure(8.4, 1.3 + 0.36 * len(costs))
    height = figure.get_figheight()
    ax = figure.add_axes((0.1, 0.55 / height, 0.48, 1 - 1.1 / height))
    y = np.arange(len(costs))[::-1]
    left = np.zeros(len(costs))
    for (kind, name), colour in zip(KINDS.items(), COLOURS, strict=False):
        width = np.array([getattr(one, kind) for one in costs]) / 1e6
        ax.barh(y, width, left=left, height=0.62, color=colour, label=name)
        left += width
    ax.set_yticks(y, [one.stage for one in costs])
    ax.set_xlabel("millions, of one image", fontsize=9, color=FAINT)
    plain(ax, "Operations")
    ax.grid(axis="x", color=GRID, lw=0.7)
    ax.legend(fontsize=8.5, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.03, 1.0))
    return figure
