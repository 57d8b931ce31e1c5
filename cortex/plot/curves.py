"""What V4 answers, drawn on the image: the strongest cell at each place, and where it points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ciliary.cortex.plot import style
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.paint import as_picture
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.cortex.v4.bank import N_PAIRS, STRIDES, cells, oriented_contour, respond

_KINDS = {"straight": style.INK, "bend": "#2a8f9e", "corner": style.AFTER, "end": "#a0359b"}
_LEAST = 0.01  # answers below are not drawn
_CORNER = 1.2  # bend, in reaches, from which two rays are called a corner: 120 degrees have 1, 90 degrees 1.41


class Curves(NamedTuple):
    """M strongest cells."""

    place: np.ndarray  # (M, 2) (x, y) in pixels
    kind: np.ndarray  # (M,) names: straight, bend, corner, end
    direction: np.ndarray  # (M,) radians, x right, y down
    strength: np.ndarray  # (M,) in (0, 1]


@torch.no_grad()
def strongest_curves(look: Look) -> Curves:
    """At each place of the finest scale where a cell answers at all, the strongest."""
    answers = respond(oriented_contour(look.percept.m1, look.percept.m2))[0]
    strength, which = answers.max(0)
    y, x = torch.nonzero(strength >= _LEAST, as_tuple=True)
    cell, bank = which[y, x], cells()
    bend = bank.bend[cell]
    names = np.array(list(_KINDS))
    number = (bend > 1e-6).long() + (bend > _CORNER).long()
    number[cell >= N_PAIRS] = 3
    place = (torch.stack([x, y], 1) + 0.5) * STRIDES[0] - 0.5
    return Curves(place.numpy(), names[number.numpy()], bank.direction[cell].numpy(), strength[y, x].numpy())


def draw_curves(look: Look) -> Figure:
    """The image, and on it a stroke for each place's strongest cell; bends, corners and ends point outwards."""
    found = strongest_curves(look)
    height, width = look.image.shape[1:]
    sheet = Sheet("V4, curvature", "the strongest cell at each place", [picture_row(2, (height, width))])
    image = as_picture(look.image)
    style.picture(sheet.axes(0, 0), image, look.name)
    ax = sheet.axes(0, 1)
    style.picture(ax, 1 - 0.25 * (1 - image), "")
    step = 2.5 * np.stack([np.cos(found.direction), np.sin(found.direction)], 1)
    for name, ink in _KINDS.items():
        own = found.kind == name
        lines = np.stack([found.place[own], found.place[own] + step[own]], 1)
        ax.add_collection(LineCollection(list(lines), colors=ink, linewidths=1.4, label=name))
    style.legend(ax, n_columns=len(_KINDS))
    if not len(found.kind):
        style.nothing(ax, "no contour")
    return sheet.figure
