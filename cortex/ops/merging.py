"""Bottom-up merging: the cost of a merge, patches into groups (a choice), and slots into a tree that is read softly.

Ward-like linkage on a graph. Pairs that are each other's nearest neighbour merge in the same round: for reducible
linkages this gives the tree that merging one pair at a time gives (Murtagh 1983), in a dozen rounds, not hundreds.
The rounds do not come in the order of the costs: the tree is built first, and cut then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops.kmeans import squared_distance

# (sum of cues (B, M, C), size (B, M), border length (B, M, M), border sum (B, M, M)) -> cost (B, M, M); in merge_tree
# border sums may be several, (B, M, M, F), if the linkage takes them (``pair_cost.dense_linkage`` does)
Linkage = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def merge_patches(
    total: Tensor, size: Tensor, length: Tensor, strength: Tensor, *, linkage: Linkage, n_clusters: int
) -> Tensor:
    """Merge adjacent patches, the cheapest pair first, until ``n_clusters`` are left in each sample.

    Args:
        total: (B, N, C) sum of the cues in each patch.
        size: (B, N) its mass.
        length: (B, N, N) length of the shared border; 0 where two patches do not touch.
        strength: (B, N, N) sum of contour strength along it.
        linkage: cost of merging each pair; only touching pairs are looked at.

    Returns:
        (B, N) int64, the cluster 0 .. n_clusters-1 of each patch (more, if that many parts do not touch).
        A choice, without gradient; its uses have one.
    """
    with torch.no_grad():
        parent, joined_at, joined_in = _tree(
            total, size, length, strength, linkage, n_merges=size.shape[1] - n_clusters
        )
        return _cut(parent, joined_at, joined_in, n_clusters)


@torch.library.custom_op("ciliary::merge_by_contrast", mutates_args=())
def merge_by_contrast(
    total: Tensor,
    size: Tensor,
    length: Tensor,
    strength: Tensor,
    exponent: Tensor,
    contour_weight: Tensor,
    unit_size: float,
    n_clusters: int,
) -> Tensor:
    """:func:`merge_patches` by :func:`contrast_linkage`: its rounds hang on values: one operator to torch."""
    linkage = contrast_linkage(exponent=exponent, contour_weight=contour_weight, unit_size=unit_size)
    return merge_patches(total, size, length, strength, linkage=linkage, n_clusters=n_clusters)


@merge_by_contrast.register_fake
def _(total: Tensor, size: Tensor, *unread: Tensor | float) -> Tensor:
    del total, unread
    return torch.empty_like(size, dtype=torch.int64)


def _tree(
    total: Tensor, size: Tensor, length: Tensor, strength: Tensor, linkage: Linkage, *, n_merges: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each patch, the group that the group of its name joined, at what cost, and in which round: (B, N) each.

    A group goes by the name of its first patch; what never joined another has cost inf. As much of the
    tree as holds its ``n_merges`` cheapest merges.
    """
    b, n = size.shape
    name = torch.arange(n, device=size.device).expand(b, n).clone()
    # One column to spare, for what does not move.
    parent = torch.arange(n + 1, device=size.device).expand(b, n + 1).clone()
    joined_at = size.new_full((b, n + 1), torch.inf)
    joined_in = torch.zeros_like(parent)
    height = torch.zeros_like(size)
    alive = torch.ones_like(size, dtype=torch.bool)
    for i_round in range(n):
        m = size.shape[1]
        cost = linkage(total, size, length, strength)
        best, partner = torch.where(length > 0, cost, torch.inf).min(2)
        index = torch.arange(m, device=size.device).expand(b, m)
        # Done once the merges wanted are all cheaper than any left; each sample by itself, whatever is beside it.
        is_done = (joined_at[:, :n] <= best.amin(1, keepdim=True)).sum(1, keepdim=True) >= n_merges
        is_mutual = (partner.gather(1, partner) == index) & torch.isfinite(best) & ~is_done
        if not is_mutual.any():
            break  # all are done, or have only groups that do not touch
        # A tree on a graph may fold back (an inversion): a merge costs at least what the merges inside it did.
        paid = torch.maximum(best, height)
        paid = torch.where(is_mutual, torch.maximum(paid, paid.gather(1, partner)), height)
        goes = is_mutual & (partner < index)
        place = torch.where(goes, name, n)
        parent.scatter_(1, place, name.gather(1, partner))
        joined_at.scatter_(1, place, paid)
        joined_in.scatter_(1, place, i_round)

        is_root = alive & ~goes
        new_index = (is_root.cumsum(1) - 1).clamp_min(0)
        to = new_index.gather(1, torch.where(goes, partner, index))
        m = int(is_root.sum(1).max())
        total = _sum_rows(total, to, m)
        size = size.new_zeros(b, m).scatter_add(1, to, size)
        length, strength = (_sum_both(x, to, m) for x in (length, strength))
        place = torch.where(is_root, new_index, m)
        name = name.new_full((b, m + 1), n).scatter_(1, place, name)[:, :m]
        height = height.new_zeros(b, m + 1).scatter_(1, place, paid)[:, :m]
        alive = alive.new_zeros(b, m + 1).scatter_(1, place, is_root)[:, :m]
    return parent[:, :n], joined_at[:, :n], joined_in[:, :n]


def _cut(parent: Tensor, joined_at: Tensor, joined_in: Tensor, n_clusters: int) -> Tensor:
    """The cluster of each patch (B, N) when only the cheapest merges take place."""
    b, n = parent.shape
    index = torch.arange(n, device=parent.device).expand(b, n)
    # By cost, and where that is equal by round: no merge without those inside it.
    order = joined_in.argsort(dim=1, stable=True)
    order = order.gather(1, joined_at.gather(1, order).argsort(dim=1, stable=True))
    rank = torch.empty_like(parent).scatter_(1, order, index)
    parent = torch.where((rank < n - n_clusters) & torch.isfinite(joined_at), parent, index)
    for _ in range(n.bit_length()):
        parent = parent.gather(1, parent)
    return ((parent == index).cumsum(1) - 1).gather(1, parent)


def _sum_rows(x: Tensor, to: Tensor, m: int) -> Tensor:
    b, n, c = x.shape
    # Whole rows at a time: several times faster than scattering single entries.
    flat = (to + m * torch.arange(b, device=to.device)[:, None]).flatten()
    return x.new_zeros(b * m, c).index_add_(0, flat, x.reshape(b * n, c)).reshape(b, m, c)


def _sum_both(x: Tensor, to: Tensor, m: int) -> Tensor:
    x = _sum_rows(x, to, m).transpose(1, 2)
    x = _sum_rows(x.contiguous(), to, m).transpose(1, 2)
    return x * (1 - torch.eye(m, device=x.device))


def contrast_linkage(*, exponent: Tensor, contour_weight: Tensor, unit_size: float) -> Linkage:
    """Linkage (n_i n_j / (n_i + n_j))^exponent * (||m_i - m_j||^2 + contour_weight * c_ij^2).

    With exponent 1 and no contour this is Ward's (1963); with 0, centroid linkage. c_ij is the mean contour strength
    along the shared border, n the sizes in units of ``unit_size`` pixels. ``exponent`` and ``contour_weight`` are (B,).
    """

    def cost(total: Tensor, size: Tensor, length: Tensor, strength: Tensor) -> Tensor:
        mean = total / size.clamp_min(1e-6)[..., None]
        n = (size / unit_size).clamp_min(1e-6)
        harmonic = n[:, :, None] * n[:, None, :] / (n[:, :, None] + n[:, None, :])
        contour = strength / length.clamp_min(1e-6)
        unlike = squared_distance(mean, mean) + contour_weight.view(-1, 1, 1) * contour**2
        return harmonic ** exponent.view(-1, 1, 1) * unlike

    return cost


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
            :func:`ciliary.cortex.ops.merging.merge_patches`; strength may be (B, S, S, F), of several fields.
        linkage: cost (B, S, S) of merging each pair.
    """
    b, s = size.shape
    batch = torch.arange(b, device=size.device)
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


def _join(
    total: Tensor,
    size: Tensor,
    length: Tensor,
    strength: Tensor,
    batch: Tensor,
    first: Tensor,
    second: Tensor,
    is_real: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Add row (and column) ``second`` to ``first`` and empty it, where ``is_real``."""
    s = size.shape[1]
    eye = torch.eye(s, device=size.device)
    take = eye[second] * is_real[:, None]  # (B, S) selects `second`
    give = eye[first]
    size_two = (size * take).sum(1, keepdim=True)
    size = size + give * size_two - take * size_two
    total_two = total[batch, second][:, None] * is_real[:, None, None]
    total = total + (give - take)[..., None] * total_two
    out = []
    for old in (length, strength):
        n = old.ndim - 3  # of several fields: one dimension more
        move, real = _unsqueezed(give - take, n), _unsqueezed(is_real[:, None], n)
        row = old[batch, second] * real  # (B, S)
        x = old + move[:, :, None] * row[:, None]
        # Columns after rows, with the row just updated, keeps the matrix symmetric.
        column = x[batch, :, second] * real
        x = x + column[:, :, None] * move[:, None]
        out.append(x * _unsqueezed(1 - eye, n))
    return total, size, out[0], out[1]


def _unsqueezed(x: Tensor, n: int) -> Tensor:
    """With ``n`` dimensions of length 1 more at the end."""
    return x.reshape(x.shape + (1,) * n)


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
