"""Pictures of contours whose answer is known: gaps, Kanizsa figures and their controls, junctions.

Lengths in pixels, angles in radians, x right, y down. A picture is grey with brighter or darker strokes or shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GAP_SIDE_PX, KANIZSA_SIDE_PX, JUNCTION_SIDE_PX = 96, 128, 64
CONTROLS = ("shifted", "at right angles", "one alone")
TURNED, BESIDE = "inducers turned", "beside the edge"
_GREY = 0.3
_STROKE_SD_PX = 1.2
_SEGMENT_PX, _SHIFT_PX = 20.0, 8.0
_INDUCER_PX, _BESIDE_PX = 16.0, 12.0
_FINE = 4  # shapes are drawn so many times as large, and made small

Point = tuple[float, float]
Frame = Callable[[float, float], Point]


@dataclass(frozen=True, eq=False)
class Probe:
    """A picture (3, H, W) and the places (N, 2), as (y, x), at which completion is asked for."""

    picture: Tensor
    places: Tensor


def gap_scenes(gap_px: float, angle_rad: float) -> dict[str, Probe]:
    """Two segments that line up across a gap, as ``aligned``, and :data:`CONTROLS`; the middle of the gap is asked for.

    Shifted: parallel, 8 px apart. At right angles: the far one is a bar across the near one's way. Off the grid's
    middle by what the angle makes of it, so that no two angles meet the grid alike.
    """
    middle = (GAP_SIDE_PX - 1) / 2 + 0.5 * math.cos(7 * angle_rad)
    place = _frame((middle, middle), angle_rad)
    half, end, aside = gap_px / 2, gap_px / 2 + _SEGMENT_PX, _SHIFT_PX / 2
    near = (place(-end, 0), place(-half, 0))
    scenes = {
        "aligned": [near, (place(half, 0), place(end, 0))],
        "shifted": [(place(-end, aside), place(-half, aside)), (place(half, -aside), place(end, -aside))],
        "at right angles": [near, (place(half, -_SEGMENT_PX / 2), place(half, _SEGMENT_PX / 2))],
        "one alone": [near],
    }
    where = torch.tensor([[middle, middle]])
    return {name: Probe(strokes(parts, GAP_SIDE_PX), where) for name, parts in scenes.items()}


def kanizsa_scenes(n_corners: int, angle_rad: float, side_px: float = 52.0) -> dict[str, Probe]:
    """Kanizsa's triangle or square as ``illusory``; its inducers turned; and beside an edge, as far outside.

    Discs of 16 px with the figure's corner cut out; asked for on the middle fifth of each edge, where there is no ink.
    """
    middle = (KANIZSA_SIDE_PX - 1) / 2
    radius = side_px / (2 * math.sin(math.pi / n_corners))
    at = [angle_rad + 2 * math.pi * i / n_corners for i in range(n_corners)]
    corners = [(middle + radius * math.cos(a), middle + radius * math.sin(a)) for a in at]
    open_rad = math.pi * (1 - 2 / n_corners)
    inward = [a + math.pi for a in at]
    figure = _pacmen(corners, inward, open_rad)
    along = torch.linspace(0.4, 0.6, 7)
    edges, beside = [], []
    for i in range(n_corners):
        (x0, y0), (x1, y1) = corners[i], corners[(i + 1) % n_corners]
        edges.append(torch.stack([y0 + along * (y1 - y0), x0 + along * (x1 - x0)], 1))
        out = at[i] + math.pi / n_corners
        beside.append(edges[-1] + _BESIDE_PX * torch.tensor([math.sin(out), math.cos(out)]))
    return {
        "illusory": Probe(figure, torch.cat(edges)),
        # By this turn no edge of a mouth lies on a side of the figure or on its prolongation.
        TURNED: Probe(_pacmen(corners, [a + 1.5 * open_rad for a in inward], open_rad), torch.cat(edges)),
        BESIDE: Probe(figure, torch.cat(beside)),
    }


@dataclass(frozen=True, eq=False)
class Junction:
    """A picture of one junction (3, H, W), its name, and its place (y, x)."""

    picture: Tensor
    name: str
    place: Point  # (y, x)


def draw_junctions(n: int, seed: int) -> list[Junction]:
    """L, T and X in turn: any direction, arms 24 px long, 45 to 135 degrees apart, any contrast, noise up to 0.1."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        name = "LTX"[i % 3]
        first, turn = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(45, 135))
        directions = (
            [first, first + turn] + [first + math.pi] * (name != "L") + [first + turn + math.pi] * (name == "X")
        )
        x, y = ((JUNCTION_SIDE_PX - 1) / 2 + offset for offset in rng.uniform(-4, 4, 2).tolist())
        ends = [(x + 24 * math.cos(a), y + 24 * math.sin(a)) for a in directions]
        contrast = rng.uniform(0.15, 0.6) if rng.random() < 0.5 else -rng.uniform(0.1, 0.25)
        picture = strokes([((x, y), end) for end in ends], JUNCTION_SIDE_PX, contrast=contrast)
        noise = rng.uniform(0, 0.1) * rng.standard_normal((1, JUNCTION_SIDE_PX, JUNCTION_SIDE_PX))
        made.append(Junction((picture + torch.from_numpy(noise).float()).clamp(0, 1), name, (y, x)))
    return made


def strokes(segments: Sequence[tuple[Point, Point]], side_px: int, *, contrast: float = 0.5) -> Tensor:
    """(3, H, W): straight strokes with round ends, from (x, y) to (x, y)."""
    y, x = torch.meshgrid(torch.arange(float(side_px)), torch.arange(float(side_px)), indexing="ij")
    ink = torch.zeros(side_px, side_px)
    for (x0, y0), (x1, y1) in segments:
        dx, dy = x1 - x0, y1 - y0
        t = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
        away = (x - x0 - t * dx) ** 2 + (y - y0 - t * dy) ** 2
        ink = torch.maximum(ink, torch.exp(-0.5 * away / _STROKE_SD_PX**2))
    return (_GREY + contrast * ink).clamp(0, 1).expand(3, -1, -1)


def _pacmen(centres: Sequence[Point], mouths: Sequence[float], open_rad: float) -> Tensor:
    n = KANIZSA_SIDE_PX * _FINE
    at = (torch.arange(float(n)) + 0.5) / _FINE - 0.5
    y, x = torch.meshgrid(at, at, indexing="ij")
    ink = torch.zeros(n, n)
    for (cx, cy), mouth in zip(centres, mouths, strict=True):
        toward = torch.atan2(y - cy, x - cx) - mouth
        is_open = torch.atan2(torch.sin(toward), torch.cos(toward)).abs() < open_rad / 2
        ink = torch.maximum(ink, ((x - cx).hypot(y - cy) < _INDUCER_PX).float() * ~is_open)
    small = F.avg_pool2d(ink[None, None], _FINE)[0]
    return (_GREY + 0.5 * small).expand(3, -1, -1)


def _frame(middle: Point, angle_rad: float) -> Frame:
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return lambda u, v: (middle[0] + u * cos - v * sin, middle[1] + u * sin + v * cos)
