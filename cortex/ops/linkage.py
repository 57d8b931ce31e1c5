"""The cost of merging two neighbours: how unlike they are, how strong the contour between them, how large they are."""

from __future__ import annotations

from torch import Tensor

from ciliary.cortex.ops.kmeans import squared_distance
from ciliary.cortex.ops.tree import Linkage


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
