"""How learning went, and what was found in test images beside what was drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.envs.metrics.classes import UNLABELLED
from ciliary.tuning.readout.fit import Fitted

_COLUMN_IN = 2.1
_OVER = 0.55  # share of the class's colour in a pixel
_PALETTE = "tab10"


def draw_losses(fitted: Mapping[str, Fitted], loss: str) -> Figure:
    """Training and validation loss of each model against epochs, in one plot each of one height."""
    figure = Figure(figsize=(3.4 * len(fitted), 3.2), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for ax, (name, one) in zip(
        figure.subplots(1, len(fitted), squeeze=False, sharey=True)[0], fitted.items(), strict=True
    ):
        number = [epoch.number for epoch in one.epochs]
        ax.plot(number, [epoch.train for epoch in one.epochs], color=style.BEFORE, lw=1.4, label="training")
        ax.plot(number, [epoch.validation for epoch in one.epochs], color=style.AFTER, lw=1.8, label="validation")
        ax.axvline(one.best.number, color=style.FAINT, lw=1, ls=":", label="kept")
        style.plain(ax, name, loss if ax.get_subplotspec().is_first_col() else "")
        ax.set_xlabel("epochs", fontsize=8.5, color=style.FAINT)
    # First epochs may be far above all others: what comes after them is what one looks at.
    ax.set_ylim(
        0,
        1.1 * max(v for one in fitted.values() for e in one.epochs[1:2] or one.epochs for v in (e.train, e.validation)),
    )
    ax.legend(frameon=False, fontsize=8, labelcolor=style.INK)
    return figure


def draw_found(
    images: Sequence[Tensor], drawn: Sequence[np.ndarray], found: Mapping[str, Sequence[np.ndarray]], *, title: str,
    names: Sequence[str],
) -> Figure:  # fmt: skip
    """A row an image: as it is, as it was drawn, as each model found it."""
    columns = {"drawn": drawn, **found}
    width_in = _COLUMN_IN * (len(columns) + 1)
    size = images[0].shape[-2], images[0].shape[-1]
    row = picture_row(len(columns) + 1, size, gap_in=0.2, width_in=width_in)
    sheet = Sheet(title, "classes: " + ", ".join(names), [row] * len(images), width_in=width_in)
    for i, image in enumerate(images):
        seen = paint.as_picture(image)
        style.picture(sheet.axes(i, 0), seen, "image" if i == 0 else "")
        for j, (name, maps) in enumerate(columns.items()):
            style.picture(sheet.axes(i, j + 1), paint_classes(seen, maps[i]), name if i == 0 else "")
    return sheet.figure


def paint_classes(seen: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with the colour of each pixel's class over it; what nobody labelled is as it is."""
    colours = np.array(mpl.colormaps[_PALETTE].colors)  # type: ignore[attr-defined]
    over = colours[np.maximum(classes, 0) % len(colours)]
    grey = np.repeat(seen.mean(-1, keepdims=True), 3, -1)
    return np.asarray(np.where((classes == UNLABELLED)[..., None], seen, (1 - _OVER) * grey + _OVER * over))
