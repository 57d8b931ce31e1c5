"""Slots into a tree that is read softly: the cheapest touching pair merges first, one at a time.

For thousands of regions, and a choice without a gradient, see :mod:`ciliary.cortex.ops.agglomerate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops.pair_cost import PairCost, PairInputs, cost_table


@dataclass(frozen=True)
class MergeTree:
    """S-1 merges in order. At merge t, node ``second`` joins ``first`` (both are slot numbers) at ``height``."""

    first: Tensor  # (B, S-1) int64
    second: Tensor  # (B, S-1) int64
    height: Tensor  # (B, S-1) merging cost, never falling; +inf where nothing touches any more; differentiable


def merge_tree(total: Tensor, size: Tensor, length: Tensor, sums: Tensor, *, cost: PairCost) -> MergeTree:
    """Merge the cheapest touching pair, S-1 times, in each sample at once.

    Which merge is a choice, without gradient; what each costs is then asked of all of them in one go.

    Args:
        total: (B, S, C) sum of the cues in each slot.
        size: (B, S) its mass.
        length: (B, S, S) length of the shared border; 0 where two slots do not touch.
        sums: (B, S, S, F) sums of fields along it.
        cost: of merging a pair; only touching pairs are looked at.
    """
    with torch.no_grad():
        first, second, one, other, is_real = _choose(total, size, length, sums, cost)
    size_i, size_j = ((side @ size[..., None])[..., 0] for side in (one, other))
    mean_i, mean_j = (side @ total / mass.clamp_min(1e-6)[..., None] for side, mass in ((one, size_i), (other, size_j)))
    along, *fields = (((one @ table) * other).sum(-1) for table in (length, *sums.unbind(-1)))
    sample = torch.arange(len(size), device=size.device)[:, None]
    value = cost(PairInputs(mean_i, mean_j, size_i, size_j, along, torch.stack(fields, -1), sample))
    # A tree may fold back (an inversion): the height of a merge is at least that of the merges inside it.
    height = torch.where(is_real, value, 0.0).cummax(1).values
    return MergeTree(first, second, torch.where(is_real, height, torch.inf))


def _choose(
    total: Tensor, size: Tensor, length: Tensor, sums: Tensor, cost: PairCost
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Both sides of each merge (B, S-1), the slots that each holds by then (B, S-1, S), and whether they touch."""
    b, s = size.shape
    batch = torch.arange(b, device=size.device)
    sample = batch[:, None]
    # What adds up when two groups join, side by side: cues, mass and members of a group; length and sums of a border.
    node = torch.cat([total, size[..., None], torch.eye(s, device=size.device).expand(b, s, s)], -1)
    border = torch.cat([length[..., None], sums], -1)
    n_cues = total.shape[2]
    table = torch.where(length > 0, cost_table(cost, total, size, length, sums), torch.inf)
    merges = []
    for _ in range(s - 1):
        index = table.flatten(1).argmin(1)
        is_real = torch.isfinite(table.flatten(1).gather(1, index[:, None]))
        row, column = index // s, index % s
        first, second = torch.minimum(row, column), torch.maximum(row, column)
        one, other = node[batch, first], node[batch, second]
        merges.append((first, second, one[:, n_cues + 1 :], other[:, n_cues + 1 :], is_real[:, 0]))
        joined = one + other * is_real
        node[batch, first] = joined
        along = border[batch, first] + border[batch, second]
        along[batch, first] = along[batch, second] = 0.0
        border[batch, first] = border[batch, :, first] = along
        border[batch, second] = border[batch, :, second] = 0.0
        mass = node[..., n_cues]
        mean = node[..., :n_cues] / mass.clamp_min(1e-6)[..., None]
        pairs = PairInputs(
            mean[batch, first][:, None], mean, joined[:, n_cues, None], mass, along[..., 0], along[..., 1:], sample
        )
        price = torch.where(along[..., 0] > 0, cost(pairs), torch.inf)
        table[batch, first] = table[batch, :, first] = price
        table[batch, second] = table[batch, :, second] = torch.inf
    first, second, one, other, is_real = (torch.stack(x, 1) for x in zip(*merges, strict=True))
    return first, second, one, other, is_real


def soft_cut(tree: MergeTree, probability: Tensor) -> Tensor:
    """Where each slot goes if merge t happens with ``probability`` (B, S-1): (B, S, S), rows on the simplex.

    Entry (s, r) is the share of slot s that ends in the group led by r. Probabilities of 0 and 1 give the hard cut.
    """
    b, steps = probability.shape
    s = steps + 1
    eye = torch.eye(s, device=probability.device)
    share = eye.expand(b, s, s)
    for t in range(steps):
        first, second = eye[tree.first[:, t]], eye[tree.second[:, t]]
        moving = (share * second[:, None]).sum(2, keepdim=True) * probability[:, t, None, None]
        share = share + moving * (first - second)[:, None]
    return share
