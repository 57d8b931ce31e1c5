"""Exact geodesic distances on a graph of patches, one field per slot, the whole batch at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor, library

N_NEIGHBOURS = 8
_ROUNDS_PER_CHECK = 4


def neighbour_lists(length: Tensor, step: Tensor, k: int = N_NEIGHBOURS) -> tuple[Tensor, Tensor]:
    """The ``k`` neighbours with the longest shared border of each node.

    Args:
        length: (B, N, N) border lengths, 0 where two nodes do not touch.
        step: (B, N, N) cost of walking from one to the other.

    Returns:
        index (B, N, k) int64 and cost (B, N, k), inf for a missing neighbour.
    """
    longest, index = length.topk(min(k, length.shape[1]), dim=2)
    cost = torch.where(longest > 0, step.gather(2, index), torch.inf)
    return index, cost


def geodesic_distance(is_seed: Tensor, neighbours: Tensor, cost: Tensor) -> Tensor:
    """Distance of each node to the nearest seed of each slot.

    Relaxes all nodes, slots and samples together until nothing changes (Bellman & Ford): exact, as many rounds as the
    longest shortest path has steps. The gradient of ``cost`` follows the shortest paths (envelope theorem).

    Args:
        is_seed: (B, N, S) bool.
        neighbours: (B, N, k) int64; cost: (B, N, k) > 0, as from :func:`neighbour_lists`.

    Returns:
        (B, N, S); inf where no seed can be reached.
    """
    distance: Tensor = relaxed(is_seed, neighbours, cost.detach())
    if not cost.requires_grad:
        return distance
    return _along_paths(distance, is_seed, _flat(neighbours), cost, n_doublings=math.ceil(math.log2(cost.shape[1] + 1)))


@library.custom_op("ciliary::relaxed", mutates_args=())
def relaxed(is_seed: Tensor, neighbours: Tensor, cost: Tensor) -> Tensor:
    """:func:`geodesic_distance` without gradient. How many rounds it takes hangs on values: one operator to torch."""
    b, n, s = is_seed.shape
    k = neighbours.shape[2]
    flat = _flat(neighbours)
    distance = torch.where(is_seed, 0.0, torch.inf)
    for i_round in range(n):
        reached = distance.reshape(b * n, s).index_select(0, flat).reshape(b, n, k, s)
        nearer = torch.minimum(distance, (reached + cost[..., None]).amin(2))
        # Asked now and then: a round more changes nothing, and costs little more than the question.
        if i_round % _ROUNDS_PER_CHECK == 0 and torch.equal(nearer, distance):
            break
        distance = nearer
    return distance


@relaxed.register_fake
def _(is_seed: Tensor, neighbours: Tensor, cost: Tensor) -> Tensor:
    del neighbours
    return cost.new_empty(is_seed.shape)


def _flat(neighbours: Tensor) -> Tensor:
    """(B, N, k) neighbours in each picture as (B * N * k,) rows of the batch."""
    b, n, _ = neighbours.shape
    return (neighbours + torch.arange(b, device=neighbours.device).view(-1, 1, 1) * n).flatten()


def _along_paths(distance: Tensor, is_seed: Tensor, flat: Tensor, cost: Tensor, *, n_doublings: int) -> Tensor:
    """The same distances, with a gradient: sums of step costs along the shortest paths, by pointer doubling."""
    b, n, s = distance.shape
    k = cost.shape[2]
    with torch.no_grad():
        reached = distance.reshape(b * n, s).index_select(0, flat).reshape(b, n, k, s)
        best = (reached + cost[..., None]).argmin(2)  # (B, N, S) which neighbour the path comes from
        before = (flat.reshape(b, n, k) % n).gather(2, best)
        is_end = is_seed | torch.isinf(distance)
        before = torch.where(is_end, torch.arange(n, device=cost.device).view(1, -1, 1), before)
    length = torch.where(is_end, 0.0, cost.gather(2, best))
    for _ in range(n_doublings):
        length = length + length.gather(1, before)
        before = before.gather(1, before)
    return torch.where(torch.isinf(distance), torch.inf, length)
