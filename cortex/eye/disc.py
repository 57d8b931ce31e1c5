"""The disc of confusion: how wide a point out of focus is seen, and convolution with it."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_MM = 1e-3
_SOFT_EDGE_PX2 = 0.3  # what a kernel's soft edge adds to its radius squared (1/3 for large ones)
_LEAST_RADIUS2_PX2 = 0.5  # below it a kernel is one pixel
_N_CORRECTIONS = 2  # leave 0.5 % of the second moment at 2 px of radius, 0.04 % over 5 px


def disc_diameter_rad(pupil_mm: Tensor, focus_dpt: Tensor, object_dpt: Tensor) -> Tensor:
    """Diameter of the disc of confusion in radians: pupil (m) x abs(focus - object) (dpt).

    Geometric optics: the cone from an object point over the pupil, seen at the nodal point; it equals the thin lens's
    circle of confusion exactly. 4 mm and 1 dpt give 4 mrad, 0.229 degrees. Shapes broadcast.
    """
    return pupil_mm * _MM * (focus_dpt - object_dpt).abs()


def px_per_rad(px_per_deg: Tensor | float) -> Tensor | float:
    """Pixels per degree as pixels per radian, for small angles."""
    return px_per_deg * (180 / math.pi)


def disc_kernel(diameter_px: Tensor, *, radius_px: int) -> tuple[Tensor, Tensor]:
    """The disc as a kernel, in two parts: ``(1 - share) x delta + share x kernel``.

    The second moment of the two together is that of the ideal disc, diameter^2 / 16 along each axis, at any diameter;
    so a disc of a tenth of a pixel blurs by what it should, the derivative at diameter 0 is that of a smooth function,
    and at 0 the share is 0: a delta exactly, by the same code. No value is negative, and the sum is 1.

    Args:
        diameter_px: (...), >= 0. Above ``2 radius_px - 1`` it is cut to that.
        radius_px: half of the kernel's side.

    Returns:
        kernel (..., 2 radius_px + 1, 2 radius_px + 1) with sum 1, its edge one pixel wide; share (...) in [0, 1].
        Differentiable in ``diameter_px``.
    """
    offset = torch.arange(-radius_px, radius_px + 1, device=diameter_px.device, dtype=diameter_px.dtype)
    squared = offset**2
    distance = (squared[:, None] + squared).sqrt()
    radius2 = (diameter_px / 2).clamp(max=radius_px - 0.5) ** 2
    inner2 = (radius2 - _SOFT_EDGE_PX2).clamp_min(_LEAST_RADIUS2_PX2)
    # How much the edge adds depends on how the circle runs between pixels. Left to the delta's share, it would be a
    # sharp ghost in a blurred image: the radius takes it.
    for _ in range(_N_CORRECTIONS):
        _, variance = _soft_disc(inner2, squared, distance)
        inner2 = (inner2 * radius2 / 4 / variance).clamp_min(_LEAST_RADIUS2_PX2)
    kernel, variance = _soft_disc(inner2, squared, distance)
    return kernel, (radius2 / 4 / variance).clamp_max(1.0)


def _soft_disc(radius2: Tensor, squared: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """A disc whose edge falls over one pixel, with sum 1, and its second moment along an axis."""
    kernel = (radius2.sqrt()[..., None, None] + 0.5 - distance).clamp(0, 1)
    kernel = kernel / kernel.sum((-1, -2), keepdim=True)
    return kernel, (kernel.sum(-1) * squared).sum(-1)


def convolve_disc(planes: Tensor, diameter_px: Tensor, *, radius_px: int) -> Tensor:
    """Convolve planes with discs; beyond its border an image goes on as its border is.

    By the fast Fourier transform: the time does not depend on the diameter.

    Args:
        planes: (..., H, W).
        diameter_px: leading axes broadcast with those of ``planes``; one disc each.
        radius_px: the largest radius: larger discs are cut to it.

    Returns:
        (..., H, W), the leading axes broadcast. Differentiable in both.
    """
    kernel, share = disc_kernel(diameter_px, radius_px=radius_px)
    height, width = planes.shape[-2:]
    size = (fast_length(height + 2 * radius_px), fast_length(width + 2 * radius_px))
    lead = planes.shape[:-2]
    right, below = size[1] - width - radius_px, size[0] - height - radius_px
    padded = F.pad(planes.reshape(-1, 1, height, width), (radius_px, right, radius_px, below), mode="replicate")
    spectrum = torch.fft.rfft2(padded.reshape(*lead, *size))
    side = kernel.shape[-1]
    around_zero = F.pad(kernel, (0, size[1] - side, 0, size[0] - side)).roll((-radius_px, -radius_px), (-2, -1))
    # A disc is even, so its transform is real.
    blurred: Tensor = torch.fft.irfft2(spectrum * torch.fft.rfft2(around_zero).real, s=size)
    blurred = blurred[..., radius_px : radius_px + height, radius_px : radius_px + width]
    share = share[..., None, None]
    return (1 - share) * planes + share * blurred


@lru_cache(maxsize=256)
def fast_length(n: int) -> int:
    """The least length >= n without a prime factor over 5, of which transforms are quick."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
