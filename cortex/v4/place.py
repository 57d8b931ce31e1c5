"""Where on a shape its curvature lies: frames of shapes, and cells with Gaussian receptive fields in them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ciliary.cortex.device import kept

# How far the frame's two spreads are brought to a common one (geometrically): 0 forgives any aspect ratio, 1 none.
_COMMON = 0.5
_LEAST_SPREAD = 0.02  # of the long side


def moments(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Centre and spread (B, S, 2), (y, x) in pixels of the map, of weights (B, S, h, w) >= 0."""
    h, w = weight.shape[-2:]
    norm = weight.sum((2, 3)).clamp_min(1e-6)
    y, x = (torch.arange(n, dtype=weight.dtype, device=weight.device) for n in (h, w))
    rows, columns = weight.sum(3) / norm[..., None], weight.sum(2) / norm[..., None]
    centre = torch.stack([(rows * y).sum(2), (columns * x).sum(2)], 2)
    least = (_LEAST_SPREAD * max(h, w)) ** 2
    variance = torch.stack(
        [(rows * (y - centre[..., :1]).square()).sum(2), (columns * (x - centre[..., 1:]).square()).sum(2)], 2
    ).clamp_min(least)
    common = variance.mean(2, keepdim=True)
    return centre, torch.sqrt(variance ** (1 - _COMMON) * common**_COMMON)


@kept(8)
def raster(n_cells: int, extent: float, device: torch.device) -> Tensor:
    """Middles (n * n, 2) of a square raster, (y, x) in spreads, within ``extent`` of the centre."""
    step = ((torch.arange(n_cells, device=device) + 0.5) / n_cells * 2 - 1) * extent
    return torch.cartesian_prod(step, step)


@kept(8)
def rings(n_angles: int, radii: tuple[float, ...], device: torch.device) -> Tensor:
    """The centre, then ``n_angles`` places on each ring: (1 + n * rings, 2), (y, x) in spreads."""
    angle = torch.arange(n_angles, device=device) * (2 * math.pi / n_angles)
    ring = torch.stack([torch.sin(angle), torch.cos(angle)], 1)
    return torch.cat([ring.new_zeros(1, 2), *(radius * ring for radius in radii)])


def pool(answers: Tensor, centre: Tensor, spread: Tensor, cells: Tensor, width: float) -> Tensor:
    """Answers (B, U, h, w) seen by Gaussian receptive fields in each shape's frame: (B, S, K, U).

    Args:
        answers: of the bank.
        centre, spread: (B, S, 2) of :func:`moments`, of the same map.
        cells: (K, 2) where the fields lie, (y, x) in spreads.
        width: of the fields, in spreads.

    A mean over the field, in units of the spreads: the shape's size in the image does not matter.
    """
    rows, columns = _fields(answers, centre, spread, cells, width)
    seen = torch.einsum("bskx,buyx->bskuy", columns, answers)
    return torch.einsum("bskuy,bsky->bsku", seen, rows)


def pool_within(masks: Tensor, answers: Tensor, centre: Tensor, spread: Tensor, cells: Tensor, width: float) -> Tensor:
    """As :func:`pool`, of each shape what lies in its mask (B, S, h, w) alone."""
    rows, columns = _fields(answers, centre, spread, cells, width)
    field = rows[..., None] * columns[..., None, :] * masks[:, :, None]
    return field.flatten(3) @ answers.flatten(2).transpose(1, 2)[:, None]


def _fields(answers: Tensor, centre: Tensor, spread: Tensor, cells: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Rows (B, S, K, h) and columns (B, S, K, w) of the fields, whose product sums to about 1 over the map."""
    axes = (torch.arange(n, dtype=answers.dtype, device=answers.device) for n in answers.shape[-2:])

    def along(axis: Tensor, i: int) -> Tensor:
        unit = spread[..., i, None, None]
        place = (axis - centre[..., i, None, None]) / unit
        bump = torch.exp(-0.5 * ((place - cells[:, i, None]) / width).square())
        return bump / (unit * width * math.sqrt(2 * math.pi))

    rows, columns = (along(axis, i) for i, axis in enumerate(axes))
    return rows, columns
