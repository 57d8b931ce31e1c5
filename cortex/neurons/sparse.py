"""Sparse coding by neurons that inhibit each other, and their dictionary by a local rule of Hebb's kind.

Rozell, Johnson, Baraniuk & Olshausen 2008 (locally competitive algorithm): tau du/dt = D x - u - (D D^T - I) a with
a = T(u), the soft threshold: each unit is driven by what it is like, and inhibited by those that are active and like
it. The fixed point minimises |x - a D|^2 / 2 + sum_k threshold_k |a_k|, which is the lasso. Dictionary: Olshausen &
Field 1996: what the code leaves over, times the unit's own activity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.neurons.homeostasis import correction


def soft_threshold(u: Tensor, threshold: Tensor) -> Tensor:
    """u less the threshold towards 0, and 0 within it."""
    return u - torch.minimum(torch.maximum(u, -threshold), threshold)


def lca(x: Tensor, dictionary: Tensor, threshold: Tensor, *, n_steps: int = 40, rate: float = 0.15) -> Tensor:
    """Sparse codes (B, K) of (B, D) after ``n_steps`` of competition. A code below 0 is a unit of opposite sign.

    Args:
        x: (B, D).
        dictionary: (K, D), rows of length 1.
        threshold: (K,) >= 0, of each unit.
        n_steps: Euler steps.
        rate: step over the membrane's time constant, in (0, 1).
    """
    drive = x @ dictionary.T
    inhibition = dictionary @ dictionary.T
    inhibition = inhibition - torch.diag(inhibition.diagonal())
    u = torch.zeros_like(drive)
    for _ in range(n_steps):
        u = torch.lerp(u, drive - soft_threshold(u, threshold) @ inhibition, rate)
    return soft_threshold(u, threshold)


def dictionary_change(x: Tensor, code: Tensor, dictionary: Tensor) -> Tensor:
    """Change of the dictionary (K, D) for a rate of 1: activity times what is left over, the mean over the batch."""
    return code.T @ (x - code @ dictionary) / len(x)


def unit_length(dictionary: Tensor) -> Tensor:
    """(K, D) with rows of length 1."""
    return torch.nn.functional.normalize(dictionary, dim=1)


def kept_threshold(threshold: Tensor, code: Tensor, rate: Tensor | float, *, gain: float) -> Tensor:
    """Thresholds (K,) moved so that each unit is active in the share ``rate`` of the batch (B, K): homeostasis.

    In logarithms, so that a threshold stays above 0: the error of a unit's rate, in parts of the target, times the
    gain.
    """
    active = (code != 0).to(code.dtype).mean(0)
    return threshold * torch.exp(correction(active, rate, gain=gain, spread=rate))
