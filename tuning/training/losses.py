"""What each stage learns from: losses on plain tensors, without labels. Lower is better; means over the batch.

From the original notes, with a defect mended: the gate's entropy is per proto-object (its sum is constant once
renormalised).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_EPS = 1e-6


def masked_mean(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean of (B, 1, h, w) over valid pixels (B or 1, 1, h, w)."""
    if valid is None:
        return x.mean()
    valid = valid.expand_as(x)
    return (x * valid).sum() / valid.sum().clamp_min(1.0)


def density_excess(contour: Tensor, *, low: float = 0.03, high: float = 0.12) -> Tensor:
    """How far the mean contour of each image (B, 1, h, w) lies outside [low, high], the mean."""
    density = contour.mean((1, 2, 3))
    return (F.relu(low - density) + F.relu(density - high)).mean()


def info_nce(anchor: Tensor, positive: Tensor, *, temperature: float, same: Tensor | None = None) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) of codes of length 1, (n, d): the i-th positive belongs to the i-th anchor.

    ``same`` (n, n) bool marks pairs that are no negatives although they are not the pair itself.
    """
    logits = anchor @ positive.T / temperature
    if same is not None:
        itself = torch.eye(len(anchor), dtype=torch.bool, device=anchor.device)
        logits = logits.masked_fill(same & ~itself, -1e4)
    return F.cross_entropy(logits, torch.arange(len(anchor), device=anchor.device))


def redundancy(codes: Tensor) -> Tensor:
    """Mean squared correlation between different channels of codes (n, d); 0 if they are independent."""
    z = codes - codes.mean(0)
    z = z / z.norm(dim=0).clamp_min(_EPS)
    correlation = z.T @ z
    d = codes.shape[1]
    between: Tensor = correlation.square().sum() - correlation.diagonal().square().sum()
    return between / (d * (d - 1))


def overlap(masks: Tensor, others: Tensor, valid: Tensor | None = None) -> Tensor:
    """Soft intersection over union of each two masks: (B, S, h, w) and (B, T, h, w) to (B, S, T) in [0, 1]."""
    p, q = masks.flatten(2), others.flatten(2)
    if valid is not None:
        v = valid.flatten(2)
        p, q = p * v, q * v
    shared = p @ q.transpose(1, 2)
    return shared / (p.sum(2)[:, :, None] + q.sum(2)[:, None] - shared).clamp_min(_EPS)


def load_imbalance(gate: Tensor) -> Tensor:
    """E times the sum over experts of (mean share - 1/E)^2, of (n, E): 0 if all work alike, E - 1 if one works."""
    n_experts = gate.shape[1]
    return n_experts * (gate.mean(0) - 1 / n_experts).square().sum()


def gate_entropy(gate: Tensor) -> Tensor:
    """Mean entropy of the gates (n, E) in units of log E: 0 if each is sure."""
    return (-(gate * torch.log(gate + _EPS)).sum(1)).mean() / math.log(gate.shape[1])
