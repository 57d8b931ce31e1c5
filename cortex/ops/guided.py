"""A coarse map brought to full size along the picture's edges: the fast guided filter (He & Sun 2015)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Shares of red, green and blue in luminance (ITU-R BT.709).
LUMA = (0.2126, 0.7152, 0.0722)


def luminance(image: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB in [0, 1] -> (B, 1, H, W): the weighted sum of its values as they are."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def box_mean(maps: Tensor, window: int) -> Tensor:
    """Mean over an odd window in cells, cut at the border; separable, which is exact here."""
    r = window // 2
    maps = F.avg_pool2d(maps, (window, 1), 1, (r, 0), count_include_pad=False)
    return F.avg_pool2d(maps, (1, window), 1, (0, r), count_include_pad=False)


def guided_upsample(coarse: Tensor, guide: Tensor, full_guide: Tensor, *, window: int, epsilon: float) -> Tensor:
    """A map at the full guide's size, in every window a linear function of the guide.

    Args:
        coarse: (B, 1, h, w).
        guide: (B, 1, h, w), the full guide on the coarse grid.
        full_guide: (B, 1, H, W).
        window: odd, in cells of the coarse grid.
        epsilon: in the guide's unit squared: variance below it is no edge.

    Returns:
        (B, 1, H, W); may overshoot the range of ``coarse``.
    """
    moments = torch.cat([coarse, guide, coarse * guide, guide.square()], 1)
    d, g, dg, gg = box_mean(moments, window).split(1, 1)
    slope = (dg - d * g) / ((gg - g.square()).clamp_min(0) + epsilon)
    plane = box_mean(torch.cat([slope, d - slope * g], 1), window)
    plane = F.interpolate(plane, size=full_guide.shape[-2:], mode="bilinear", align_corners=False)
    return plane[:, :1] * full_guide + plane[:, 1:]
