"""Would the map look the same if what it explains knew nothing? Weights shuffled, and how alike two maps are.

Adebayo et al. 2018: an attribution that stays when a network's weights are randomised shows the image, not the network.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor, nn

_TOP = 0.99  # quantile of a map's size that counts as 1 when structure is compared


@torch.no_grad()
def shuffle_weights(module: nn.Module, *, seed: int = 0) -> nn.Module:
    """A copy in which the entries of each parameter have changed places: as large as before, and about nothing."""
    rng = torch.Generator().manual_seed(seed)
    shuffled = copy.deepcopy(module)
    for weight in shuffled.parameters():
        order = torch.randperm(weight.numel(), generator=rng).to(weight.device)
        weight.copy_(weight.flatten()[order].view_as(weight))
    return shuffled


@dataclass(frozen=True)
class Likeness:
    """How alike the sizes of two maps are; both 1 for the same map."""

    rank: float  # Spearman's correlation over pixels, 0 for nothing in common
    structure: float  # SSIM (Wang et al. 2004)


def likeness(one: Tensor, other: Tensor) -> Likeness:
    """Of two maps (H, W), whatever their signs; nan where one of them is constant."""
    sizes = [np.abs(m.detach().cpu().double().numpy()) for m in (one, other)]
    if any(np.ptp(size) == 0 for size in sizes):
        return Likeness(float("nan"), float("nan"))
    scaled = [np.clip(size / max(np.quantile(size, _TOP), 1e-30), 0, 1) for size in sizes]
    rank = spearmanr(sizes[0].ravel(), sizes[1].ravel()).statistic
    return Likeness(float(rank), float(structural_similarity(*scaled, data_range=1.0)))
