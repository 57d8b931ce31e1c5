"""The graph of regions that touch, as a list of edges: for thousands of regions, of a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops.basins import global_label


@dataclass(frozen=True)
class RegionGraph:
    """E borders between regions of the whole batch, each once. Region i of picture b has the name b * N + i."""

    first: Tensor  # (E,) int64, name of one side; edges are sorted by (first, second)
    second: Tensor  # (E,) int64, name of the other, > first
    length: Tensor  # (E,) pixel pairs along the border
    sums: Tensor  # (E, F) sums of pixel fields along it, a pixel pair carrying the larger of its two values


def region_graph(label: Tensor, n: int, *fields: Tensor) -> RegionGraph:
    """Which regions touch (four neighbours), for how long, and sums of pixel fields along each border.

    Args:
        label: (B, H, W) int64 in 0 .. n-1.
        n: names that each picture has.
        fields: each (B, H, W) or (B, 1, H, W); the sums are differentiable in them.
    """
    b, h, w = label.shape
    name = global_label(label, n).reshape(b, h, w)
    flat_fields = [f.reshape(b, h, w) for f in fields]
    keys, pairs = [], []
    for dim in (1, 2):
        n_pairs = label.shape[dim] - 1
        one, two = name.narrow(dim, 0, n_pairs), name.narrow(dim, 1, n_pairs)
        border = (one != two).flatten().nonzero()[:, 0]
        one, two = (side.flatten().index_select(0, border) for side in (one, two))
        keys.append(torch.minimum(one, two) * (b * n) + torch.maximum(one, two))
        larger = [torch.maximum(f.narrow(dim, 0, n_pairs), f.narrow(dim, 1, n_pairs)) for f in flat_fields]
        # Only what lies on a border is read, and gets a gradient.
        pairs.append([x.flatten().index_select(0, border) for x in larger])
    key, edge, count = torch.unique(torch.cat(keys), return_inverse=True, return_counts=True)
    dtype = fields[0].dtype if fields else torch.float32
    sums = torch.zeros(len(fields), len(key), dtype=dtype, device=label.device)
    if fields:
        values = torch.stack([torch.cat(both) for both in zip(*pairs, strict=True)])
        sums = sums.index_add(1, edge, values)
    return RegionGraph(key // (b * n), key % (b * n), count.to(dtype), sums.T.contiguous())


def join_edges(graph: RegionGraph, to: Tensor) -> RegionGraph:
    """The graph when each region i is part of region ``to[i]`` (M,): borders that fall together add up."""
    m = len(to)
    first, second = to.index_select(0, graph.first), to.index_select(0, graph.second)
    kept = (first != second).nonzero()[:, 0]
    first, second = first.index_select(0, kept), second.index_select(0, kept)
    key, edge = torch.unique(torch.minimum(first, second) * m + torch.maximum(first, second), return_inverse=True)
    length = graph.length.new_zeros(len(key)).index_add(0, edge, graph.length.index_select(0, kept))
    sums = graph.sums.new_zeros(len(key), graph.sums.shape[1])
    sums = sums.index_add(0, edge, graph.sums.index_select(0, kept))
    return RegionGraph(key // m, key % m, length, sums)


def group_table(graph: RegionGraph, values: Tensor, group: Tensor, *, n_each: int, n_groups: int) -> Tensor:
    """Values (E,) of the borders between regions, added up between groups of them: (B, G, G), symmetric, diagonal 0.

    Args:
        graph: of all pictures, with ``n_each`` names each.
        values: one of each border; the table is differentiable in them.
        group: (B * n_each,) int64, the group 0 .. n_groups-1 of each region.
        n_each, n_groups: names and groups that each picture has.
    """
    n_samples, sample = len(group) // n_each, graph.first // n_each
    first, second = group.index_select(0, graph.first), group.index_select(0, graph.second)
    table = values.new_zeros(n_samples * n_groups * n_groups)
    table = table.index_add(0, (sample * n_groups + first) * n_groups + second, values)
    table = table.view(n_samples, n_groups, n_groups)
    return (table + table.transpose(1, 2)) * (1 - torch.eye(n_groups, device=values.device))


def graph_of_tables(length: Tensor, strength: Tensor) -> RegionGraph:
    """The borders of tables (B, N, N), of which ``strength`` has the sums of one field, as a list."""
    n = length.shape[1]
    sample, first, second = length.triu(1).nonzero(as_tuple=True)
    at = (sample, first, second)
    return RegionGraph(sample * n + first, sample * n + second, length[at], strength[at][:, None])
