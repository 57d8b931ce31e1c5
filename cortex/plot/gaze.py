"""The figure of a gaze: where it went, why, and what an eye has seen when it has been there."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.dorsal.looking import GazeLook
from ciliary.cortex.integration.glances import GlancePercepts
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import NARROW_IN, Sheet, narrow_row
from ciliary.cortex.stages.retina import linear_to_srgb

WORDS = {
    "energy": ("V1 energy", "contrast of all orientations"),
    "rarity": ("Rarity", "features that are rare in this image"),
    "ends": ("Ends and corners", "energy without a single orientation"),
    "colour": ("Colour", "colours that are rare in this image"),
}
_HALO: list[patheffects.AbstractPathEffect] = [patheffects.withStroke(linewidth=2.6, foreground="white")]


def draw_gaze(
    look: GazeLook, *, name: str = "photograph", note: str = "", glanced: GlancePercepts | None = None
) -> Figure:
    """The photograph with the path, the mosaic with its acuity, the four conspicuity maps and their priority.

    With the percepts after each fixation there is a row of them: the last one, all together, and where they disagree.

    Args:
        look: of :func:`~ciliary.cortex.dorsal.looking.look_around`.
        name: of the photograph.
        note: what there is to say of how it was looked at.
        glanced: of :func:`~ciliary.cortex.integration.glances.perceive_glances`, of the same look.
    """
    image = paint.as_picture(look.image)
    size = (image.shape[0], image.shape[1])
    n = len(look.y_px)
    n_rows = 4 if glanced is None else 6
    sheet = Sheet(f"{name}  ·  gaze", note, [narrow_row(size)] * n_rows, width_in=NARROW_IN)
    path = sheet.axes(0, 0)
    height, width = size
    field = f"{width / look.px_per_deg:.1f}° × {height / look.px_per_deg:.1f}°"
    style.picture(path, image, f"{n} fixation{'s' if n > 1 else ''}, 1 at the centre", field)
    draw_path(path, look)
    share = float(look.mosaic.n_samples[0]) / (height * width)
    seen = f"{n} × {int(look.mosaic.n_samples[0]) // n} samples, {100 * share:.0f} % of {width} × {height} pixels"
    style.picture(sheet.axes(0, 1), shown_mosaic(look), "What the eye has seen", seen)
    acuity = look.mosaic.acuity[0, 0]
    finest = f"samples a degree, logarithmic; black {float(acuity.max()):.0f}, white none"
    style.picture(sheet.axes(1, 0), _log_scaled(acuity), "Acuity", finest)
    _draw_map(sheet.axes(1, 1), look.priority[0, 0], size, "Priority", "dark: it draws the eye; of the sharp image")
    for i, (key, (title, words)) in enumerate(WORDS.items()):
        _draw_map(sheet.axes(2 + i // 2, i % 2), getattr(look.maps, key)[0, 0], size, title, words)
    if glanced is not None:
        _draw_percepts(sheet, shown_mosaic(look), glanced)
    return sheet.figure


def _draw_percepts(sheet: Sheet, seen: np.ndarray, glanced: GlancePercepts) -> None:
    """The last rows: regions of the last mosaic and of all together, and the uncertainty, black where it is 1."""
    both = (
        (glanced.last.labels()[0], "Percept of the last mosaic"),
        (glanced.percept.segments[0], "Percepts after each fixation together"),
    )
    for column, (labels, title) in enumerate(both):
        picture = paint.paint_regions(seen, labels.numpy())
        style.picture(sheet.axes(4, column), picture, title, paint.count_regions(labels.numpy()))
    doubt = glanced.uncertainty[0, 0]
    words = f"where they disagree, black 1; mean {float(doubt.mean()):.2f}"
    style.picture(sheet.axes(5, 0), paint.strength(doubt, 1.0), "Uncertainty", words)


def shown_mosaic(look: GazeLook) -> np.ndarray:
    """What the eye has seen, (H, W, 3) in [0, 1]."""
    return _displayed(look.mosaic.image[0])


def draw_path(ax: Axes, look: GazeLook) -> None:
    """Fixations in their order, numbered, over the photograph."""
    y, x = look.y_px.numpy(), look.x_px.numpy()
    ax.plot(x, y, color="white", lw=2.4, alpha=0.9, zorder=2)
    ax.plot(x, y, color=style.AFTER, lw=1.2, zorder=3)
    ax.scatter(x, y, s=62, facecolor="white", edgecolor=style.AFTER, linewidth=1.2, zorder=4)
    for i, (down, right) in enumerate(zip(y, x, strict=True), start=1):
        ax.text(
            right, down, str(i), fontsize=5.5, color=style.INK, ha="center", va="center_baseline", zorder=5
        ).set_path_effects(_HALO)
    ax.set_xlim(-0.5, look.image.shape[2] - 0.5)
    ax.set_ylim(look.image.shape[1] - 0.5, -0.5)


def _draw_map(ax: Axes, field: Tensor, size: tuple[int, int], title: str, words: str) -> None:
    """A map, dark where it is high, at the photograph's shape."""
    style.picture(ax, paint.strength(field, max(float(field.max()), 1e-12)), title, words)
    ax.images[0].set_extent((-0.5, size[1] - 0.5, size[0] - 0.5, -0.5))
    if float(field.max() - field.min()) < 1e-9:
        style.nothing(ax, "the same everywhere")


def _displayed(light: Tensor) -> np.ndarray:
    """Linear light (3, H, W) as sRGB (H, W, 3)."""
    return paint.as_picture(linear_to_srgb(light))


def _log_scaled(acuity: Tensor) -> np.ndarray:
    """(H, W) in [0, 1] from the coarsest to the finest that was seen; 0 where nothing was."""
    is_seen = acuity > 0
    logs = torch.log(torch.where(is_seen, acuity, acuity.max()))
    low, high = float(logs.min()), float(logs.max())
    shown = 0.1 + 0.9 * (logs - low) / max(high - low, 1e-6)
    return np.asarray(torch.where(is_seen, shown, torch.zeros_like(shown)).numpy())
