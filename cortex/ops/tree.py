"""Bottom-up merging of adjacent patches, the whole batch at once.

Ward-like linkage on a graph. Pairs that are each other's nearest neighbour merge in the same round: for reducible
linkages this gives the tree that merging one pair at a time gives (Murtagh 1983), in a dozen rounds, not hundreds.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# (sum of cues (B, M, C), size (B, M), border length (B, M, M), border sum (B, M, M)) -> cost (B, M, M)
Linkage = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def merge_patches(
    total: Tensor, size: Tensor, length: Tensor, strength: Tensor, *, linkage: Linkage, n_clusters: int
) -> Tensor:
    """Merge adjacent patches until ``n_clusters`` are left in each sample.

    Args:
        total: (B, N, C) sum of the cues in each patch.
        size: (B, N) its mass.
        length: (B, N, N) length of the shared border; 0 where two patches do not touch.
        strength: (B, N, N) sum of contour strength along it.
        linkage: cost of merging each pair; only touching pairs are looked at.

    Returns:
        (B, N) int64, the cluster 0 .. n_clusters-1 of each patch. A choice, without gradient; its uses have one.
    """
    with torch.no_grad():
        b, n = size.shape
        cluster = torch.arange(n).expand(b, n).clone()
        while size.shape[1] > n_clusters:
            m = size.shape[1]
            alive = size > 0
            n_alive = alive.sum(1)
            cost = linkage(total, size, length, strength)
            cost = torch.where(length > 0, cost, torch.inf)
            best, partner = cost.min(2)
            index = torch.arange(m).expand(b, m)
            is_mutual = (partner.gather(1, partner) == index) & (index < partner) & torch.isfinite(best)
            # No more merges than are still wanted: the cheapest go first.
            rank = torch.where(is_mutual, best, torch.inf).argsort(1).argsort(1)
            merges = is_mutual & (rank < (n_alive - n_clusters)[:, None])
            if not merges.any():
                break  # an image whose parts do not touch: cannot happen on a grid, but never loop for ever
            was_taken = merges.gather(1, partner) & (partner.gather(1, partner) == index) & (partner < index)
            target = torch.where(was_taken, partner, index)
            is_root = alive & (target == index)
            new_index = (is_root.cumsum(1) - 1).clamp_min(0)
            to = new_index.gather(1, target)
            m_new = int(is_root.sum(1).max())
            cluster = to.gather(1, cluster)
            total = _sum_rows(total, to, m_new)
            size = size.new_zeros(b, m_new).scatter_add(1, to, size)
            length, strength = (_sum_both(x, to, m_new) for x in (length, strength))
        return cluster


def _sum_rows(x: Tensor, to: Tensor, m: int) -> Tensor:
    b, n, c = x.shape
    # Whole rows at a time: several times faster than scattering single entries.
    flat = (to + m * torch.arange(b)[:, None]).flatten()
    return x.new_zeros(b * m, c).index_add_(0, flat, x.reshape(b * n, c)).reshape(b, m, c)


def _sum_both(x: Tensor, to: Tensor, m: int) -> Tensor:
    x = _sum_rows(x, to, m).transpose(1, 2)
    x = _sum_rows(x.contiguous(), to, m).transpose(1, 2)
    return x * (1 - torch.eye(m))
