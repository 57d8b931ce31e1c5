"""Figures of a race: the loss against evaluations, and against seconds; every controller told apart without colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from ciliary.cortex.plot.style import FAINT, GRID
from ciliary.tuning.evaluation.falls import CurvePoint
from ciliary.tuning.evaluation.plots import Stroke, new_figure, plain

_LABEL_GAP = 0.042  # of the height of the axes: one line of text


def race_plot(points: Sequence[CurvePoint], *, against: str, drawn: Mapping[str, Stroke], title: str) -> Figure:
    """The loss of every method as it falls, with the 95 % interval of its fall at the end.

    Args:
        points: of one objective and one group of cases.
        against: ``evaluations`` or ``seconds``, on a logarithmic axis.
        drawn: stroke of each method.
        title: of the figure.

    Raises:
        ValueError: ``against`` is neither.
    """
    if against not in ("evaluations", "seconds"):
        raise ValueError(f"expected evaluations or seconds, got {against!r}")
    figure = new_figure(9.2, 5.4)
    ax = figure.add_axes((0.085, 0.11, 0.66, 0.79))
    ends = []
    names = list(dict.fromkeys(point.method for point in points))
    for i, name in enumerate(names):
        own = [point for point in points if point.method == name]
        stroke = drawn[name]
        live = [point for point in own if not point.is_over]
        x = np.array([p.seconds if against == "seconds" else p.spent for p in live])
        y = np.array([p.loss.mean for p in live])
        style: dict[str, Any] = {"color": stroke.colour, "zorder": 3}
        ax.plot(x, y, ls=stroke.line, lw=1.7, marker=stroke.marker, ms=5.5, mew=0, **style)
        last = live[-1]
        low, high = last.fall.low, last.fall.high
        if np.isfinite([low, high]).all():  # of the fall, paired: images differ far more than methods do
            beside = x[-1] * 1.012 ** (i - len(names) / 2)  # many end at the same number of evaluations
            ax.vlines(beside, y[-1] + last.fall.mean - high, y[-1] + last.fall.mean - low, lw=1.1, alpha=0.45, **style)
        ends.append((name, float(x[-1]), float(y[-1])))
    _scale(ax, points, against=against)
    ax.axhline(points[0].loss.mean, color=FAINT, lw=0.9, ls=(0, (1, 2)), zorder=1)  # the defaults
    ax.set_xlabel({"evaluations": "evaluations of the cortex", "seconds": "seconds, mean of an image"}[against],
                  fontsize=9, color=FAINT)  # fmt: skip
    ax.set_ylabel("best loss so far, mean over images", fontsize=9, color=FAINT)
    plain(ax, title)
    ax.grid(color=GRID, lw=0.7)
    _label(ax, ends, drawn)
    return figure


def _scale(ax: Axes, points: Sequence[CurvePoint], *, against: str) -> None:
    base = 2 if against == "evaluations" else 10
    ax.set_xscale("log", base=base)
    if against == "evaluations":
        marks = sorted({point.evaluations for point in points})
        ax.xaxis.set_major_locator(FixedLocator(marks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlim(marks[0] * 0.93, marks[-1] * 1.08)
    else:
        x = np.array([point.seconds for point in points])
        low, high = max(x.min(), 1e-4) * 0.85, x.max() * 1.15
        steps = [n * 10.0**k for k in range(-5, 6) for n in (1, 1.5, 2, 3, 5, 7)]
        ax.xaxis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlim(low, high)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _label(ax: Axes, ends: Sequence[tuple[str, float, float]], drawn: Mapping[str, Stroke]) -> None:
    """Names to the right of the axes in the order in which the curves end, a thin line leading to each."""
    to_axes = ax.transData + ax.transAxes.inverted()
    order = sorted(ends, key=lambda end: end[2])
    place = np.array([to_axes.transform((x, y)) for _, x, y in order])
    heights = spread(place[:, 1], gap=_LABEL_GAP)
    for (name, _, _), (x, y), height in zip(order, place, heights, strict=True):
        stroke = drawn[name]
        line: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False, "color": stroke.colour}
        ax.plot([x, 1.0, 1.03], [y, y, height], lw=0.6, alpha=0.55, zorder=1, **line)
        ax.plot([1.035, 1.075], [height, height], ls=stroke.line, lw=1.7, **line)
        ax.plot([1.055], [height], ls="none", marker=stroke.marker, ms=5.5, mew=0, **line)
        words: dict[str, Any] = {"color": stroke.colour, "va": "center", "parse_math": False}
        ax.text(1.088, height, name, fontsize=8.5, transform=ax.transAxes, **words)


def spread(heights: np.ndarray, *, gap: float, low: float = 0.01, high: float = 0.99) -> np.ndarray:
    """Heights in rising order, moved as little as it takes to be ``gap`` apart and, if possible, in [low, high].

    Least squares under order constraints: pool what collides about its mean (pool adjacent violators; Barlow et al.
    1972), after the gaps are taken out.
    """
    gaps = gap * np.arange(len(heights))
    blocks: list[list[float]] = []  # mean, number
    for value in np.asarray(heights, float) - gaps:
        blocks.append([float(value), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2], blocks[-1]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    pooled = np.concatenate([np.full(int(n), mean) for mean, n in blocks])
    return np.asarray(np.clip(pooled, low, max(low, high - gaps[-1])) + gaps)
