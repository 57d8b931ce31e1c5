"""Gini index of sparsity (Hurley & Rickard 2009): 0 = all equal, 1 - 1/N = one alone."""

from __future__ import annotations

import torch
from torch import Tensor


def gini(x: Tensor, dim: int = -1, *, keepdim: bool = False) -> Tensor:
    """Gini index of the magnitudes |x| along one axis.

    With |x| in rising order, x_1 <= ... <= x_N: ``G = sum_k (2k - N - 1) x_k / (N sum_k x_k)``, which is
    ``1 - 2 sum_k (x_k / |x|_1) (N - k + 1/2) / N``. Null values: normal noise 0.414, rectified normal noise 0.707.

    Args:
        x: any shape; use ``x.flatten(1)`` for one value per sample. NaN in, NaN out.
        dim: the axis to measure along.
        keepdim: keep that axis with size 1.

    Returns:
        ``x`` without ``dim``, in [0, 1 - 1/N]; 0 where all is zero. Scale invariant; differentiable almost everywhere.
    """
    magnitude = x.abs().sort(dim=dim).values.movedim(dim, -1)
    n = magnitude.shape[-1]
    rank = torch.arange(1 - n, n, 2, dtype=magnitude.dtype, device=magnitude.device)
    total = magnitude.sum(-1)
    # divided before summing: neither tiny nor huge activations leave the range of float32
    share = magnitude / torch.where(total > 0, total, torch.ones_like(total))[..., None]
    index = (share * rank).sum(-1) / n
    return index.unsqueeze(dim) if keepdim else index
