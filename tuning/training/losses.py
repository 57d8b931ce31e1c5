"""What each stage learns from: losses on plain tensors, without labels. Lower is better; means over the batch.

From the original notes, with their defects mended: balance of regions is paired with confidence (balance alone is
minimised by the uniform map), rupture uses the cosine, objectness predicts what lasts (a plain sparsity term
sends it to zero), the gate's entropy is per proto-object (its sum is constant once renormalised).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPS = 1e-6


def region_information(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Entropy of the mean assignment, and mean entropy of assignments, in units of log K: (B, K, h, w) to (B,) each.

    Their difference is the mutual information of pixel and region: high only if regions are used evenly (the first) and
    each pixel is sure (the second). Hu et al. 2017.
    """
    log_k = torch.log(torch.tensor(float(regions.shape[1])))
    usage = regions.mean((2, 3))
    balance = -(usage * torch.log(usage + _EPS)).sum(1)
    doubt = -(regions * torch.log(regions + _EPS)).sum(1).mean((1, 2))
    return balance / log_k, doubt / log_k


def togetherness(regions: Tensor, labels: Tensor, *, seed: int, n_pairs: int = 512, reach_px: int = 12) -> Tensor:
    """Cross-entropy between what regions and what several segmentations say of two pixels: in one, or not.

    Args:
        regions: (B, K, h, w) on the simplex. Two pixels are together with the Bhattacharyya coefficient of theirs.
        labels: (B, k, h, w) of k segmentations: together in so many of them.
        seed: of the pairs, the same for all images: half of them anywhere, half at most ``reach_px`` apart.
        n_pairs: pairs.
        reach_px: of the near pairs.
    """
    h, w = regions.shape[-2:]
    rng = torch.Generator().manual_seed(seed)
    y, x = (torch.randint(n, (n_pairs,), generator=rng) for n in (h, w))
    far_y, far_x = (torch.randint(n, (n_pairs,), generator=rng) for n in (h, w))
    step_y, step_x = (torch.randint(-reach_px, reach_px + 1, (n_pairs,), generator=rng) for _ in range(2))
    is_near = torch.arange(n_pairs) % 2 == 0
    other_y = torch.where(is_near, (y + step_y).clamp(0, h - 1), far_y)
    other_x = torch.where(is_near, (x + step_x).clamp(0, w - 1), far_x)
    target = (labels[:, :, y, x] == labels[:, :, other_y, other_x]).float().mean(1)
    root = torch.sqrt(regions + _EPS)
    told = (root[:, :, y, x] * root[:, :, other_y, other_x]).sum(1) / (1 + regions.shape[1] * _EPS)
    # shrunk, not clipped: the coefficient of uniform regions is 1, and a clip would leave them without a way out
    return F.binary_cross_entropy(0.01 + 0.98 * told, target)


def symmetric_kl(p: Tensor, q: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean over (valid) pixels of (KL(p||q) + KL(q||p)) / 2 of (B, K, h, w), in nats."""
    difference = torch.log(p + _EPS) - torch.log(q + _EPS)
    return masked_mean(0.5 * ((p - q) * difference).sum(1, keepdim=True), valid)


def masked_mean(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean of (B, 1, h, w) over valid pixels (B or 1, 1, h, w)."""
    if valid is None:
        return x.mean()
    valid = valid.expand_as(x)
    return (x * valid).sum() / valid.sum().clamp_min(1.0)


def edge_aware_smoothness(regions: Tensor, cues: Tensor, *, sigma: float, barrier: Tensor | None = None) -> Tensor:
    """Mean of w |S(p) - S(q)| over neighbours; w = exp(-d^2 / 2 sigma^2) of the cues, times 1 - barrier if given.

    Args:
        regions: (B, K, h, w).
        cues: (B, C, h, w), the same place.
        sigma: in units of the cues.
        barrier: (B, 1, h, w) in [0, 1]: the coupling of M2 back to M1. The mean of both pixels counts, so that nothing
            is smoothed along a thick edge either.
    """
    total = regions.new_zeros(())
    for axis in (2, 3):
        n = regions.shape[axis] - 1
        a, b = (cues.narrow(axis, start, n) for start in (0, 1))
        weight = torch.exp(-(a - b).square().sum(1) / (2 * sigma**2))
        if barrier is not None:
            weight = weight * (1 - 0.5 * (barrier.narrow(axis, 0, n) + barrier.narrow(axis, 1, n))[:, 0])
        step = (regions.narrow(axis, 0, n) - regions.narrow(axis, 1, n)).abs().sum(1)
        total = total + (weight * step).mean()
    return 0.5 * total


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
        itself = torch.eye(len(anchor), dtype=torch.bool)
        logits = logits.masked_fill(same & ~itself, -1e4)
    return F.cross_entropy(logits, torch.arange(len(anchor)))


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


def weighted_bce(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of probabilities, weighted mean; all of one shape."""
    loss = F.binary_cross_entropy(predicted.clamp(_EPS, 1 - _EPS), target.clamp(0, 1), reduction="none")
    return (loss * weight).sum() / weight.sum().clamp_min(_EPS)


def load_imbalance(gate: Tensor) -> Tensor:
    """E times the sum over experts of (mean share - 1/E)^2, of (n, E): 0 if all work alike, E - 1 if one works."""
    n_experts = gate.shape[1]
    return n_experts * (gate.mean(0) - 1 / n_experts).square().sum()


def gate_entropy(gate: Tensor) -> Tensor:
    """Mean entropy of the gates (n, E) in units of log E: 0 if each is sure."""
    log_e = torch.log(torch.tensor(float(gate.shape[1])))
    return (-(gate * torch.log(gate + _EPS)).sum(1)).mean() / log_e
