"""How alike two partitions are: over the pixels, the mean intersection over union of the segments they lie in."""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.integration.evidence import overlap
from ciliary.cortex.ops.basins import global_label


def likeness(one: Tensor, other: Tensor) -> Tensor:
    """Of label maps (B, H, W) and (B, H, W): (B,) in (0, 1], 1 for the same partition, whatever the numbers.

    Symmetric, and no more than either covering of Arbelaez et al. 2011: a covering takes for each segment the best
    overlap with the other map, this the mean over its pixels of the overlap with what is there.
    """
    shared = contingency_px(one, other)
    iou = overlap(shared, shared.sum(2, keepdim=True), shared.sum(1, keepdim=True))
    return (iou * shared).sum((1, 2)) / shared.sum((1, 2))


def likeness_at(one: Tensor, other: Tensor) -> Tensor:
    """Of label maps (B, H, W) and (B, H, W): (B, H, W) in (0, 1], intersection over union of the segments there.

    Its mean over the pixels is their :func:`likeness`.
    """
    shared = contingency_px(one, other)
    iou = overlap(shared, shared.sum(2, keepdim=True), shared.sum(1, keepdim=True))
    row = torch.arange(len(one), device=one.device)[:, None, None]
    return iou[row, one, other]


def contingency_px(one: Tensor, other: Tensor) -> Tensor:
    """(B, n, m): pixels that lie in each segment of one label map (B, H, W) and each of the other."""
    n, m = int(one.max()) + 1, int(other.max()) + 1
    name = global_label(one * m + other, n * m)
    return torch.bincount(name, minlength=len(one) * n * m).view(-1, n, m).float()
