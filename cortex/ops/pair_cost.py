"""What it costs to merge two regions: one function for lists of edges (many regions) and for tables (few)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops import kmeans


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


def contrast_cost(*, exponent: Tensor, contour_weight: Tensor, unit_size: float) -> PairCost:
    """Cost (n_i n_j / (n_i + n_j))^exponent * (||m_i - m_j||^2 + contour_weight * c_ij^2).

    With exponent 1 and no contour this is Ward's (1963); with 0, centroid linkage. c_ij is the mean contour strength
    along the shared border, n the sizes in units of ``unit_size`` pixels. ``exponent`` and ``contour_weight`` are (B,).
    """

    def cost(pairs: PairInputs) -> Tensor:
        n_i, n_j = ((size / unit_size).clamp_min(1e-6) for size in (pairs.size_i, pairs.size_j))
        unlike = pairs.squared_distance() + contour_weight[pairs.sample] * pairs.mean_along()[..., 0].square()
        return (n_i * n_j / (n_i + n_j)) ** exponent[pairs.sample] * unlike

    return cost


def cost_table(cost: PairCost, total: Tensor, size: Tensor, length: Tensor, sums: Tensor) -> Tensor:
    """The cost of merging each two of few regions, (B, M, M).

    Args:
        cost: of a pair.
        total: (B, M, C) sum of the cues in each region; size: (B, M) its mass.
        length: (B, M, M) of the borders; sums: (B, M, M, F) of fields along them.
    """
    mean = total / size.clamp_min(1e-6)[..., None]
    sample = torch.arange(len(size), device=size.device)[:, None, None]
    return cost(PairInputs(mean[:, :, None], mean[:, None], size[:, :, None], size[:, None], length, sums, sample))
