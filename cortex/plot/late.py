"""Figures of the later stages: M3 and M4."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS, M3Out, M4Out, Percept
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.early import sharp
from ciliary.cortex.plot.look import Look, label_map, proto_objects
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.cortex.stages.m1_perception import N_SCALES
from ciliary.cortex.stages.m4_objects import log_threshold

_N_STATISTICS = N_SCALES * N_ORIENTATIONS  # channels of the energy statistics; a learned texture code follows them
_EDGE = 0.06  # share of a side that numbers keep from its ends
_NUMBER_IN = (0.15, 0.25)  # height and width of a number such as ".25", and some air
_HIGHEST = math.exp(10)  # a merge that costs more is none: M4 counts from the last one below


def draw_m3(look: Look) -> Figure:
    """Patches, slots, and the texture field by its principal components."""
    m3, image = look.percept.m3, paint.as_picture(look.image)
    textures = texture_pictures(m3)
    sheet = Sheet(
        "M3, invariance",
        "superpixels, the slots they are gathered in, and what texture is told of them",
        [picture_row(2 + len(textures), image.shape[:2])],
    )
    patches = m3.patches.label[0].numpy()
    note = f"{len(np.unique(patches))} patches"
    sharp(sheet.axes(0, 0), paint.outlined(image, patches), "Patches", note)
    slots = m3.slots[0].detach().max(0).indices.numpy()
    note = f"{len(np.unique(slots))} of {m3.assignment.shape[2]} slots win somewhere"
    sharp(sheet.axes(0, 1), paint.regions_picture(image, slots), "Slots", note)
    for column, (name, (picture, share)) in enumerate(textures.items(), start=2):
        words = f"red, green, blue: {100 * share:.0f} % of the variance"
        style.picture(sheet.axes(0, column), picture, name, words)
    return sheet.figure


def texture_pictures(m3: M3Out) -> dict[str, tuple[np.ndarray, float]]:
    """Title -> principal components as a picture, and their share; the learned code apart, if there is one."""
    texture = m3.texture[0].detach()
    parts = {"Texture, three components": texture[:_N_STATISTICS], "Learned texture code": texture[_N_STATISTICS:]}
    return {name: paint.principal_colours(part) for name, part in parts.items() if len(part)}


def draw_m4(look: Look) -> Figure:
    """Proto-objects with their objectness, and the costs of the merges that made them."""
    image = paint.as_picture(look.image)
    sheet = Sheet(
        "M4, proto-objects",
        "slots merged where nothing holds them apart; the number on each is its objectness",
        [picture_row(3, image.shape[:2])],
    )
    draw_objects(sheet.axes(0, 0), image, look.percept)
    doubt = 1 - look.percept.m4.masks[0].detach().amax(0).numpy()
    style.picture(sheet.axes(0, 1), doubt, "Doubt", "1 − share of the strongest; white: no doubt, black: 1")
    draw_merges(sheet.axes(0, 2, left_in=0.55, right_in=0.1), look.percept.m4, look.theta)
    return sheet.figure


def draw_objects(ax: Axes, image: np.ndarray, percept: Percept, title: str = "Proto-objects") -> None:
    """Proto-objects outlined in their own colours, objectness as a number on each that has room for it."""
    labels = paint.without_gaps(label_map(percept))
    blend = 0.45 * image + 0.55 * paint.own_colours(image, labels)
    page = paint.outlined(blend, labels)
    factor = len(page) / len(labels)
    is_free = np.ones(labels.shape, dtype=bool)
    px_per_in = labels.shape[1] * ax.figure.dpi / ax.bbox.width
    reach_y, reach_x = (math.ceil(inches * px_per_in) for inches in _NUMBER_IN)
    n_numbered = 0
    for one in proto_objects(percept):
        if not (room := one.mask & is_free).any():
            continue
        n_numbered += 1
        y, x = (round(place) for place in number(ax, room, f"{one.objectness:.2f}".lstrip("0"), factor=factor))
        is_free[max(0, y - reach_y) : y + reach_y + 1, max(0, x - reach_x) : x + reach_x + 1] = False
    n = int(labels.max()) + 1
    words = f"{n} proto-object{'s' if n != 1 else ''}"
    sharp(ax, page, title, words if n_numbered == n else f"{words}, {n_numbered} numbered")


def number(ax: Axes, mask: np.ndarray, text: str, *, factor: float = 1.0, size: float = 7.5) -> tuple[float, float]:
    """A number at the innermost pixel of a mask, on a picture ``factor`` times its size, and never across its edge.

    Returns:
        Where (y, x) it stands, in pixels of the mask.
    """
    inside = zip(paint.innermost(mask), mask.shape, strict=True)
    y, x = (min(max(place, _EDGE * n), (1 - _EDGE) * n - 1) for place, n in inside)
    how: dict[str, Any] = {"fontsize": size, "color": "white", "ha": "center", "va": "center", "weight": "bold"}
    words = ax.text((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5, text, **how)
    words.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground=style.INK)])
    return y, x


def merge_curve(m4: M4Out, theta: Theta) -> tuple[np.ndarray, np.ndarray, float]:
    """Groups left by each merge that can happen, its cost (never falling), and the threshold; a batch of one."""
    height = m4.merge_height[0].detach().double()
    is_real = torch.isfinite(height) & (height < _HIGHEST)
    cost = height[is_real].clamp_min(1e-9).numpy()
    log_height = torch.log(torch.where(torch.isfinite(height), height, 1e6).clamp_min(1e-9)).float()
    threshold = float(torch.exp(log_threshold(log_height[None], theta)))
    return np.arange(len(cost), 0, -1), cost, threshold


def draw_merges(ax: Axes, m4: M4Out, theta: Theta) -> None:
    """Cost of each merge over the number of groups it leaves; merges under the dashed line happen."""
    n_left, cost, threshold = merge_curve(m4, theta)
    happens = cost <= threshold
    ax.plot(n_left, cost, "-", color=style.TRIAL, lw=1.2, zorder=1)
    for chosen, colour, label in ((happens, style.AFTER, "merged"), (~happens, style.BEFORE, "kept apart")):
        ax.plot(n_left[chosen], cost[chosen], "o", color=colour, ms=4, zorder=2, label=label)
    ax.axhline(threshold, color=style.INK, lw=1, ls=(0, (5, 3)), label=f"threshold {threshold:.2g}")
    ax.set_yscale("log")
    for axis_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        axis_formatter(FuncFormatter(_decimal))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlim(max(len(cost), 1) + 0.8, 0.2)
    ax.set_xlabel("groups left", fontsize=8.5, color=style.FAINT)
    style.plain(ax, "Cost of each merge", "")
    ax.tick_params(which="both", length=0, labelsize=8.5, colors=style.FAINT)
    ax.legend(fontsize=8, frameon=False, labelcolor=style.INK, loc="upper left", handlelength=1.5)


def _decimal(value: float, place: int | None) -> str:
    """0.02, 0.05, 0.1, 0.2 ...: the ticks of a log axis that are labelled, in plain figures."""
    del place
    first = f"{value:e}"[0]
    return f"{value:g}" if first in "125" else ""
