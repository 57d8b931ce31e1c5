"""Cells for straight contours, bends, corners and ends: what leaves a point along two rays, and at what angle.

A ray is a V1 complex cell displaced from the point along its own preferred tangent. A cell joins the contour at the
point with two rays (an AND, as Cadieu et al. 2007 fit to V4 of displaced V1 cells): opposite rays are a straight
contour, rays at 150 and 120 degrees a bend, at 90 and 60 degrees a corner, a ray alone an end
(Pasupathy & Connor 1999).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import kept
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import N_ORIENTATIONS, M1Out, M2Out

# Cells of a scale sit a third of a ray apart, so that all scales are one bank over a pyramid.
STRIDES = (2, 4, 8)
REACH = 3.0  # length of a ray, in cells
REACHES_PX = tuple(REACH * stride for stride in STRIDES)
N_RAYS = 2 * N_ORIENTATIONS
STEP_RAD = 2 * math.pi / N_RAYS
#: Steps between the two rays of a pair: 180, 150, 120, 90, 60 degrees.
OPENINGS = (6, 5, 4, 3, 2)
# Of a ray's bump, in lengths of the ray: along it and across it.
_ALONG, _ACROSS = 0.3, 0.2
_MIDDLE = 0.75  # where the bump lies on the ray
# Oriented energy at which an element counts half, in units of retinal contrast (as in M2).
_HALF_ENERGY = 0.04


@dataclass(frozen=True)
class Cells:
    """What each cell of the bank prefers, all (U,).

    Attributes:
        first, second: the rays of its pair, 0 .. N_RAYS - 1 (ray d points to 30 d degrees, x right, y down).
        direction: where a bend or corner points, or an end; the tangent of a straight contour. Radians in [0, 2 pi).
        bend: 2 cos(opening / 2), the curvature of the circle through the point and both rays' ends, in 1 / reach; 0
            straight, at most 1.73; 2 for an end, which is the sharpest there is.
    """

    first: Tensor
    second: Tensor
    direction: Tensor
    bend: Tensor


@kept(8)
def _cells(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = []
    for opening in OPENINGS:
        for ray in range(N_RAYS if opening < N_RAYS // 2 else N_RAYS // 2):
            points = ray * STEP_RAD if opening == N_RAYS // 2 else (ray + opening / 2) * STEP_RAD + math.pi
            curvature = 2 * math.cos(opening * STEP_RAD / 2)
            rows.append((ray, (ray + opening) % N_RAYS, points % (2 * math.pi), curvature))
    rows += [(ray, ray, (ray * STEP_RAD + math.pi) % (2 * math.pi), 2.0) for ray in range(N_RAYS)]
    first, second, direction, bend = (torch.tensor(column, device=device) for column in zip(*rows, strict=True))
    return first, second, direction, bend


def cells(device: torch.device | None = None) -> Cells:
    """The bank."""
    return Cells(*_cells(device or torch.device("cpu")))


N_CELLS = N_RAYS // 2 + N_RAYS * len(OPENINGS)
N_PAIRS = N_CELLS - N_RAYS  # ends come last


def oriented_contour(m1: M1Out, m2: M2Out) -> Tensor:
    """M2's contour by V1's orientation, (B, O, h, w) in [0, 1] at every second pixel."""
    energy = halve(m1.energy.unflatten(1, (-1, N_ORIENTATIONS)).mean(1))
    drive = energy.square()
    strength = F.max_pool2d(halve(m2.contour), 3, stride=1, padding=1)  # a stroke's two outlines close over it
    return drive / (drive + _HALF_ENERGY**2) * strength


@kept(16)
def _ray_kernels(device: torch.device) -> Tensor:
    """(N_RAYS, 1, k, k), each sums to 1; ray d of orientation d mod O, in the order of the groups of ``conv2d``."""
    radius = math.ceil(REACH * (_MIDDLE + 2 * _ALONG))
    offset = torch.arange(-radius, radius + 1, dtype=torch.float32, device=device)
    ray = torch.arange(N_RAYS, device=device).view(2, N_ORIENTATIONS).T.flatten() * STEP_RAD
    cos, sin = torch.cos(ray).view(-1, 1, 1), torch.sin(ray).view(-1, 1, 1)
    along = offset[None, :] * cos + offset[:, None] * sin - _MIDDLE * REACH
    across = offset[:, None] * cos - offset[None, :] * sin
    kernel = torch.exp(-0.5 * ((along / (_ALONG * REACH)) ** 2 + (across / (_ACROSS * REACH)) ** 2))
    return (kernel / kernel.sum((1, 2), keepdim=True))[:, None]


def rays(oriented: Tensor) -> Tensor:
    """How far a contour leaves each point along each ray: (B, N_RAYS, h, w) in [0, 1] of :func:`oriented_contour`."""
    kernel = _ray_kernels(oriented.device)
    found = F.conv2d(oriented, kernel, padding=kernel.shape[-1] // 2, groups=N_ORIENTATIONS)
    ordered: Tensor = found.unflatten(1, (N_ORIENTATIONS, 2)).transpose(1, 2).flatten(1, 2)
    return ordered


def respond(oriented: Tensor) -> Tensor:
    """The bank's answers (B, U, h, w) in [0, 1] to an oriented contour (B, O, h, w) at one scale; 0 on a blank."""
    bank = cells(oriented.device)
    ray = rays(oriented)
    here = oriented.amax(1, keepdim=True)
    pairs = ray[:, bank.first[:N_PAIRS]] * ray[:, bank.second[:N_PAIRS]]
    # An end: nothing leaves the point but this ray; its two neighbours see it too, so they are not asked.
    most = torch.maximum(ray, ray.roll(-1, 1))
    most = torch.maximum(most, most.roll(-2, 1))
    most = torch.maximum(most, most.roll(-4, 1))
    away = torch.maximum(most, most.roll(-1, 1)).roll(-2, 1)  # of the nine from the second next on
    answers: Tensor = here * torch.cat([pairs, (ray * (1 - away)).square()], 1)
    return answers


def respond_at_scales(oriented: Tensor) -> list[Tensor]:
    """The bank's answers (B, U, h, w) at each of :data:`STRIDES`, of :func:`oriented_contour`."""
    answers = [respond(oriented)]
    for _ in STRIDES[1:]:
        oriented = halve(oriented)
        answers.append(respond(oriented))
    return answers
