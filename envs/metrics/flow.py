"""How far an estimated flow is from the true one: endpoint and angular error (Barron, Fleet and Beauchemin 1994)."""

from __future__ import annotations

import torch
from torch import Tensor


def endpoint_error_px(flow: Tensor, truth: Tensor) -> Tensor:
    """Length (...) of the difference of two flows (..., 2, h, w), pixels a frame."""
    length: Tensor = torch.linalg.vector_norm(flow - truth, dim=-3)
    return length


def angular_error_deg(flow: Tensor, truth: Tensor) -> Tensor:
    """Angle (...) in degrees between (y, x, 1) of two flows (..., 2, h, w) in pixels a frame."""
    one = torch.ones_like(flow[..., :1, :, :])
    a, b = torch.cat([flow, one], -3).double(), torch.cat([truth, one], -3).double()
    # By the sine and the cosine: the cosine alone is inexact near 0.
    across = torch.linalg.vector_norm(torch.linalg.cross(a, b, dim=-3), dim=-3)
    return torch.rad2deg(torch.atan2(across, (a * b).sum(-3))).to(flow)
