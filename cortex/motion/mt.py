"""MT's pattern cells: from components that each see one direction to how a pattern moves (Simoncelli and Heeger 1998).

A pattern that moves has its energy on a plane through the origin of frequency space. A pattern cell weighs component
cells by where they lie to its plane: positively by the cosine of the angle within a quarter turn, negatively beyond;
then half-squaring and divisive normalisation, as in V1. Its weights are of directions alone: how fast the pattern
goes is read by the flow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.device import widest
from ciliary.cortex.motion.energy import N_DIRECTIONS, ComponentOut
from ciliary.cortex.ops.smoothing import gaussian_blur


@dataclass(frozen=True)
class PatternSettings:
    """Of MT.

    Attributes:
        pool_cells: standard deviation of the receptive field, in cells; MT's are wider than V1's.
        semi_saturation: of the divisive normalisation, in units of V1's responses, > 0.
    """

    pool_cells: float = 2.0
    semi_saturation: float = 0.05

    def __post_init__(self) -> None:
        if self.pool_cells <= 0 or self.semi_saturation <= 0:
            raise ValueError(f"expected pool_cells and semi_saturation > 0, got {self}")


@dataclass(frozen=True, eq=False)
class PatternOut:
    """Attributes: response, (B, 8, h, w) in [0, 1); direction d as in :class:`ComponentOut`."""

    response: Tensor


def pattern_cells(component: ComponentOut, settings: PatternSettings | None = None) -> PatternOut:
    """Responses of MT's pattern cells to V1's component cells; differentiable."""
    settings = settings or PatternSettings()
    v1 = component.direction
    v1 = gaussian_blur(v1, v1.new_full((len(v1),), settings.pool_cells))
    drive = torch.einsum("pd,bdhw->bphw", plane_weights(v1.device).to(v1), v1).relu().square()
    pool = drive.mean(1, keepdim=True)
    return PatternOut(drive / (N_DIRECTIONS * pool + settings.semi_saturation**2))


def plane_weights(device: torch.device | None = None) -> Tensor:
    """(8, 8): weights of component directions (columns) for pattern directions (rows); a row sums to 0."""
    angle = torch.arange(N_DIRECTIONS, dtype=torch.float64 if device is None else widest(device), device=device) * (
        2 * math.pi / N_DIRECTIONS
    )
    return torch.cos(angle[:, None] - angle[None, :])
