"""A density of gaze as a log-linear mix of maps and the centre bias: few weights, fitted by maximum likelihood.

ln p(place) = sum of weights x maps + prior exponent x ln prior - ln of what makes it sum to 1: a point process on a
grid, whose likelihood is concave in the weights, so that the fit is the one best (Kümmerer, Wallis and Bethge 2015
compare saliency models that way). Fit on some photographs, tell on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.dorsal.conspicuity import Conspicuity
from ciliary.cortex.ops.smoothing import gaussian_blur

_FLOOR = 0.05  # of a map of mean 1, under its logarithm: where nothing is, how little does not matter
BLURS_DEG = (0.4, 0.8, 2.0)
TRUNK_WIDTHS = (8, 24, 32)  # leading components of each stage of EfficientNet-Lite0, fine to coarse


@dataclass(frozen=True, eq=False)
class GazeMixture:
    """Weights of the maps.

    Attributes:
        weights: (K,) of each map.
        prior_exponent: of the prior: 1 takes it as it is, 0 leaves it out.
    """

    weights: Tensor
    prior_exponent: float

    def density(self, maps: Tensor, prior: Tensor) -> Tensor:
        """(N, h, w) that sums to 1 over each image, of maps (N, K, h, w) and a prior (N or 1, h, w) > 0."""
        drive = torch.einsum("nkhw,k->nhw", maps, self.weights) + self.prior_exponent * prior.log()
        density: Tensor = torch.softmax(drive.flatten(1), 1).unflatten(1, drive.shape[1:])
        return density


def log_maps(maps: Conspicuity, *, cells_per_deg: float, size: tuple[int, int]) -> Tensor:
    """The logarithm of each map at each of :data:`BLURS_DEG`, for a mix: (N, 12, h, w), of mean 0 and variance 1.

    Args:
        maps: made without a blur of their own, (N, 1, H, W).
        cells_per_deg: of these maps.
        size: (h, w) of the answer, not above (H, W).
    """
    stacked = torch.cat(list(maps), 1)
    levels = []
    for blur_deg in BLURS_DEG:
        blurred = gaussian_blur(stacked, stacked.new_full((len(stacked),), blur_deg * cells_per_deg))
        blurred = blurred / blurred.mean((2, 3), keepdim=True).clamp_min(1e-10)
        levels.append(torch.log(blurred + _FLOOR))
    found = F.interpolate(torch.cat(levels, 1), size=size, mode="bilinear", antialias=True)
    found = found - found.mean((2, 3), keepdim=True)
    return found / found.std((2, 3), keepdim=True).clamp_min(1e-6)


def trunk_maps(trunk: Sequence[Tensor], *, size: tuple[int, int]) -> Tensor:
    """Leading components of a backbone's stages, for a mix: (N, sum of :data:`TRUNK_WIDTHS`, h, w).

    Args:
        trunk: maps (N, n, h', w') of each stage, fine to coarse, :meth:`~ciliary.cortex.cues.trunk.Trunk.maps`: of unit
            variance over the photographs they were fitted on.
        size: (h, w) of the answer.
    """
    parts = [
        F.interpolate(x[:, :width], size=size, mode="bilinear", antialias=True)
        for x, width in zip(trunk, TRUNK_WIDTHS, strict=True)
    ]
    return torch.cat(parts, 1)


def fit_mixture(
    maps: Tensor, counts: Tensor, prior: Tensor, *, l2: float = 1e-3, n_iterations: int = 60
) -> GazeMixture:
    """The mixture under which people's fixations are likeliest, each image counting the same.

    Args:
        maps: (N, K, h, w), each of about unit variance, on any device.
        counts: (N, h, w) fixations in each cell, some in each image.
        prior: (N or 1, h, w) > 0, such as the centre bias of other images.
        l2: ridge of the weights, >= 0; choose it inside the photographs that are fitted on.
        n_iterations: of L-BFGS, at most.

    Raises:
        ValueError: shapes that do not go together, an image without fixations, or a prior that is 0 somewhere.
    """
    n, k, *size = maps.shape
    if counts.shape != (n, *size) or prior.shape[1:] != counts.shape[1:]:
        raise ValueError(
            f"expected maps (N, K, h, w), counts (N, h, w) and a prior (N or 1, h, w), got {tuple(maps.shape)}, "
            f"{tuple(counts.shape)} and {tuple(prior.shape)}"
        )
    total = counts.flatten(1).sum(1)
    if bool((total <= 0).any()) or bool((prior <= 0).any()):
        raise ValueError("expected fixations in each image and a prior above 0; leave empty images out")
    share = (counts.flatten(1) / total[:, None]).to(maps)
    log_prior = prior.log().flatten(1).to(maps)
    flat = maps.flatten(2)
    weights, exponent = maps.new_zeros(k, requires_grad=True), maps.new_ones(1, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, exponent], max_iter=n_iterations, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimiser.zero_grad()
        drive = torch.einsum("nkp,k->np", flat, weights) + exponent * log_prior
        loss = -(share * torch.log_softmax(drive, 1)).sum(1).mean() + l2 * weights.square().sum()
        loss.backward()
        return float(loss.detach())

    optimiser.step(closure)
    return GazeMixture(weights.detach(), float(exponent.detach()))
