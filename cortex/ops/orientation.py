"""The dominant orientation of oriented energy."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dominant_orientation(energy: Tensor) -> Tensor:
    """Contour tangent (B, 1, H, W) in radians [0, pi) of oriented energy (B, O, H, W): the double-angle mean."""
    angle = torch.arange(energy.shape[1], device=energy.device) * (2 * math.pi / energy.shape[1])
    y = (energy * torch.sin(angle).view(1, -1, 1, 1)).sum(1, keepdim=True)
    x = (energy * torch.cos(angle).view(1, -1, 1, 1)).sum(1, keepdim=True)
    # atan2(0, 0) has no gradient: blank pixels are nudged to 0 rad.
    return torch.remainder(0.5 * torch.atan2(y, x + 1e-8), math.pi)
