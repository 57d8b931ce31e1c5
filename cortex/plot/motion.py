"""The figure of motion: what has changed, where it goes, how fast, and whether it draws the eye."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.dorsal.watching import MotionLook
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import NARROW_IN, Sheet, narrow_row

_LEAST_PX = 0.1  # a flow that is slower everywhere is drawn as none


def draw_motion(look: MotionLook, *, name: str = "sequence", note: str = "") -> Figure:
    """Frame, magno and MT; flow, what moves otherwise than the whole; priority without and with it.

    Args:
        look: of :func:`~ciliary.cortex.dorsal.watching.watch`.
        name: of the sequence.
        note: what there is to say of how it was watched.
    """
    image = paint.as_picture(look.frame)
    size = (image.shape[0], image.shape[1])
    sheet = Sheet(f"{name}  ·  motion", note, [narrow_row(size)] * 4, width_in=NARROW_IN)
    motion = look.motion
    style.picture(sheet.axes(0, 0), image, "Last frame", f"{size[1]} × {size[0]} pixels")
    transient = motion.magno.transient[0, 0]
    magno = paint.signed(transient, paint.OFF_ON, paint.limit(transient))
    _place(sheet.axes(0, 1), magno, size, "Magno", "brighter (orange), darker (blue)")
    _place(sheet.axes(1, 0), _directions(motion.pattern.response[0]), size, "MT", "direction of the strongest cells")
    flow = motion.flow.flow_px_per_frame[0]
    fastest = max(paint.limit(flow.norm(dim=0)), _LEAST_PX)
    axes = sheet.axes(1, 1)
    _place(axes, flow_picture(flow, fastest), size, "Flow", f"full colour at {fastest:.2g} pixels a frame")
    _draw_wheel(axes)
    top = float(look.residual.max())
    words = f"black at {top:.2g} pixels a frame" if top > 0 else "nothing does"
    _draw_map(
        sheet.axes(2, 0), motion.flow.confidence[0, 0], 1.0, size, "Confidence", "that the flow is known; black 1"
    )
    _draw_map(sheet.axes(2, 1), look.residual[0, 0], max(top, 1e-6), size, "Moves otherwise than the whole", words)
    for column, (field, title) in enumerate(
        ((look.still, "Priority, still"), (look.priority, "Priority, with motion"))
    ):
        axes = sheet.axes(3, column)
        _draw_map(axes, field[0, 0], float(field.max()), size, title, "cross: where the eye would go")
        y, x = divmod(int(field.flatten().argmax()), field.shape[-1])
        down, right = size[0] / field.shape[-2], size[1] / field.shape[-1]
        axes.plot((x + 0.5) * right, (y + 0.5) * down, "+", color=style.AFTER, ms=11, mew=2)
    return sheet.figure


def flow_picture(flow: Tensor, fastest_px: float) -> np.ndarray:
    """(h, w, 3) of a flow (2, h, w), (y, x): hue is its direction, right red, and white is none."""
    y, x = flow.detach().numpy()
    return _coloured(np.arctan2(y, x), np.clip(np.hypot(y, x) / fastest_px, 0, 1))


def _directions(response: Tensor) -> np.ndarray:
    """(h, w, 3) of pattern cells (8, h, w): hue of the mean direction, colour as strong as they agree and answer."""
    cells = response.detach().numpy()
    angle = np.arange(len(cells)) * 2 * math.pi / len(cells)
    y, x = (np.tensordot(f(angle), cells, 1) for f in (np.sin, np.cos))
    return _coloured(np.arctan2(y, x), np.clip(np.hypot(y, x) / max(float(np.hypot(y, x).max()), 1e-6), 0, 1))


def _coloured(angle_rad: np.ndarray, strength: np.ndarray) -> np.ndarray:
    hue = np.mod(angle_rad / (2 * math.pi), 1)
    return hsv_to_rgb(np.stack([hue, strength, 1 - 0.15 * strength], -1))


def _draw_wheel(ax: Axes) -> None:
    """The colours of all directions, in the lower right corner."""
    y, x = np.mgrid[-1:1:61j, -1:1:61j]
    radius = np.hypot(y, x)
    wheel = _coloured(np.arctan2(y, x), np.clip(radius, 0, 1))
    page = np.concatenate([wheel, (radius <= 1)[..., None].astype(float)], -1)
    inset = ax.inset_axes((0.80, 0.03, 0.17, 0.17 * _shape(ax)))
    inset.imshow(page)
    inset.set_axis_off()


def _shape(ax: Axes) -> float:
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    return abs(right - left) / max(abs(top - bottom), 1e-6)


def _place(ax: Axes, page: np.ndarray, size: tuple[int, int], title: str, words: str) -> None:
    """A picture of cells, at the frame's shape."""
    style.picture(ax, page, title, words)
    ax.images[0].set_extent((-0.5, size[1] - 0.5, size[0] - 0.5, -0.5))


def _draw_map(ax: Axes, field: Tensor, bound: float, size: tuple[int, int], title: str, words: str) -> None:
    _place(ax, paint.strength(field, bound), size, title, words)
