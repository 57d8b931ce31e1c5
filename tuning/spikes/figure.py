"""Percepts in time, and covering against time and spikes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.percept import Percept
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import NARROW_IN, Sheet, narrow_row
from ciliary.cortex.spiking import Moment
from ciliary.tuning.spikes.exam import ONE, WITHOUT, Row

_CALLED = {"retina": "retina", "v1": "V1", "m2": "M2"}


def draw_moments(image: Tensor, moments: Sequence[Moment], plain: Percept, *, title: str) -> Figure:
    """Contour and regions at each time, and without spikes.

    Args:
        image: (3, H, W) in [0, 1].
        moments: of a batch of one.
        plain: what the cortex perceives without spikes.
        title: the line above.
    """
    seen = paint.as_picture(image)
    row, words = narrow_row((seen.shape[0], seen.shape[1])), "left: M2's contour as its spikes have told it; right: "
    sheet = Sheet(title, f"{words}the proto-objects", [row] * (len(moments) + 1), width_in=NARROW_IN)
    for i, percept in enumerate([*(m.percept for m in moments), plain]):
        if i < len(moments):
            words = f"after {moments[i].time_ms:g} ms"
            found = moments[i].n_spikes
            told = [f"{_CALLED[name]} {float(found[name][0]) / 1000:.3g}" for name in _CALLED if name in found]
            note = f"thousand spikes: {', '.join(told)}"
        else:
            words, note = WITHOUT, ""
        style.picture(sheet.axes(i, 0), percept.boundary[0, 0].cpu().numpy(), words, note)
        labels = percept.labels()[0].cpu().numpy()
        style.picture(sheet.axes(i, 1), paint.regions_picture(seen, labels), "", paint.count_regions(labels))
    return sheet.figure


def draw_rows(rows: Sequence[Row]) -> Figure:
    """Covering against milliseconds, and against spikes."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for code in dict.fromkeys(row.told_by for row in rows if row.after_ms is not None):
        own = [row for row in rows if row.told_by == code]
        y = [row.covering.mean for row in own]
        error = np.abs([[row.covering.low, row.covering.high] for row in own] - np.array(y)[:, None]).T
        left.errorbar([row.after_ms or 0.0 for row in own], y, error, marker="o", capsize=3, label=code)
        spikes = [(row.v1_kspikes or 0.0) + (row.m2_kspikes or 0.0) for row in own]
        right.plot(spikes, y, marker="o", label=code)
    for name, line in ((WITHOUT, "-"), (ONE, ":")):
        level = next(row.covering.mean for row in rows if row.told_by == name)
        for ax in (left, right):
            ax.axhline(level, color="black", linewidth=1, linestyle=line, label=name)
    style.plain(left, "Covering of people's regions against time", "covering")
    style.plain(right, "and against spikes", "")
    left.set_xlabel("ms after the picture appeared", fontsize=8.5, color=style.FAINT)
    right.set_xlabel("spikes of a photograph, thousands", fontsize=8.5, color=style.FAINT)
    if any(row.v1_kspikes for row in rows):  # of silence there is no logarithm
        right.set_xscale("log")
    left.legend(frameon=False, fontsize=8, labelcolor=style.INK)
    return figure
