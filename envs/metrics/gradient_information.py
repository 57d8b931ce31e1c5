"""How much an exposed picture tells, by its gradients: what exposure control of cameras maximises."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_THRESHOLD, _SHARPNESS = 0.06, 1000.0  # delta and lambda of Shim et al. 2014


def gradient_information(signal: Tensor) -> Tensor:
    """Sum over pixels of log(lambda (m - delta) + 1) / log(lambda (1 - delta) + 1) where m > delta.

    Shim, Lee & Kweon 2014, eq. 1-3, with their delta .06 and lambda 1000. Clipped and dark places have no gradient m,
    and strong edges are not worth much more than fair ones.

    Args:
        signal: (B, H, W) in [0, 1], as a camera gives it out (after its gamma).

    Returns:
        (B,) >= 0.

    Raises:
        ValueError: another shape.
    """
    if signal.ndim != 3 or min(signal.shape[1:]) < 3:
        raise ValueError(f"expected signal (B, H, W) with sides >= 3, got {tuple(signal.shape)}")
    down = (signal[:, 2:, 1:-1] - signal[:, :-2, 1:-1]) / 2
    right = (signal[:, 1:-1, 2:] - signal[:, 1:-1, :-2]) / 2
    over = (torch.hypot(down, right) - _THRESHOLD).clamp_min(0)
    return (_SHARPNESS * over + 1).log().sum((1, 2)) / math.log(_SHARPNESS * (1 - _THRESHOLD) + 1)
