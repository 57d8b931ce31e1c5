"""The figures of filters that grew: the fields themselves, and how they are tuned beside macaque V1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.neurons.gabor import Gabor
from ciliary.cortex.neurons.tuning import Tuning
from ciliary.cortex.plot import style

#: De Valois, Albrecht & Thorell 1982: median bandwidth. De Valois, Yund & Hepler 1982: half of the median full width at
#: half amplitude.
MACAQUE_OCTAVES, MACAQUE_HALF_DEG = 1.4, 20.0
#: Ringach 2002: cells by n_x (rows) and n_y (columns) between :data:`RINGACH_EDGES`, as VOneNet tells his figure.
RINGACH = np.array([[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]])
RINGACH_EDGES = np.logspace(-1, 0.2, 6)
_COLUMNS = 24


def draw_fields(fields: Tensor, *, name: str, note: str = "") -> Figure:
    """Receptive fields (N, P, Q), each in grey about its own 0, in rows of 24."""
    n, p, q = fields.shape
    rows = -(-n // _COLUMNS)
    sheet = np.full((rows * (p + 1) - 1, _COLUMNS * (q + 1) - 1), np.nan)
    for i, field in enumerate(fields.detach().cpu().numpy()):
        top, left = i // _COLUMNS * (p + 1), i % _COLUMNS * (q + 1)
        sheet[top : top + p, left : left + q] = field / max(float(np.abs(field).max()), 1e-12)
    figure = Figure(figsize=(8.0, 8.0 * sheet.shape[0] / sheet.shape[1] + 0.3), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    axes.axis("off")
    axes.set_title(f"{name}  ·  {note}" if note else name, fontsize=10, color=style.INK, loc="left", parse_math=False)
    return figure


def draw_tuning(tuned: Tuning, gabors: Sequence[Gabor], *, name: str) -> Figure:
    """Histograms of what units prefer and how sharply, with the medians of macaque V1 where there are any."""
    figure = Figure(figsize=(8.4, 5.0), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    octaves = tuned.bandwidth_octaves.cpu().numpy()
    degrees = np.degrees(tuned.orientation_rad.cpu().numpy())
    frequency = tuned.frequency_cpp.cpu().numpy()
    panels = (
        (octaves[np.isfinite(octaves)], np.linspace(0, 4, 25), "Frequency bandwidth", "octaves", MACAQUE_OCTAVES),
        (tuned.half_bandwidth_deg.cpu().numpy(), np.linspace(0, 90, 31), "Orientation half-bandwidth", "degrees",
         MACAQUE_HALF_DEG),
        (tuned.circular_variance.cpu().numpy(), np.linspace(0, 1, 26), "Circular variance", "1", None),
        (degrees, np.linspace(0, 180, 19), "Preferred orientation", "degrees", None),
        (frequency, np.geomspace(1 / 32, 0.5, 25), "Preferred frequency", "cycles per pixel", None),
    )  # fmt: skip
    for ax, (values, edges, title, unit, macaque) in zip(axes, panels, strict=False):
        ax.hist(np.clip(values, edges[0], edges[-1]), edges, color=style.BEFORE)
        style.plain(ax, title, "units")
        ax.set_xlabel(unit, fontsize=8.5, color=style.FAINT)
        if len(values) and title != "Preferred orientation":  # it goes round: there is no median
            ax.axvline(float(np.median(values)), color=style.INK, lw=1.4)
        if macaque is not None:
            ax.axvline(macaque, color=style.AFTER, lw=1.4, ls=(0, (4, 2)))
    axes[4].set_xscale("log", base=2)
    _draw_shapes(axes[5], gabors)
    figure.suptitle(
        f"{name}  ·  medians: units (black), macaque V1 (orange)", fontsize=10, color=style.INK, x=0.01, ha="left"
    )
    return figure


def _draw_shapes(ax: Axes, gabors: Sequence[Gabor]) -> None:
    """(n_x, n_y) of the units over Ringach's cells."""
    ax.pcolormesh(RINGACH_EDGES, RINGACH_EDGES, RINGACH.T, cmap="Oranges", vmax=2 * RINGACH.max(), zorder=0)
    low, high = float(RINGACH_EDGES[0]), 2.5
    x, y = (np.clip([getattr(one, n) for one in gabors], low, high) for n in ("n_x", "n_y"))
    ax.scatter(x, y, s=6, color=style.INK, alpha=0.6, linewidths=0)
    style.plain(ax, "Shape", "n_y, along")
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    ax.set_xlabel("n_x, across (orange: Ringach 2002)", fontsize=8.5, color=style.FAINT)
    ticks = [0.1, 0.25, 0.5, 1, 2]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def shape_median(axis: int) -> float:
    """Median of n_x (0) or n_y (1) of Ringach's cells, evenly in the logarithm within the bin that it falls in."""
    counts = RINGACH.sum(1 - axis)
    rank = counts.sum() / 2 - counts.cumsum()
    i = int((rank <= 0).argmax())
    share = 1 + rank[i] / counts[i]
    return math.exp(float(np.interp(share, [0, 1], np.log(RINGACH_EDGES[i : i + 2]))))
