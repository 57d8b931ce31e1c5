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


def likenesses(segments: Tensor, *, stride: int = 3) -> Tensor:
    """Of K label maps of each scene (B, K, H, W): (B, K, K) how alike each two are, on every ``stride``-th pixel."""
    b, k = segments.shape[:2]
    thin = segments[..., ::stride, ::stride]
    i, j = torch.triu_indices(k, k, 1, device=segments.device)
    found = segments.new_ones(b, k, k, dtype=torch.float32)
    if len(i):
        pairs = likeness(thin[:, i].flatten(0, 1), thin[:, j].flatten(0, 1)).view(b, -1)
        found[:, i, j] = found[:, j, i] = pairs
    return found


def contingency_px(one: Tensor, other: Tensor) -> Tensor:
    """(B, n, m): pixels that lie in each segment of one label map (B, H, W) and each of the other."""
    n, m = int(one.max()) + 1, int(other.max()) + 1
    name = global_label(one * m + other, n * m)
    return torch.bincount(name, minlength=len(one) * n * m).view(-1, n, m).float()
