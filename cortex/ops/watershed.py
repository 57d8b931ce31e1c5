"""Basins of a height field: the watershed of a whole batch by pointers, without a queue.

Each pixel points to the lowest of its neighbours, and pointers are followed until they rest (the watershed of
steepest descent: Bieniek & Moga 2000; Cousty et al. 2009 call it a drop of water's way). Basins that are not deep
flow over into the neighbour behind their lowest pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

# One of each two opposite neighbours, as (dy, dx).
_HALF_OF_EIGHT = ((0, 1), (1, 0), (1, 1), (1, -1))


def watershed(height: Tensor, *, min_depth: float = 0.0) -> Tensor:
    """The basin of each pixel.

    Args:
        height: (B, H, W), finite; compared as float32.
        min_depth: a basin whose lowest pass to a deeper one lies no more than this above its own floor is part of that
            one. With 0 these are the flat places only: all of a plateau drains to one side.

    Returns:
        (B, H, W) int64, 0 .. n_b-1 in the raster order of the minima of each picture. A choice, without gradient.
    """
    with torch.no_grad():
        b, h, w = height.shape
        height = height.detach().float()
        root = _follow(_steepest(height))
        index = torch.arange(b * h * w, device=height.device)
        at = (root == index).nonzero()[:, 0]  # the pixel of each minimum, over the batch
        label = torch.empty_like(root).index_copy_(0, at, index[: len(at)])
        label = label.index_select(0, root).reshape(b, h, w)  # several times faster than label[root]
        to = _overflow(label, height, height.flatten()[at], min_depth)
        is_kept = to == index[: len(at)]
        number = is_kept.cumsum(0) - 1
        ends = torch.zeros(b, dtype=torch.int64, device=height.device).index_add_(0, at // (h * w), is_kept.long())
        before = ends.cumsum(0) - ends
        return number[to].index_select(0, label.flatten()).reshape(b, h, w) - before[:, None, None]


def ordered_key(value: Tensor, low: Tensor) -> Tensor:
    """int64 keys in the order of (float32 ``value``, ``low``), for ``low`` in 0 .. 2^31-1: the least has both."""
    # -0.0 + 0.0 is 0.0: one zero. The bits of negative floats run backwards.
    bits = (value + 0.0).view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (bits.long() << 32) | low


def low_of(key: Tensor) -> Tensor:
    """``low`` of :func:`ordered_key`."""
    return key & 0x7FFFFFFF


def _steepest(height: Tensor) -> Tensor:
    """(B*H*W,) int64: the lowest among each pixel and its eight neighbours, of equals the first."""
    b, h, w = height.shape
    key = ordered_key(height, torch.arange(b * h * w, device=height.device).view(b, h, w))
    for dim in (1, 2):  # the least of a square is the least of its rows' least
        n = key.shape[dim]
        least = key.clone()
        for here, there in ((0, 1), (1, 0)):
            view = least.narrow(dim, here, n - 1)
            torch.minimum(view, key.narrow(dim, there, n - 1), out=view)
        key = least
    return low_of(key).flatten()


def _follow(to: Tensor) -> Tensor:
    """Where pointers (n,) lead in the end."""
    while True:
        further = to.index_select(0, to)
        if torch.equal(further, to):
            return to
        to = further


def _overflow(label: Tensor, height: Tensor, floor: Tensor, min_depth: float) -> Tensor:
    """The basin (n,) each basin is part of at last; ``label`` (B, H, W) and ``floor`` (n,) over the batch."""
    n = len(floor)
    index = torch.arange(n, device=label.device)
    one, two, rim = _passes(label, height, floor + min_depth)
    to = index
    while len(one):
        # A basin flows over into a deeper one, of equals into the first: never in a circle.
        above, below = floor.index_select(0, one), floor.index_select(0, two)
        is_down = (below < above) | ((below == above) & (two < one))
        goes = is_down & (rim <= above + min_depth)
        if not goes.any():
            break
        lowest = torch.full((n,), torch.iinfo(torch.int64).max, device=label.device)
        lowest.scatter_reduce_(0, one[goes], ordered_key(rim[goes], two[goes]), "amin")
        step = _follow(torch.where(lowest < torch.iinfo(torch.int64).max, low_of(lowest), index))
        to = step.index_select(0, to)
        one, two = step.index_select(0, one), step.index_select(0, two)
        is_border = one != two
        one, two, rim = one[is_border], two[is_border], rim[is_border]
    return to


def _passes(label: Tensor, height: Tensor, brim: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Basins on both sides of each pair of neighbouring pixels, both ways, and the height between them.

    Only pairs over which one of the two can ever flow: a basin's floor, and with it the brim (n,), only falls when
    others join it, and those that do are as low.
    """
    h, w = label.shape[1:]
    # Water flows over from a pixel that is no higher than the brim of its own basin; there are few of these.
    is_low = height <= brim.index_select(0, label.flatten()).reshape(label.shape)
    ones, twos, rims = [], [], []
    for dy, dx in _HALF_OF_EIGHT:
        left, right = max(0, -dx), max(0, dx)
        here = (slice(None), slice(0, h - dy), slice(left, w - right))
        there = (slice(None), slice(dy, h), slice(left + dx, w - right + dx))
        border = ((is_low[here] | is_low[there]) & (label[here] != label[there])).flatten().nonzero()[:, 0]
        one, two = (label[side].flatten().index_select(0, border) for side in (here, there))
        rim = torch.maximum(height[here], height[there]).flatten().index_select(0, border)
        can = rim <= torch.maximum(brim.index_select(0, one), brim.index_select(0, two))
        one, two, rim = one[can], two[can], rim[can]
        ones += [one, two]
        twos += [two, one]
        rims += [rim, rim]
    return torch.cat(ones), torch.cat(twos), torch.cat(rims)
