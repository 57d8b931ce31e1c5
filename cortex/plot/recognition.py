"""The figure of M5: the heaviest proto-objects, their shapes, the experts that answer for them, how alike they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.description import PARTS, SHAPE_CELLS
from ciliary.cortex.percept import M5Out
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.early import sharp
from ciliary.cortex.plot.late import number
from ciliary.cortex.plot.look import N_OBJECTS, Look, ProtoObject, proto_objects
from ciliary.cortex.plot.sheet import Row, Sheet
from ciliary.cortex.stages.m5_learned import LearnedM5

_LIKENESS = LinearSegmentedColormap.from_list("likeness", paint.OFF_ON)


def draw_m5(look: Look) -> Figure:
    """The heaviest proto-objects one by one, then the whole image: expert usage and likeness of codes.

    Raises:
        ValueError: the cortex does not recognise.
    """
    m5 = _m5(look)
    objects = proto_objects(look.percept, n_most=N_OBJECTS)
    image = paint.as_picture(look.image)
    has_experts = m5.gate.shape[2] > 1
    n = N_OBJECTS + 1  # the first column says what the row shows
    rows = [Row(n, 1.12, 0.1, 0.12), Row(n, 0.98, 0.1, 0.12), Row(n, 0.98, 0.12, 0.12)]
    rows += [Row(n, 0.8, 0.62, 0.12)] if has_experts else [Row(n, 0.0, 0.46, 0.12)]
    rows += [Row(3, 3.0, 0.56)]
    who = (
        f"{m5.gate.shape[2]} experts" if has_experts else "not learned: one expert, the description itself is the code"
    )
    sheet = Sheet("M5, recognition", f"the {len(objects)} heaviest proto-objects; {who}", rows)
    sheet.words(0, 0, "proto-object\nand its weight")
    sheet.words(1, 0, "its shape, in\nits own frame")
    sheet.words(2, 0, "shape completed\nwhen it is hidden")
    hidden = complete_without(look, "shape")
    for column, one in enumerate(objects, start=1):
        ax = sheet.axes(0, column)
        style.picture(ax, paint.cut_out(image, one.mask), "")
        ax.set_title(f"{column}  ·  {one.weight:.2f}", fontsize=9, color=style.INK, loc="left", pad=3)
        for row, description in ((1, m5.description[0]), (2, hidden)):
            style.picture(sheet.axes(row, column), shape_frame(description[one.slot]), "")
            sheet.figure.axes[-1].images[0].set_interpolation("nearest")
        if has_experts:
            _bars(sheet.axes(3, column), m5.gate[0, one.slot].detach().numpy(), is_first=column == 1)
    if has_experts:
        sheet.words(3, 0, f"its experts, of {m5.gate.shape[2]},\nand their share")
    _where(sheet.axes(4, 0), image, objects)
    _likeness(sheet.axes(4, 1, left_in=0.35), likeness(m5, objects))
    if has_experts:
        draw_usage(sheet.axes(4, 2, left_in=0.45), m5)
    return sheet.figure


def _m5(look: Look) -> M5Out:
    if look.percept.m5 is None:
        raise ValueError("expected a cortex that recognises, got one without M5; make it with Cortex(recognise=True)")
    return look.percept.m5


@torch.no_grad()
def complete_without(look: Look, part: str) -> Tensor:
    """The description (S, d) of each proto-object as M5 completes it when one of its parts is hidden from it.

    A learned M5 is asked again with that part hidden; any other answers as it did.

    Args:
        look: of a cortex that recognises.
        part: a name of :data:`ciliary.cortex.description.PARTS`.
    """
    m5, stage = _m5(look), look.cortex.m5
    if not isinstance(stage, LearnedM5):
        return m5.completed[0]
    standard = stage.net.standardise(m5.description[0].to(look.cortex.device))
    visible = standard.new_ones(len(standard), len(PARTS))
    visible[:, list(PARTS).index(part)] = 0
    _, completed, _, _ = stage.net(standard, visible)
    physical: Tensor = completed * stage.net.spread + stage.net.mean
    return physical.cpu()


def shape_frame(description: Tensor) -> np.ndarray:
    """The shape part of a description (d,) as the frame it is: (6, 6), 1 where the object is."""
    return description[PARTS["shape"]].detach().reshape(SHAPE_CELLS, SHAPE_CELLS).clamp(0, 1).numpy()


def expert_usage(m5: M5Out) -> np.ndarray:
    """(E,): the share of the image that each expert answers for, each proto-object by its weight; sums to 1."""
    return (m5.weight[0, :, None] * m5.gate[0]).sum(0).detach().numpy()


def likeness(m5: M5Out, objects: Sequence[ProtoObject]) -> np.ndarray:
    """(n, n): cosine between the codes of the proto-objects."""
    code = m5.code[0, [one.slot for one in objects]].detach()
    return (code @ code.T).numpy()


def _bars(ax: Axes, gate: np.ndarray, *, is_first: bool) -> None:
    """The gate of one proto-object: a bar an expert, those at work named below; the first says what the axes are."""
    _usage_bars(ax, gate)
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.5, 1], ["0", "", "1"] if is_first else [""] * 3, fontsize=7.5)
    ax.set_xticks([0, len(gate) - 1], ["1", str(len(gate))], fontsize=7.5)
    ax.grid(axis="y", color=style.GRID, lw=0.7)
    ax.set_axisbelow(True)
    active = ", ".join(str(i + 1) for i in np.flatnonzero(gate > 0))
    ax.set_xlabel(active, fontsize=8, color=style.INK, labelpad=-6)


def draw_usage(ax: Axes, m5: M5Out) -> None:
    """Who answers for how much of the image."""
    usage = expert_usage(m5)
    _usage_bars(ax, usage)
    ax.set_xticks(np.arange(len(usage)), [str(i + 1) for i in range(len(usage))], fontsize=8)
    ax.set_xlabel("expert", fontsize=8.5, color=style.FAINT)
    style.plain(ax, "Experts, over the image", "share of the weight")


def _usage_bars(ax: Axes, share: np.ndarray) -> None:
    ax.bar(np.arange(len(share)), share, 0.8, color=style.AFTER)
    ax.set_xlim(-0.7, len(share) - 0.3)
    ax.tick_params(colors=style.FAINT, length=0, pad=2)
    for side, spine in ax.spines.items():
        spine.set(visible=side == "bottom", color=style.GRID)


def _where(ax: Axes, image: np.ndarray, objects: Sequence[ProtoObject]) -> None:
    """The proto-objects in the image, by their number; the rest fades."""
    labels = np.zeros(image.shape[:2], dtype=np.int64)
    for i, one in enumerate(objects, start=1):
        labels[one.mask] = i
    faded = np.where(labels[..., None] > 0, image, 0.64 + 0.16 * image)
    page = paint.outlined(faded, labels)
    sharp(ax, page, "Where they are")
    ax.set_anchor("NW")
    factor = len(page) / len(labels)
    for i, one in enumerate(objects, start=1):
        number(ax, one.mask, str(i), factor=factor, size=9)


def _likeness(ax: Axes, table: np.ndarray) -> None:
    """Cosines of codes as a table of numbers."""
    ax.imshow(table, cmap=_LIKENESS, vmin=-1, vmax=1)
    ax.set_anchor("NW")
    for (i, j), value in np.ndenumerate(table):
        text = f"{value:.1f}".replace("-", "−").replace("−0.0", "0.0")
        ax.text(j, i, text, fontsize=7.5, ha="center", va="center", color="white" if abs(value) > 0.75 else style.INK)
    names = [str(i + 1) for i in range(len(table))]
    ax.set_xticks(range(len(table)), names)
    ax.set_yticks(range(len(table)), names)
    style.plain(ax, "How like their codes are (cosine)", "")
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
