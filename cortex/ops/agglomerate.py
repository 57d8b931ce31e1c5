"""Hierarchical merging of thousands of regions on their graph, all pictures of a batch at once.

Pairs that are each other's cheapest merge in the same round: for reducible costs this is the tree of merging one pair
at a time (Murtagh 1983), in a dozen rounds, not hundreds. The rounds do not come in the order of the costs, so that the
tree is built first, and cut then. The pairs are a list of edges, which shrinks from round to round.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, library

from ciliary.cortex.ops.pair_cost import PairCost, PairInputs, contrast_cost
from ciliary.cortex.ops.region_graph import RegionGraph, graph_of_tables, join_edges
from ciliary.cortex.ops.watershed import ordered_key

_NEVER = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class RegionTree:
    """Merges of M regions; each group goes by the name of its first region."""

    parent: Tensor  # (M,) int64, the group that the group of this name joined; itself if it joined none
    height: Tensor  # (M,) what that cost, at least what the merges inside it cost; inf if it joined none
    joined_in: Tensor  # (M,) int64, the round it joined in: of equal heights the order
    sample: Tensor  # (M,) int64, picture of each region, never falling
    is_real: Tensor  # (M,) bool, not padding


def agglomerate(
    total: Tensor, size: Tensor, graph: RegionGraph, *, linkage: PairCost, n_left: int, sample: Tensor
) -> Tensor:
    """Merge touching regions, the cheapest pair first, until ``n_left`` are left in each picture.

    Args:
        total: (M, C) sum of the cues in each region.
        size: (M,) its mass; 0 for padding.
        graph: the borders between the M regions.
        linkage: cost of merging each pair.
        sample: (M,) int64, picture of each region, never falling.

    Returns:
        (M,) int64, the cluster 0 .. n_left-1 of each region (more, if that many parts do not touch; fewer, if there are
        fewer regions), in the order of their first regions; 0 for padding. A choice, without gradient.
    """
    return cut_to(region_tree(total, size, graph, linkage=linkage, n_left=n_left, sample=sample), n_left)


@library.custom_op("ciliary::agglomerate_tables", mutates_args=())
def agglomerate_tables(
    total: Tensor,
    size: Tensor,
    length: Tensor,
    strength: Tensor,
    exponent: Tensor,
    contour_weight: Tensor,
    unit_size: float,
    n_left: int,
) -> Tensor:
    """:func:`agglomerate` by :func:`~ciliary.cortex.ops.pair_cost.contrast_cost`, of tables (B, N, N): (B, N) int64.

    How many rounds it takes, and how long its lists are, hangs on values: to torch, which traces and compiles, it is
    one operator.
    """
    b, n, c = total.shape
    return agglomerate(
        total.reshape(b * n, c),
        size.flatten(),
        graph_of_tables(length, strength),
        linkage=contrast_cost(exponent=exponent, contour_weight=contour_weight, unit_size=unit_size),
        n_left=n_left,
        sample=torch.arange(b, device=total.device).repeat_interleave(n),
    ).view(b, n)


@agglomerate_tables.register_fake
def _(total: Tensor, size: Tensor, *unread: Tensor | float) -> Tensor:
    del total, unread
    return torch.empty_like(size, dtype=torch.int64)


def region_tree(
    total: Tensor, size: Tensor, graph: RegionGraph, *, linkage: PairCost, sample: Tensor, n_left: int = 1
) -> RegionTree:
    """The tree of :func:`agglomerate`: as much of it as holds the merges that leave ``n_left``; with 1, all of it."""
    with torch.no_grad():
        return _grow(total.detach(), size.detach(), _detached(graph), linkage, sample, n_left)


def cut_at(tree: RegionTree, height: float | Tensor) -> Tensor:
    """The cluster (M,) of each region when the merges up to ``height``, one for all or (B,), take place."""
    if isinstance(height, Tensor) and height.ndim:
        height = height[tree.sample]
    return clusters(tree, tree.height <= height)


def cut_to(tree: RegionTree, n_left: int) -> Tensor:
    """The cluster (M,) of each region when the cheapest merges leave ``n_left`` in each picture."""
    # By height, and where that is equal by round: no merge without those inside it.
    order = tree.joined_in.argsort(stable=True)
    for key in (tree.height, tree.sample):
        order = order[key[order].argsort(stable=True)]
    index = torch.arange(len(order), device=order.device)
    rank = torch.empty_like(order).index_copy_(0, order, index)
    n = torch.bincount(tree.sample)
    n_real = _counted(tree.is_real, tree.sample)
    rank = rank - (n.cumsum(0) - n)[tree.sample]
    return clusters(tree, rank < (n_real - n_left)[tree.sample])


def clusters(tree: RegionTree, happens: Tensor) -> Tensor:
    """The cluster (M,) of each region when the merges of which ``happens`` (M,) holds take place, and no other."""
    index = torch.arange(len(tree.parent), device=tree.parent.device)
    parent = torch.where(happens & torch.isfinite(tree.height), tree.parent, index)
    for _ in range(len(index).bit_length()):
        parent = parent.index_select(0, parent)
    is_root = (parent == index) & tree.is_real
    n = _counted(is_root, tree.sample)
    number = is_root.cumsum(0) - 1 - (n.cumsum(0) - n)[tree.sample]
    return torch.where(tree.is_real, number.index_select(0, parent), 0)


def _grow(
    total: Tensor, size: Tensor, graph: RegionGraph, linkage: PairCost, sample: Tensor, n_left: int
) -> RegionTree:
    m = len(size)
    index = torch.arange(m, device=size.device)
    tree = RegionTree(index.clone(), torch.full_like(size, torch.inf), torch.zeros_like(index), sample, size > 0)
    n_merges = _counted(tree.is_real, sample) - n_left
    mean, size, inside = total / size.clamp_min(1e-6)[:, None], size.clone(), torch.zeros_like(size)
    for i_round in range(m):
        if not len(graph.first):
            break
        cost, where = _costs(mean, size, graph, linkage, sample), sample.index_select(0, graph.first)
        # Done once the merges wanted are all cheaper than any left; each picture by itself, whatever is beside it.
        least = torch.full_like(n_merges, torch.inf, dtype=cost.dtype).scatter_reduce_(0, where, cost, "amin")
        is_cheaper = tree.height <= least.index_select(0, sample)
        is_done = torch.zeros_like(n_merges).index_add_(0, sample, is_cheaper.long()) >= n_merges
        is_mutual = _mutual(cost, graph, m) & torch.isfinite(cost) & ~is_done.index_select(0, where)
        merged = is_mutual.nonzero()[:, 0]
        if not len(merged):
            break  # all are done, or have only groups that do not touch
        first, second = (side.index_select(0, merged) for side in (graph.first, graph.second))
        # A tree on a graph may fold back (an inversion): a merge costs at least what the merges inside it did.
        paid = torch.maximum(cost.index_select(0, merged), torch.maximum(inside[first], inside[second]))
        tree.parent[second], tree.height[second], tree.joined_in[second] = first, paid, i_round
        inside[first] = paid
        share = (size[second] / (size[first] + size[second]).clamp_min(1e-6))[:, None]
        mean[first] = torch.lerp(mean[first], mean[second], share)
        size[first] += size[second]
        graph = join_edges(_of_pictures(graph, ~is_done, where), index.index_copy(0, second, first))
    return tree


def _counted(which: Tensor, sample: Tensor) -> Tensor:
    """(B,) int64: of (M,) bool, how many in each picture."""
    return torch.zeros_like(torch.bincount(sample)).index_add_(0, sample, which.long())


def _costs(mean: Tensor, size: Tensor, graph: RegionGraph, linkage: PairCost, sample: Tensor) -> Tensor:
    i, j = graph.first, graph.second
    mean_i, mean_j, size_i, size_j = (x.index_select(0, side) for x in (mean, size) for side in (i, j))
    pairs = PairInputs(mean_i, mean_j, size_i, size_j, graph.length, graph.sums, sample.index_select(0, i))
    return linkage(pairs)


def _mutual(cost: Tensor, graph: RegionGraph, m: int) -> Tensor:
    """(E,) bool: is the edge the cheapest of both its sides? Of equals, the first: the cheapest of all always is."""
    key = ordered_key(cost, torch.arange(len(cost), device=cost.device))
    best = torch.full((m,), _NEVER, device=cost.device)
    for side in (graph.first, graph.second):
        best.scatter_reduce_(0, side, key, "amin")
    return (best.index_select(0, graph.first) == key) & (best.index_select(0, graph.second) == key)


def _of_pictures(graph: RegionGraph, is_in: Tensor, picture: Tensor) -> RegionGraph:
    """The edges of some pictures."""
    kept = is_in.index_select(0, picture).nonzero()[:, 0]
    return RegionGraph(*(x.index_select(0, kept) for x in (graph.first, graph.second, graph.length, graph.sums)))


def _detached(graph: RegionGraph) -> RegionGraph:
    return RegionGraph(graph.first, graph.second, graph.length.detach(), graph.sums.detach())
