"""The association field: co-circular support between oriented responses, one lobe on each side of a point.

Field, Hayes & Hess 1993; co-circularity after Parent & Zucker 1989: elements at p and q with tangents t_p and t_q lie
on one circle if t_p + t_q = 2 phi_pq, phi the direction from p to q. Kernels are applied in the frequency domain; the
reach of each sample mixes a few fixed kernels, so it is per sample and has a gradient.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import kept

REACHES_PX = (3.0, 5.25, 9.15, 16.0)
# Spread of directions around the tangent, and tolerance of co-circularity: the field falls off beyond about 30 degrees.
_SIGMA_DIRECTION_RAD = math.radians(22)
_SIGMA_COCIRCULAR_RAD = math.radians(18)


def _wrap(angle: Tensor, period: float) -> Tensor:
    return torch.remainder(angle + period / 2, period) - period / 2


def lobe_kernel(n_orientations: int, reach_px: float, radius_px: int, device: torch.device | None = None) -> Tensor:
    """Forward lobe (O_to, O_from, 2r+1, 2r+1); entry at (dy, dx) is the support p gets from q = p + (dy, dx).

    Sums to 1 over everything an orientation listens to; the backward lobe is its point reflection.
    """
    offset = torch.arange(-radius_px, radius_px + 1, dtype=torch.float32, device=device)
    dy, dx = offset[:, None], offset[None, :]
    distance = torch.sqrt(dx * dx + dy * dy)
    direction = torch.atan2(dy.expand_as(distance), dx.expand_as(distance))
    tangent = torch.arange(n_orientations, device=device) * math.pi / n_orientations
    to, source = tangent.view(-1, 1, 1, 1), tangent.view(1, -1, 1, 1)
    ahead = torch.exp(-0.5 * (_wrap(direction - to, 2 * math.pi) / _SIGMA_DIRECTION_RAD) ** 2)
    cocircular = torch.exp(-0.5 * (_wrap(to + source - 2 * direction, math.pi) / _SIGMA_COCIRCULAR_RAD) ** 2)
    near = torch.exp(-0.5 * (distance / reach_px) ** 2) * (distance > 0)
    kernel = ahead * cocircular * near
    return kernel / kernel.sum((1, 2, 3), keepdim=True)


def _radius(stride: int) -> int:
    return math.ceil(2 * REACHES_PX[-1] / stride)


@kept(16)
def _spectra(n_orientations: int, stride: int, h: int, w: int, device: torch.device) -> Tensor:
    """Correlation spectra of the forward lobes, (reaches, O_to, O_from, h, w//2+1)."""
    radius = _radius(stride)
    out = []
    for reach in REACHES_PX:
        kernel = lobe_kernel(n_orientations, reach / stride, radius, device)
        canvas = kernel.new_zeros(*kernel.shape[:2], h, w)
        index = torch.arange(-radius, radius + 1, device=device)
        rows, columns = torch.meshgrid(index % h, index % w, indexing="ij")
        # A kernel larger than the canvas folds onto itself: accumulate.
        flat = (rows * w + columns).flatten().expand(*kernel.shape[:2], -1)
        canvas.flatten(2).scatter_add_(2, flat, kernel.flatten(2))
        out.append(torch.fft.rfft2(canvas).conj())
    return torch.stack(out)


def reach_weights(reach_px: Tensor) -> Tensor:
    """(B, reaches) weights of the fixed kernels, linear in log reach between neighbours."""
    return log_weights(reach_px, REACHES_PX)


def log_weights(value: Tensor, knots: tuple[float, ...]) -> Tensor:
    """Values (...) between knots evenly spaced on a log scale, to the weight of each, (..., n): two are not 0."""
    log_knots = torch.log(torch.tensor(knots, device=value.device))
    position = (torch.log(value) - log_knots[0]) / (log_knots[1] - log_knots[0])
    left = position.detach().floor().clamp(0, len(knots) - 2).long()
    t = (position - left)[..., None]
    knot = torch.eye(len(knots), device=value.device)
    return knot[left] * (1 - t) + knot[left + 1] * t


def two_sided_support(oriented: Tensor, reach_px: Tensor, *, stride: int) -> tuple[Tensor, Tensor]:
    """Support each oriented element gets from ahead and from behind.

    Args:
        oriented: (B, O, h, w) responses at resolution ``stride``, >= 0.
        reach_px: (B,) in full-resolution pixels, within ``REACHES_PX``.

    Returns:
        forward and backward support, each (B, O, h, w), in the units of ``oriented``.
    """
    _, o, h, w = oriented.shape
    # Nothing is known outside the image: zeros, and as many as the longest lobe needs so that it cannot wrap round.
    pad = _radius(stride)
    hp, wp = math.ceil((h + pad) / 8) * 8, math.ceil((w + pad) / 8) * 8
    spectrum = torch.fft.rfft2(F.pad(oriented, (0, wp - w, 0, hp - h)))
    kernels = _spectra(o, stride, hp, wp, oriented.device)
    mixed = torch.einsum("br,rijhw->bijhw", reach_weights(reach_px).to(kernels.dtype), kernels)
    forward = torch.fft.irfft2((mixed * spectrum[:, None]).sum(2), s=(hp, wp))[..., :h, :w]
    # The conjugate of the product, for `mixed` is six times as large as the spectrum.
    mirrored = (mixed * spectrum.conj()[:, None]).sum(2).conj()
    backward = torch.fft.irfft2(mirrored, s=(hp, wp))[..., :h, :w]
    return forward.clamp_min(0), backward.clamp_min(0)
