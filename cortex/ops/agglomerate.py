"""The merge tree over a few dozen slots, and a soft, differentiable reading of where to cut it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops.tree import Linkage


@dataclass(frozen=True)
class MergeTree:
    """S-1 merges in order. At merge t, node ``second`` joins ``first`` (both are slot numbers) at ``height``."""

    first: Tensor  # (B, S-1) int64
    second: Tensor  # (B, S-1) int64
    height: Tensor  # (B, S-1) merging cost, never falling; +inf where nothing touches any more; differentiable


def merge_tree(total: Tensor, size: Tensor, length: Tensor, strength: Tensor, *, linkage: Linkage) -> MergeTree:
    """Merge the cheapest touching pair, S-1 times, in each sample at once.

    Args:
        total: (B, S, C) sum of cues; size: (B, S); length, strength: (B, S, S) as in
            :func:`ciliary.cortex.ops.tree.merge_patches`.
        linkage: cost (B, S, S) of merging each pair.
    """
    b, s = size.shape
    batch = torch.arange(b)
    firsts, seconds, heights = [], [], []
    height = size.new_zeros(b)
    for _ in range(s - 1):
        cost = linkage(total, size, length, strength)
        cost = torch.where(length > 0, cost, torch.inf)
        flat = cost.flatten(1)
        index = flat.detach().argmin(1)
        one, two = index // s, index % s
        first, second = torch.minimum(one, two), torch.maximum(one, two)
        value = flat.gather(1, index[:, None])[:, 0]
        is_real = torch.isfinite(value)
        # A tree may fold back (an inversion): the height of a merge is at least that of the merges inside it.
        height = torch.where(is_real, torch.maximum(height, torch.where(is_real, value, 0.0)), torch.inf)
        firsts.append(first)
        seconds.append(second)
        heights.append(height)
        total, size, length, strength = _join(total, size, length, strength, batch, first, second, is_real)
    return MergeTree(torch.stack(firsts, 1), torch.stack(seconds, 1), torch.stack(heights, 1))


def _join(total, size, length, strength, batch, first, second, is_real):
    """Add row (and column) ``second`` to ``first`` and empty it, where ``is_real``."""
    s = size.shape[1]
    eye = torch.eye(s)
    take = eye[second] * is_real[:, None]  # (B, S) selects `second`
    give = eye[first]
    size_two = (size * take).sum(1, keepdim=True)
    size = size + give * size_two - take * size_two
    total_two = total[batch, second][:, None] * is_real[:, None, None]
    total = total + (give - take)[..., None] * total_two
    out = []
    for x in (length, strength):
        row = x[batch, second] * is_real[:, None]  # (B, S)
        delta = (give - take)[:, :, None] * row[:, None, :]
        x = x + delta
        # Columns after rows, with the row just updated, keeps the matrix symmetric.
        column = x[batch, :, second] * is_real[:, None]
        x = x + column[:, :, None] * (give - take)[:, None, :]
        out.append(x * (1 - eye))
    return total, size, out[0], out[1]


def soft_cut(tree: MergeTree, probability: Tensor) -> Tensor:
    """Where each slot goes if merge t happens with ``probability`` (B, S-1): (B, S, S), rows on the simplex.

    Entry (s, r) is the share of slot s that ends in the group led by r. Probabilities of 0 and 1 give the hard cut.
    """
    b, steps = probability.shape
    s = steps + 1
    eye = torch.eye(s)
    share = eye.expand(b, s, s)
    for t in range(steps):
        first, second = eye[tree.first[:, t]], eye[tree.second[:, t]]
        moving = (share * second[:, None]).sum(2, keepdim=True) * probability[:, t, None, None]
        share = share + moving * (first - second)[:, None]
    return share
