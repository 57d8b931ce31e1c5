"""Gaussian blur with one sigma per sample, as two small matrix products."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_matrix(n: int, sigma_px: Tensor, *, stride: int = 1) -> Tensor:
    """Rows of a 1-d Gaussian blur with half-sample reflection, optionally keeping each ``stride``-th output.

    Args:
        n: length of the axis in pixels.
        sigma_px: (B,) standard deviations, > 0.
        stride: decimation; output k is centred on the middle of its ``stride`` input pixels.

    Returns:
        (B, ceil(n / stride), n), rows sum to 1. Differentiable in ``sigma_px``.
    """
    source = torch.arange(n, dtype=torch.float32, device=sigma_px.device)
    target = torch.arange(0, n, stride, dtype=torch.float32, device=sigma_px.device) + (stride - 1) / 2
    offset = source[None, :] - target[:, None]
    # Reflection d c b a | a b c d | d c b a folded into the kernel: a pixel is seen directly and in its two mirrors.
    left = -(source[None, :] + 1) - target[:, None]
    right = (2 * n - 1 - source[None, :]) - target[:, None]
    precision = -0.5 / sigma_px.clamp_min(1e-3).view(-1, 1, 1) ** 2
    weight = sum(torch.exp(precision * (x * x)[None]) for x in (offset, left, right))
    return weight / weight.sum(-1, keepdim=True)


def gaussian_blur(x: Tensor, sigma_px: Tensor, *, stride: int = 1) -> Tensor:
    """Blur (B, C, H, W) with ``sigma_px`` (B,); reflected borders, so a constant stays the same constant.

    With ``stride`` s the result is (B, C, ceil(H/s), ceil(W/s)).
    """
    rows = gaussian_matrix(x.shape[-2], sigma_px, stride=stride)[:, None]
    columns = gaussian_matrix(x.shape[-1], sigma_px, stride=stride)[:, None]
    return rows @ x @ columns.transpose(-1, -2)
