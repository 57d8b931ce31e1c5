"""What a glance would bring: the acuity that looking at a place gains, weighed by the priority of where it gains it.

The choice of an ideal searcher, one glance ahead (Najemnik and Geisler 2005): where the expected gain is greatest.
Nothing need be inhibited: what is resolved has no more to give.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import kept
from ciliary.cortex.dorsal.expectation import octaves
from ciliary.cortex.eye.lattice import FoveatedLattice

_MOST_AT_ONCE = 400_000  # numbers


def expected_gain(
    density: Tensor, unresolved: Tensor, lattice: FoveatedLattice, *, field_deg: tuple[float, float], step: int = 2
) -> Tensor:
    """How far the priority-weighted unresolved acuity would fall by a look at each place, (B, 1, h, w), >= 0.

    gain(g) = sum over places x of density(x) x max(0, unresolved(x) - what a glance at g leaves unresolved at x).

    Args:
        density: (B, 1, h, w) that sums to 1.
        unresolved: (B, 1, h, w) in [0, 1].
        lattice: of the glance.
        field_deg: (height, width) of the field that the maps lie over.
        step: only every so many cells of each axis are looked at; between them it is interpolated.
    """
    height, width = density.shape[-2:]
    left = _left(lattice, (height, width), field_deg, step, density.device).to(density).flatten(1)  # (C, h w)
    rows, columns = -(-height // step), -(-width // step)
    wanted, weight = unresolved.flatten(1)[:, None], density.flatten(1)[:, :, None]
    # Some looks at a time: what does not fit the processor's cache takes five times as long.
    at_once = max(_MOST_AT_ONCE // wanted.numel(), 1)
    gain = torch.cat([torch.bmm((wanted - part).clamp_min(0), weight) for part in left.split(at_once)], 1)
    gain = gain.view(len(density), 1, rows, columns)
    if step == 1:
        return gain
    return F.interpolate(gain, scale_factor=float(step), mode="bilinear")[..., :height, :width]


@kept(8)
def _left(
    lattice: FoveatedLattice, size: tuple[int, int], field_deg: tuple[float, float], step: int, device: torch.device
) -> Tensor:
    """What stays unresolved at each place after a look at each of C others, (C, h, w)."""
    cells = [(n, side / n) for n, side in zip(size, field_deg, strict=True)]
    y, x = ((torch.arange(n, device=device) + 0.5) * cell for n, cell in cells)
    # A step's look is in the middle of the cells that it stands for.
    at_y, at_x = ((torch.arange(-(-n // step), device=device) + 0.5) * step * cell for n, cell in cells)
    away = torch.hypot(at_y[:, None, None, None] - y[:, None], at_x[:, None, None] - x)
    spacing = lattice.finest_deg * (1 + away / lattice.e2_deg)
    spacing = torch.where(away > lattice.reach_deg, torch.full_like(spacing, torch.inf), spacing)
    return octaves(spacing, lattice).flatten(0, 1)
