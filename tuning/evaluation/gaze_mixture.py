"""Fitting a :class:`~ciliary.cortex.dorsal.mixture.GazeMixture`: few weights, by maximum likelihood.

A log-linear density is a point process on a grid, whose likelihood is concave in the weights, so that the fit is the
one best (Kümmerer, Wallis and Bethge 2015 compare saliency models that way). Fit on some photographs, tell on others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.dorsal.mixture import GazeMixture


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
