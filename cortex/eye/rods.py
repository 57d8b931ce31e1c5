"""Rods take over in dim light: no colour, blue brighter than red, and less detail.

The share of the cones is that of CIE 191:2010 (system MES2): m = .767 + .3334 log10 of the luminance adapted to, 0
below .005 and 1 above 5 cd/m2; it is read at the photopic luminance, without CIE's iteration. Rods see V = Y [1.33 (1
+ (Y + Z) / X) - 1.68] (Larson, Rushmeier and Piatko 1997), and no finer than 17.25 atan(1.4 log10 L + .35) + 25.72
cycles a degree (their fit of Shlaer 1937).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.stages.retina import XYZ_FROM_RGB

#: Luminance adapted to, cd/m2, below which there are rods alone, and above which there are cones alone.
MESOPIC_CD_M2 = (0.005, 5.0)
_WHITE = 2.5731  # V / Y of white (D65), which is to look as light to rods as to cones
_LEFT_AT_LIMIT = 0.01  # of the contrast at the limit of acuity: less than rods tell from none
_TINY = 1e-8


def cone_share(adaptation_cd_m2: Tensor) -> Tensor:
    """Share of the cones in what is seen, any shape: 0 at .005 cd/m2 and less, 1 at 5 and more, by the logarithm."""
    low, high = (math.log10(end) for end in MESOPIC_CD_M2)
    return ((torch.log10(adaptation_cd_m2.clamp_min(_TINY)) - low) / (high - low)).clamp(0, 1)


def acuity_cpd(adaptation_cd_m2: Tensor) -> Tensor:
    """Finest grating that is told from none, cycles a degree, any shape; 2.1 at 1e-4 cd/m2, 48 at 100."""
    return 17.25 * torch.atan(1.4 * torch.log10(adaptation_cd_m2.clamp_min(_TINY)) + 0.35) + 25.72


def scotopic_light(light: Tensor) -> Tensor:
    """What rods make of linear sRGB (B, 3, ...): (B, 1, ...), white 1, red darker, blue brighter."""
    x, y, z = torch.einsum("ij,bj...->bi...", XYZ_FROM_RGB.to(light), light.clamp_min(0)).unbind(1)
    value = y * (1.33 * (1 + (y + z) / x.clamp_min(_TINY)) - 1.68)
    return (value / _WHITE).clamp_min(0)[:, None]


def without_colour(light: Tensor, adaptation_cd_m2: Tensor) -> Tensor:
    """Rods and cones by their shares, place by place: :func:`dim_light` of samples too sparse for its blur.

    Args:
        light: (B, 3, ...), linear sRGB.
        adaptation_cd_m2: (B,), luminance adapted to.
    """
    share = cone_share(adaptation_cd_m2).view(-1, *[1] * (light.ndim - 1)).to(light)
    return torch.lerp(scotopic_light(light).expand_as(light), light, share)


def dim_light(light: Tensor, adaptation_cd_m2: Tensor, *, px_per_deg: float) -> Tensor:
    """What is seen of light in the dark; from 5 cd/m2 on it is the light itself, exactly.

    Args:
        light: (B, 3, H, W), linear sRGB, any scale.
        adaptation_cd_m2: (B,), luminance adapted to, such as white's times the mean of the light's.
        px_per_deg: of the image.

    Returns:
        (B, 3, H, W), white as white as it was; differentiable.

    Raises:
        ValueError: shapes that do not fit, or px_per_deg <= 0.
    """
    if light.ndim != 4 or light.shape[1] != 3 or tuple(adaptation_cd_m2.shape) != (len(light),):
        raise ValueError(
            f"expected light (B, 3, H, W) and adaptation_cd_m2 (B,), got {tuple(light.shape)} and "
            f"{tuple(adaptation_cd_m2.shape)}"
        )
    if not px_per_deg > 0:
        raise ValueError(f"expected px_per_deg > 0, got {px_per_deg}")
    sigma_deg = math.sqrt(-2 * math.log(_LEFT_AT_LIMIT)) / (2 * math.pi * acuity_cpd(adaptation_cd_m2))
    rods = gaussian_blur(scotopic_light(light), (sigma_deg * px_per_deg).to(light))
    share = cone_share(adaptation_cd_m2).view(-1, 1, 1, 1).to(light)
    return torch.lerp(rods.expand_as(light), light, share)
