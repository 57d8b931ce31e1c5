"""What a depth head is taught by: log depth up to a term of each image's own, and its steps.

Log depth, not disparity: both kinds of data know depth up to a factor and none up to a shift of disparity, and a factor
is a term in log depth, which these losses do not see. MiDaS (Ranftl et al. 2020) needs the shift for stereo films of
unknown geometry, at the price of not knowing how deep anything is.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPS = 1e-6


def scale_invariant_loss(predicted: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Eigen, Puhrsch & Fergus 2014 with lambda = 1: the variance of the error of log depth over the known cells.

    Args:
        predicted, truth: (B, 1, h, w) log depth.
        known: (B, 1, h, w) bool or 0 and 1.

    Returns:
        (B,); 0 at the truth times any factor, and where nothing is known.
    """
    k = known.to(predicted.dtype)
    n = k.sum((1, 2, 3)).clamp_min(1)
    error = (predicted - truth) * k
    mean = error.sum((1, 2, 3)) / n
    return ((error - mean.view(-1, 1, 1, 1)) * k).square().sum((1, 2, 3)) / n


def gradient_loss(predicted: Tensor, truth: Tensor, known: Tensor, *, n_scales: int = 3) -> Tensor:
    """Mean absolute error of the steps between known neighbours, at every cell, every second, every fourth.

    Multi-scale gradient matching (Li & Snavely 2018): edges where the edges are, planes where the planes are.
    Arguments and answer as :func:`scale_invariant_loss`; the mean over scales.
    """
    k = known.to(predicted.dtype)
    error = (predicted - truth) * k
    total = predicted.new_zeros(len(predicted))
    for i in range(n_scales):
        e, m = error[..., :: 2**i, :: 2**i], k[..., :: 2**i, :: 2**i]
        both_x, both_y = m[..., 1:] * m[..., :-1], m[..., 1:, :] * m[..., :-1, :]
        steps_x = ((e[..., 1:] - e[..., :-1]).abs() * both_x).sum((1, 2, 3))
        steps_y = ((e[..., 1:, :] - e[..., :-1, :]).abs() * both_y).sum((1, 2, 3))
        n = both_x.sum((1, 2, 3)) + both_y.sum((1, 2, 3))
        total = total + (steps_x + steps_y) / n.clamp_min(_EPS)
    return total / n_scales


def depth_loss(predicted: Tensor, truth: Tensor, known: Tensor, *, gradient_weight: float = 0.5) -> Tensor:
    """Both, the first as a root so that they have one unit (log depth); the mean over images, a scalar."""
    spread = torch.sqrt(scale_invariant_loss(predicted, truth, known) + _EPS)
    return (spread + gradient_weight * gradient_loss(predicted, truth, known)).mean()
