"""Whitening of patches: every direction of like variance, but for those in which there is little but noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NOISE = 0.005  # of the largest variance; at the retina's defaults the gain falls beyond a wave of some 3 px


@dataclass(frozen=True, eq=False)
class Whitening:
    """A symmetric map of patches, as fitted by :func:`fit_whitening`; D numbers a patch."""

    mean: Tensor  # (D,)
    matrix: Tensor  # (D, D) symmetric
    inverse: Tensor  # (D, D) symmetric; of directions that were not cut off

    def __call__(self, patches: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        return (patches - self.mean) @ self.matrix


def fit_whitening(patches: Tensor, *, noise: float = NOISE) -> Whitening:
    """Zero-phase whitening (Bell & Sejnowski 1997) with a low-pass, as of the retina (Atick & Redlich 1992).

    A direction of variance v is multiplied by sqrt(v) / (v + n): whitening, 1 / sqrt(v), where the signal is above the
    noise of variance n, and little where it is below; that is the high frequencies, since photographs have least there.

    Args:
        patches: (N, D), N well above D.
        noise: n, in parts of the largest variance; 0 whitens wholly.
    """
    mean = patches.mean(0)
    centred = (patches - mean).double()
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(patches))
    variance = variance.clamp_min(1e-9 * variance[-1])
    gain = variance.sqrt() / (variance + noise * variance[-1])
    back = torch.where(gain > 1e-2 * gain.max(), 1 / gain, 0.0)
    matrix, inverse = ((axes * g @ axes.T).to(patches.dtype) for g in (gain, back))
    return Whitening(mean, matrix, inverse)
