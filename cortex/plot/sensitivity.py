"""How much each stage's answer hangs on each parameter, as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.plot import style
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.sheet import MARGIN_IN, Row, Sheet
from ciliary.cortex.sensitivity import STEP, Sensitivity, sensitivity

_ROW_IN = 0.235
_WIDTH_IN, _LEFT_IN = 8.4, 2.4


def draw_sensitivity(look: Look, found: Sensitivity | None = None) -> Figure:
    """Parameters down, stages across: RMS relative change of what the stage answers, for a small step to both sides.

    Args:
        look: at whose image and setting.
        found: of :func:`~ciliary.cortex.sensitivity.sensitivity`; looked at here when None.
    """
    found = sensitivity(look.cortex, look.image, look.theta) if found is None else found
    change = 100 * found.change.numpy()
    note = f"change of each stage's answer, in % of its size, when a parameter moves {50 * STEP:g} % of its range"
    row = Row(1, _ROW_IN * len(found.parameters), 0.3)
    sheet = Sheet(f"{look.name}: which parameter moves which stage", note, [row], width_in=_WIDTH_IN)
    ax = sheet.axes(0, 0, left_in=_LEFT_IN - MARGIN_IN)
    ax.imshow(np.sqrt(change), aspect="auto", cmap="Oranges", vmin=0, vmax=max(float(np.sqrt(change).max()), 1e-3))
    ax.set_xticks(range(len(found.stages)), found.stages, fontsize=9)
    ax.xaxis.tick_top()
    labels = [f"{name}  ({stage})" for name, stage in zip(found.parameters, found.acts_in, strict=True)]
    ax.set_yticks(range(len(labels)), labels, fontsize=8, parse_math=False)
    ax.tick_params(length=0, colors=style.INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
    dark = np.sqrt(change) > 0.6 * np.sqrt(change).max()
    for (i, j), value in np.ndenumerate(change):
        words = "0" if value == 0 else "< 0.1" if value < 0.05 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
        colour = "white" if dark[i, j] else style.FAINT if value < 0.05 else style.INK
        ax.text(j, i, words, ha="center", va="center", fontsize=7.5, color=colour)
    return sheet.figure
