"""What each expert of M5 prefers: of many photographs, the proto-objects that it answers for most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.look import N_OBJECTS, Look, proto_objects
from ciliary.cortex.plot.sheet import Row, Sheet

N_SHOWN = 6


@dataclass(frozen=True, eq=False)
class CutOut:
    """A part of a photograph that a unit answers to: an expert of M5 to a proto-object, a filter of M1 to a patch."""

    photograph: str
    picture: np.ndarray  # (h, w, 3) around it; what is not part of it fades
    gate: float  # how strongly; the expert's share in it
    weight: float  # of the proto-object in its image; of equals, the greater comes first


def with_preferred(kept: list[list[CutOut]], one: Look, *, n_most: int = N_SHOWN) -> list[list[CutOut]]:
    """What is preferred once a look has joined those before it (none: ``[]``). Only the best are carried on.

    Raises:
        ValueError: a cortex without M5.
    """
    if one.percept.m5 is None:
        raise ValueError("expected a cortex that recognises, got one without M5; make it with Cortex(recognise=True)")
    gate = one.percept.m5.gate[0].numpy()
    found: list[list[CutOut]] = [[] for _ in range(gate.shape[1])]
    image = paint.as_picture(one.image)
    for thing in proto_objects(one.percept, n_most=N_OBJECTS):
        for i in np.flatnonzero(gate[thing.slot] > 0):
            picture = paint.cut_out(image, thing.mask)
            found[i].append(CutOut(one.name, picture, float(gate[thing.slot, i]), thing.weight))
    return best_of(kept, found, n_most)


def best_of(kept: list[list[CutOut]], found: list[list[CutOut]], n_most: int) -> list[list[CutOut]]:
    """The strongest of each unit, once what was found has joined what was kept (none: ``[]``)."""
    joined = [[*old, *new] for old, new in zip(kept or [[] for _ in found], found, strict=True)]
    return [sorted(cut_outs, key=lambda c: (-c.gate, -c.weight))[:n_most] for cut_outs in joined]


def draw_experts(kept: list[list[CutOut]], *, n_images: int) -> Figure:
    """Two experts a row, each with its cut-outs and their gates; those that answer for none are named only."""
    at_work = [i for i, cut_outs in enumerate(kept) if cut_outs]
    idle = [str(i + 1) for i, cut_outs in enumerate(kept) if not cut_outs]
    rows = [Row(2 * N_SHOWN + 1, 0.78, 0.5, 0.07) for _ in range(-(-len(at_work) // 2))]
    note = (
        f"of the {N_OBJECTS} heaviest proto-objects of {n_images} image{'s' if n_images != 1 else ''}; "
        "the number is the expert's share"
    )
    note += f"; for none: {', '.join(idle)}" if idle else ""
    sheet = Sheet("What the experts of M5 answer for", note, rows)
    for place, i in enumerate(at_work):
        row, side = divmod(place, 2)
        for j, cut_out in enumerate(kept[i][:N_SHOWN]):
            ax = sheet.axes(row, side * (N_SHOWN + 1) + j)
            style.picture(ax, cut_out.picture, f"expert {i + 1}" if j == 0 else "", f"{cut_out.gate:.2f}")
            ax.xaxis.label.set_fontsize(7.5)
    return sheet.figure
