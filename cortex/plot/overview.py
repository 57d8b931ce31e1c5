"""All stages on one small sheet: what an episode's run keeps beside its page."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.percept import Percept
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.early import draw_contour, draw_opponent, draw_regions, sharp
from ciliary.cortex.plot.late import draw_objects, texture_pictures
from ciliary.cortex.plot.recognition import draw_usage
from ciliary.cortex.plot.sheet import DPI, NARROW_IN, Row, Sheet, picture_row

NOTHING = "nothing: the image is the same everywhere"


def draw_stages(image: Tensor, percept: Percept, *, title: str, note: str = "") -> Figure:
    """Retina, M1, M2, M3 and M4 of one percept, and what M5's experts do if there are several.

    Args:
        image: (3, H, W) in [0, 1], as the cortex saw it.
        percept: a batch of one.
        title: the line above.
        note: the line below that.
    """
    seen = paint.as_picture(image)
    row = picture_row(2, (seen.shape[0], seen.shape[1]), gap_in=0.5, width_in=NARROW_IN)
    has_experts = percept.m5 is not None and percept.m5.gate.shape[2] > 1
    rows = [row] * 6 + ([Row(1, 1.2)] if has_experts else [])
    sheet = Sheet(title, note, rows, width_in=NARROW_IN, dpi=DPI)  # pixels cost time, and every episode pays it
    retina, m1, m2, m3 = percept.retina, percept.m1, percept.m2, percept.m3
    style.picture(sheet.axes(0, 0), seen, "What the cortex saw", f"{seen.shape[1]} × {seen.shape[0]} px")
    chroma = retina.opponent[0, 1:].detach()
    draw_opponent(sheet.axes(0, 1), chroma[0], paint.RED_GREEN, paint.limit(chroma), "Retina: red – green")
    on_off = (retina.on_off[0, 0] - retina.on_off[0, 1]).detach()
    picture = paint.signed(on_off, paint.OFF_ON, paint.limit(on_off))
    _draw(sheet, (1, 0), picture, "Retina: ON and OFF cells", "ON orange, OFF blue", of=on_off)
    words = "hue: 0° red, 90° cyan"
    _draw(sheet, (1, 1), paint.orientation_picture(m1), "M1: orientation", words, of=paint.oriented_strength(m1))
    boundary = m1.boundary[0, 0].detach()
    _draw(sheet, (2, 0), boundary.numpy(), "M1: boundary", "dark where it is strong", of=boundary)
    draw_regions(sheet.axes(2, 1), seen, m1.regions[0], "M1: S1")
    contour = sheet.axes(3, 0)
    draw_contour(contour, m2, "M2: contour and ends")
    if float(m2.contour.max()) < paint.LEAST_SEEN:
        style.nothing(contour, NOTHING)
    draw_regions(sheet.axes(3, 1), seen, m2.regions[0], "M2: S2")
    patches = m3.patches.label[0].numpy()
    sharp(sheet.axes(4, 0), paint.outlined(seen, patches), "M3: patches", f"{len(np.unique(patches))} patches")
    name, (picture, share) = next(iter(texture_pictures(m3).items()))
    words = f"its three main parts, {100 * share:.0f} % of its variance"
    _draw(
        sheet, (4, 1), picture, f"M3: {name.split(',')[0].lower()}", words, of=torch.from_numpy(np.ptp(picture, (0, 1)))
    )
    slots = m3.slots[0].detach().max(0).indices.numpy()
    words = f"{len(np.unique(slots))} win somewhere"
    sharp(sheet.axes(5, 0), paint.regions_picture(seen, slots), "M3: slots", words)
    draw_objects(sheet.axes(5, 1), seen, percept, "M4: objectness")
    if has_experts and percept.m5 is not None:
        draw_usage(sheet.axes(6, 0, left_in=0.3), percept.m5)
    return sheet.figure


def _draw(sheet: Sheet, at: tuple[int, int], picture: np.ndarray, title: str, words: str, *, of: Tensor) -> None:
    """A picture of a field; where there is nothing in it but rounding, that is said."""
    ax = sheet.axes(*at)
    style.picture(ax, picture, title, words)
    if paint.is_blank(of):
        style.nothing(ax, NOTHING)
