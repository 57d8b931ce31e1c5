"""The disc of confusion: how wide a point out of focus is seen, and convolution with it."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import kept, widest

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
        The kernel's quadrant of offsets 0 .. ``radius_px``, (..., radius_px + 1, radius_px + 1), mirrored along both
        axes; the whole sums to 1 and its edge is one pixel wide. And the share (...) in [0, 1].
        Differentiable in ``diameter_px``.
    """
    offset = torch.arange(radius_px + 1, device=diameter_px.device, dtype=diameter_px.dtype)
    times = 2 - (offset == 0).to(offset.dtype)  # every offset but 0 stands for two
    distance = (offset[:, None] ** 2 + offset**2).sqrt()
    radius2 = (diameter_px / 2).clamp(max=radius_px - 0.5) ** 2
    inner2 = (radius2 - _SOFT_EDGE_PX2).clamp_min(_LEAST_RADIUS2_PX2)
    # How much the edge adds depends on how the circle runs between pixels. Left to the delta's share, it would be a
    # sharp ghost in a blurred image: the radius takes it.
    for _ in range(_N_CORRECTIONS):
        _, variance = _soft_disc(inner2, offset, times, distance)
        inner2 = (inner2 * radius2 / 4 / variance).clamp_min(_LEAST_RADIUS2_PX2)
    kernel, variance = _soft_disc(inner2, offset, times, distance)
    return kernel, (radius2 / 4 / variance).clamp_max(1.0)


def _soft_disc(radius2: Tensor, offset: Tensor, times: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """A disc whose edge falls over one pixel, with sum 1, and its second moment along an axis."""
    kernel = (radius2.sqrt()[..., None, None] + 0.5 - distance).clamp(0, 1)
    rows = (kernel * times).sum(-1) * times
    total = rows.sum(-1)
    return kernel / total[..., None, None], (rows * offset**2).sum(-1) / total


def convolve_disc(planes: Tensor, diameter_px: Tensor, *, radius_px: int, wraps: bool = False) -> Tensor:
    """Convolve planes with discs; beyond its border an image goes on as its border is.

    By the fast Fourier transform: the time does not depend on the diameter. Two planes travel as one complex one: a
    disc is even, so its transform is real and does not mix them. That takes half the time of transforms of real planes.

    Args:
        planes: (..., P, H, W); the P planes share a disc.
        diameter_px: (...), broadcast with the leading axes of ``planes``.
        radius_px: the largest radius: larger discs are cut to it.
        wraps: beyond the border is the other side; for images whose border, ``radius_px`` wide, is cut off afterwards.

    Returns:
        (..., P, H, W), the leading axes broadcast. Differentiable in both.
    """
    kernel, share = disc_kernel(diameter_px, radius_px=radius_px)
    *lead, n_planes, height, width = planes.shape
    before = 0 if wraps else radius_px
    size = (fast_length(height + 2 * before), fast_length(width + 2 * before))
    # Real and imaginary part; the last plane of an odd number goes alone.
    paired = F.pad(planes, (0, 0, 0, 0, 0, n_planes % 2)).reshape(-1, 1, height, width)
    right, below = size[1] - width - before, size[0] - height - before
    padded = F.pad(paired, (before, right, before, below), mode="replicate")
    padded = padded.view(*lead, (n_planes + 1) // 2, 2, *size)
    down, across = (_cosines(n, radius_px, planes.dtype, planes.device) for n in size)
    transfer = down @ kernel @ across.transpose(0, 1)
    spectrum = torch.fft.fft2(torch.complex(padded[..., 0, :, :], padded[..., 1, :, :]))
    both = torch.fft.ifft2(spectrum * transfer[..., None, :, :])
    both = both[..., before : before + height, before : before + width]
    blurred = torch.stack([both.real, both.imag], -3).flatten(-4, -3)[..., :n_planes, :, :]
    return torch.lerp(planes.expand_as(blurred), blurred, share[..., None, None, None])


@kept(16)
def _cosines(n: int, radius_px: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Transform of an even kernel of which offsets 0 .. radius are given: (n, radius + 1)."""
    # Products modulo n: the cosine of a large angle would be rounded.
    turns = torch.arange(n, device=device)[:, None] * torch.arange(radius_px + 1, device=device) % n
    cosines = torch.cos(2 * math.pi / n * turns.to(widest(device)))
    cosines[:, 1:] *= 2
    return cosines.to(dtype)


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
