"""The hierarchy of regions by how many looks separate two places, and its cut that agrees most with the looks.

Average linkage on the share of looks that separate two pixels (co-association: Strehl & Ghosh 2002; Fred & Jain 2005;
of segmentations: Franek, Abdala, Vega-Pons & Jiang 2010), over touching regions only. The mean over all pairs of pixels
of two regions is one less the product of their mean label vectors, so that no table of pairs of pixels is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.integration.evidence import Evidence, overlap
from ciliary.cortex.ops.agglomerate import RegionTree, clusters, region_tree
from ciliary.cortex.ops.pair_cost import PairInputs
from ciliary.cortex.ops.region_graph import RegionGraph, region_graph


def grow(evidence: Evidence, boundary: Tensor, *, contour_weight: float) -> tuple[RegionTree, RegionGraph]:
    """The whole tree over the atoms, whose heights are shares of looks that separate, and the atoms' borders.

    Args:
        evidence: on the atoms.
        boundary: (B, H, W) mean strength of boundary.
        contour_weight: how much the mean boundary between two regions adds to the share that separates them.
    """
    b, n, c = evidence.shared_px.shape
    root = evidence.share.sqrt()
    size = evidence.size_px.clamp_min(1)[..., None]
    votes = evidence.shared_px / size * root.gather(1, evidence.look)[:, None]
    seen = evidence.seen_px / size * root[:, None]

    def cost(pairs: PairInputs) -> Tensor:
        product = pairs.mean_i * pairs.mean_j
        asked = product[..., c:].sum(-1)
        # Where no look says anything of both, none separates them.
        apart = 1 - torch.where(asked > 1e-9, product[..., :c].sum(-1) / asked.clamp_min(1e-9), 1.0)
        return apart if contour_weight == 0 else apart + contour_weight * pairs.mean_along()[..., 0]

    graph = region_graph(evidence.atoms, n, boundary)
    mass = evidence.size_px.flatten()
    total = torch.cat([votes, seen], -1).flatten(0, 1) * mass[:, None]
    sample = torch.arange(b, device=mass.device).repeat_interleave(n)
    return region_tree(total, mass, graph, linkage=cost, sample=sample), graph


def rounds(tree: RegionTree) -> list[tuple[Tensor, Tensor]]:
    """The merges of each round, first to last: names of the groups that stay and of those that join them."""
    real = torch.isfinite(tree.height).nonzero()[:, 0]
    if not len(real):
        return []
    real = real[tree.joined_in[real].argsort(stable=True)]
    counts = torch.bincount(tree.joined_in[real])
    return [(tree.parent[second], second) for second in real.split(counts.tolist()) if len(second)]


def agreed_cut(tree: RegionTree, evidence: Evidence) -> Tensor:
    """(B*N,) the cluster of each atom in the cut, level or not, that agrees most with the looks.

    Agreement of a region and a look: over the region's pixels, the mean intersection over union of the region and the
    look's segment there. It adds up over regions, so that the best of all cuts of a tree is found from its leaves
    upward: a group stays whole where it agrees at least as well as the best cuts of its two parts.
    """
    shared, seen = evidence.shared_px.flatten(0, 1).clone(), evidence.seen_px.flatten(0, 1).clone()
    segment_px = evidence.shared_px.sum(1)

    def worth_of(rows: Tensor) -> Tensor:
        scene = tree.sample[rows]
        columns = evidence.look[scene]
        iou = overlap(shared[rows], seen[rows].gather(1, columns), segment_px[scene])
        return (iou * shared[rows] * evidence.share.gather(1, evidence.look)[scene]).sum(1)

    everything = torch.arange(len(shared), device=shared.device)
    worth = worth_of(everything)
    is_whole = torch.zeros(len(shared), dtype=torch.bool, device=shared.device)
    merges = rounds(tree)
    for first, second in merges:
        shared[first] += shared[second]
        seen[first] += seen[second]
        whole, apart = worth_of(first), worth[first] + worth[second]
        is_whole[second] = whole >= apart - 1e-6 * apart.abs()
        worth[first] = torch.maximum(whole, apart)
    happens, inside = torch.zeros_like(is_whole), torch.zeros_like(is_whole)
    for first, second in reversed(merges):
        state = inside[first] | is_whole[second]
        happens[second] = inside[first] = inside[second] = state
    return clusters(tree, happens)


def separations(tree: RegionTree, graph: RegionGraph) -> Tensor:
    """(E,) the height at which the two sides of each border of the atoms are joined; inf if they never are."""
    index = torch.arange(len(tree.parent), device=tree.parent.device)
    group = index.clone()
    height = torch.full_like(graph.length, torch.inf)
    for first, second in rounds(tree):
        group = index.index_copy(0, second, first)[group]
        joined = (group[graph.first] == group[graph.second]) & torch.isinf(height)
        at = tree.height.new_full((len(index),), torch.inf).index_copy_(0, first, tree.height[second])
        height = torch.where(joined, at[group[graph.first]], height)
    return height
