"""Suppressing masks that say the same thing: of two that overlap, the one of the lower score goes."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_iou(masks: Tensor) -> Tensor:
    """Intersection over union of each pair of masks (B, S, H, W) bool: (B, S, S), 0 where both are empty."""
    flat = masks.flatten(2).float()
    shared = flat @ flat.transpose(1, 2)
    area = flat.sum(2)
    union = area[:, :, None] + area[:, None] - shared
    return shared / union.clamp_min(1)


def suppress(masks: Tensor, score: Tensor, *, max_iou: float = 0.5) -> Tensor:
    """Which masks are kept: going down the scores, each that overlaps none kept before by more than ``max_iou``.

    Greedy non-maximum suppression, of masks where detectors have boxes (Girshick et al. 2014). Of equal scores the
    first counts as higher. An empty mask is never kept.

    Args:
        masks: (B, S, H, W) bool.
        score: (B, S).
        max_iou: in [0, 1].

    Returns:
        (B, S) bool.

    Raises:
        ValueError: shapes that do not go together, or an overlap out of range.
    """
    if masks.ndim != 4 or score.shape != masks.shape[:2]:
        raise ValueError(
            f"expected masks (B, S, H, W) and scores (B, S), got {tuple(masks.shape)} and {tuple(score.shape)}"
        )
    if not 0 <= max_iou <= 1:
        raise ValueError(f"expected max_iou in [0, 1], got {max_iou}")
    order = torch.sort(score, dim=1, descending=True, stable=True).indices
    pair = order[:, :, None].expand(-1, -1, order.shape[1])
    overlap = mask_iou(masks).gather(1, pair).gather(2, pair.transpose(1, 2)) > max_iou
    kept = masks.flatten(2).any(2).gather(1, order)
    for i in range(1, order.shape[1]):  # over slots: what is kept depends on those before
        hidden = (overlap[:, i, :i] & kept[:, :i]).any(1)
        kept = torch.cat([kept[:, :i], (kept[:, i] & ~hidden)[:, None], kept[:, i + 1 :]], 1)
    return torch.zeros_like(kept).scatter_(1, order, kept)
