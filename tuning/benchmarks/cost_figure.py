"""Operations of each stage as bars, one kind on the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.plot.style import FAINT, GRID, INK
from ciliary.tuning.benchmarks.operations import StageCost
from ciliary.tuning.evaluation.plots import COLOURS, new_figure, plain

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
