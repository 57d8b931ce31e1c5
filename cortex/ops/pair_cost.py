"""What it costs to merge two regions: one function for lists of edges (many regions) and for tables (few)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops import kmeans
from ciliary.cortex.ops.merging import Linkage


@dataclass(frozen=True)
class PairInputs:
    """Pairs of regions; (...) is (E,) for edges of a graph and (B, M, M) for a table, sides broadcast to it."""

    mean_i: Tensor  # (..., C) mean cues of one side
    mean_j: Tensor  # (..., C) and of the other
    size_i: Tensor  # (...) mass
    size_j: Tensor  # (...)
    length: Tensor  # (...) of the border; 0 in a table where two do not touch, which is not looked at
    sums: Tensor  # (..., F) sums of fields along it
    sample: Tensor  # (...) int64, the picture: parameter[pairs.sample] brings a (B,) parameter to its pairs

    def squared_distance(self, channels: slice = slice(None)) -> Tensor:
        """||mean_i - mean_j||^2 over some channels, (...); of a table by one product, without its (B, M, M, C)."""
        one, other = self.mean_i[..., channels], self.mean_j[..., channels]
        if one.ndim == 4:
            return kmeans.squared_distance(one[:, :, 0], other[:, 0])
        return ((one - other) ** 2).sum(-1)

    def mean_along(self) -> Tensor:
        """Means of the fields along the border, (..., F)."""
        return self.sums / self.length.clamp_min(1e-6)[..., None]


# The cost (...) of merging each pair; a merge is never cheaper than those inside it, whatever this says.
PairCost = Callable[[PairInputs], Tensor]


def strength_cost(pairs: PairInputs) -> Tensor:
    """Mean of the first field along the border: average linkage on contours (Arbelaez et al. 2011, OWT-UCM)."""
    return pairs.mean_along()[..., 0]


def dense_linkage(cost: PairCost) -> Linkage:
    """A cost of pairs for :func:`ciliary.cortex.ops.merging.merge_tree`: strengths (B, M, M) or (B, M, M, F)."""

    def linkage(total: Tensor, size: Tensor, length: Tensor, strength: Tensor) -> Tensor:
        mean = total / size.clamp_min(1e-6)[..., None]
        sums = strength if strength.ndim == 4 else strength[..., None]
        sample = torch.arange(len(size), device=size.device)[:, None, None]
        return cost(PairInputs(mean[:, :, None], mean[:, None], size[:, :, None], size[:, None], length, sums, sample))

    return linkage
