"""Agreement of two soft partitions: free of label permutations, corrected for chance, differentiable.

A soft partition is p (B, S, H, W) on the simplex over S. The two may have different S.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_LEAST_SHARE = 1e-4  # of a pixel; nothing is left of it after sharpening


def contingency(p: Tensor, q: Tensor, valid: Tensor | None = None) -> Tensor:
    """How much of each segment of one partition lies in each segment of the other.

    Args:
        p: (B, S, H, W) soft partition.
        q: (B, T, H, W) soft partition.
        valid: (B, 1, H, W) weight of each pixel in [0, 1]; all pixels when None.

    Returns:
        (B, S, T) in pixels; sums to the number of valid pixels.

    Raises:
        ValueError: if batch or pixels of the two differ.
    """
    if p.shape[0] != q.shape[0] or p.shape[2:] != q.shape[2:]:
        raise ValueError(f"expected partitions of the same pixels, got {tuple(p.shape)} and {tuple(q.shape)}")
    weighted = p if valid is None else p * valid
    return torch.bmm(weighted.flatten(2), q.flatten(2).transpose(1, 2))


def adjusted_rand(table: Tensor, *, when_undefined: float = 0.0) -> Tensor:
    """Adjusted Rand index of contingency tables, for whole and for fractional counts.

    Hubert & Arabie (1985): (index - expected) / (maximum - expected) with pair counts C(x, 2) = x (x - 1) / 2. Written
    as shares of all pairs; since the cells sum to n, the linear parts are n for every term and the formula holds as it
    stands for fractional counts. It is 1 for equal hard partitions, about 0 for independent ones, and 0 against
    a uniform soft map: an undecided percept agrees with nothing, itself included.

    Args:
        table: (B, S, T) from :func:`contingency`.
        when_undefined: the answer where both are one single region and the index is 0/0. Libraries say 1; here one
            region agrees with one region by definition, not by merit, so that it earns nothing.

    Returns:
        (B,), at most 1. NaN in, NaN out.
    """
    n = table.sum((1, 2))
    n_pairs = (n * (n - 1)).clamp_min(1e-6)
    index = ((table**2).sum((1, 2)) - n) / n_pairs
    rows = ((table.sum(2) ** 2).sum(1) - n) / n_pairs
    columns = ((table.sum(1) ** 2).sum(1) - n) / n_pairs
    expected = rows * columns
    room = (rows + columns) / 2 - expected
    is_undefined = room < 1e-5  # float32 shares of pairs: less than this is rounding
    agreement = (index - expected) / torch.where(is_undefined, torch.ones_like(room), room)
    return torch.where(is_undefined, torch.full_like(agreement, when_undefined), agreement)


def soft_adjusted_rand(p: Tensor, q: Tensor, valid: Tensor | None = None) -> Tensor:
    """Adjusted Rand index of soft partitions (B, S, H, W) and (B, T, H, W) over valid pixels: (B,), at most 1."""
    return adjusted_rand(contingency(p, q, valid))


def sharpen(p: Tensor, *, power: float) -> Tensor:
    """Partition (B, S, H, W) raised to a power and brought back to the simplex: nearer to its own argmax.

    A uniform pixel stays uniform. NaN in, NaN out. Shares under a ten-thousandth become 0.
    """
    if power == 1:
        return p
    # Powers of such shares, and products of two of them, are denormal numbers: sums over pixels took fifteen times
    # as long with them.
    p = F.threshold(p, _LEAST_SHARE, 0.0)
    # Twice squared is three times as fast as the general power, and 4 is what the objective asks for.
    raised = p.square().square() if power == 4 else p**power
    total = raised.sum(1, keepdim=True).clamp_min(1e-30)
    return raised / total if raised.requires_grad else raised.div_(total)


def matched_symmetric_kl(p: Tensor, q: Tensor, valid: Tensor | None = None, *, floor: float = 1e-4) -> Tensor:
    """Symmetric Kullback-Leibler divergence per pixel after matching the labels; for the log only.

    Labels are matched by the assignment that shares most pixels (Hungarian method on the contingency of the argmax
    maps). It loops over the batch for that, and carries no correction for chance: a blank percept scores 0.

    Args:
        p: (B, S, H, W) soft partition.
        q: (B, S, H, W) soft partition.
        valid: (B, 1, H, W) weight of each pixel.
        floor: probabilities are mixed with that much of the uniform map, so that zeros stay finite.

    Returns:
        (B,) in nats, (KL(p|q) + KL(q|p)) / 2.
    """
    n_slots = p.shape[1]
    one_hot = [F.one_hot(x.argmax(1), n_slots).movedim(-1, 1).float() for x in (p, q)]
    tables = contingency(one_hot[0], one_hot[1], valid).detach().cpu().numpy()
    order = torch.stack([torch.as_tensor(linear_sum_assignment(-table)[1]) for table in tables]).to(q.device)
    q = q.gather(1, order[:, :, None, None].expand_as(q))
    p, q = ((1 - floor) * x + floor / n_slots for x in (p, q))
    divergence = 0.5 * ((p - q) * (p.log() - q.log())).sum(1, keepdim=True)
    if valid is None:
        return divergence.mean((1, 2, 3))
    return (divergence * valid).sum((1, 2, 3)) / valid.sum((1, 2, 3))
