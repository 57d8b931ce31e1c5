"""How far M1 trusts an edge of a mosaic: not where its scale was carried on one side of it and lost on the other.

An eye's mosaic is fine where it has looked and coarse elsewhere. Where acuity changes, detail ends; that is no contour
of the scene, but a filter that reaches over it finds one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ciliary.cortex.ops.smoothing import gaussian_blur

# A lattice carries no wave shorter than two samples (the sampling theorem); the exponent is how steeply it falls.
_EXPONENT = 4.0
_FAR_PX = 1e6  # in place of infinity
_MOST = 1e4  # of the inverse of the share that is carried: where nothing was seen it would be infinite


def carried_share(spacing_px: Tensor, wavelength_px: Tensor) -> Tensor:
    """Share of a wave's amplitude that samples so far apart carry, in (0, 1): half of it at two samples a wave.

    A Butterworth fall about the Nyquist limit: 1 / (1 + (2 spacing / wavelength)^4).

    Args:
        spacing_px: (B, 1, H, W) >= 0; inf where nothing was seen.
        wavelength_px: (B,) > 0.
    """
    return 1 / _inverse(spacing_px, wavelength_px)


def acuity_discount(spacing_px: Tensor, wavelength_px: Tensor, bandwidth_octaves: Tensor) -> Tensor:
    """How far energy of one scale counts at each place, (B, 1, H, W) in (0, 1]: 1 where acuity is the same around.

    Harmonic over arithmetic mean of :func:`carried_share` under the envelope of the filter. The two are equal where all
    that the filter sees carries the scale alike, well or badly, and far apart where part of it has lost the scale.

    Args:
        spacing_px: (B, 1, H, W) of the samples that each place was seen with, in pixels; inf where none.
        wavelength_px: (B,) of the filter.
        bandwidth_octaves: (B,) of the filter, half-height.
    """
    inverse = _inverse(spacing_px, wavelength_px)
    sigma_px = envelope_sigma_px(wavelength_px, bandwidth_octaves)
    product = gaussian_blur(inverse, sigma_px) * gaussian_blur(1 / inverse, sigma_px)
    return 1 / product.clamp_min(1.0)


def envelope_sigma_px(wavelength_px: Tensor, bandwidth_octaves: Tensor) -> Tensor:
    """Standard deviation of the Gaussian envelope of a filter of this bandwidth, (B,) (Daugman 1985; Field 1987).

    wavelength / pi x sqrt(ln 2 / 2) x (2^b + 1) / (2^b - 1).
    """
    ratio = 2.0**bandwidth_octaves
    return wavelength_px * (math.sqrt(math.log(2) / 2) / math.pi) * (ratio + 1) / (ratio - 1)


def _inverse(spacing_px: Tensor, wavelength_px: Tensor) -> Tensor:
    # Not the power of an infinity: it has no gradient.
    waves = 2 * spacing_px.clamp_max(_FAR_PX) / wavelength_px.view(-1, 1, 1, 1)
    limit = torch.full_like(waves, (_MOST - 1) ** (1 / _EXPONENT))
    return 1 + torch.minimum(waves, limit) ** _EXPONENT
