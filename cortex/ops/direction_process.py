"""Position and angle: what starts at oriented elements and wanders along its own direction, solved exactly.

Mumford 1994: a point runs at unit speed along its direction theta, which drifts as Brownian motion, and stops at any
moment alike. The density of where it stops solves

    (decay + cos(theta) d/dx + sin(theta) d/dy - wander d^2/dtheta^2) p = decay * start,

the hypoelliptic operator of stochastic completion fields (Williams & Jacobs 1997) on the group of positions and angles
that Petitot (2003) and Citti & Sarti (2006) read in V1. For one spatial frequency and in harmonics exp(i n theta) it is
tridiagonal (Duits & Franken 2010). With the frequency's own angle turned away it is real and its coupling skew, so that
elimination needs no pivots, every sample has its own constants, and both have gradients.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import kept

LONGEST_PATH_PX = 16.0
# An element is as wide as its cell sees: standard deviations in pixels of the grid and in steps between orientations.
# Narrower starts ring on both.
_WIDTH_PX, _WIDTH_STEPS = 0.7, 0.75
_PADDED_PATHS = 3.0  # margin of zeros in longest paths: exp(-3) of what leaves the image comes in across it


def two_way_density(
    oriented: Tensor, mean_path_px: Tensor, wander_rad2_per_px: Tensor, *, stride: int
) -> tuple[Tensor, Tensor]:
    """What of the oriented elements stops at each place, by where it was heading.

    Args:
        oriented: (B, O, h, w) at resolution ``stride``, O even: orientation pi * o / O (x right, y down) starts that
            much in either direction.
        mean_path_px: (B,) mean length of a path before it stops, in full-resolution pixels, at most 16.
        wander_rad2_per_px: (B,) half the variance that a direction gains in a full-resolution pixel.

    Returns:
        two (B, O, h, w): heading for pi * o / O, and for pi * o / O + pi. A field of ones has ones; an element's
        density adds up to the element in either. It rings by a hundredth of its peak, with either sign.

    Raises:
        ValueError: O is odd.
    """
    both, each = _solved(oriented, mean_path_px / stride, wander_rad2_per_px * stride, stride=stride, has_heading=True)
    return both + each, both - each


def spread_heat(oriented: Tensor, length_px: Tensor, wander_rad2_per_px: Tensor, *, stride: int) -> Tensor:
    """The sub-Riemannian heat of the same geometry (Citti & Sarti 2006), which has no heading: it runs back and forth.

    Solves (1 - length^2 X^2 - length wander d^2/dtheta^2) p = start with X = cos(theta) d/dx + sin(theta) d/dy:
    arguments, spread along the orientation, and errors are those of :func:`two_way_density`; returns one (B, O, h, w).
    """
    return _solved(oriented, length_px / stride, wander_rad2_per_px * stride, stride=stride, has_heading=False)[0]


def _solved(oriented: Tensor, path: Tensor, wander: Tensor, *, stride: int, has_heading: bool) -> tuple[Tensor, Tensor]:
    """Even and odd half of the density, (B, O, h, w) each; path and wander (B,) in pixels of the grid."""
    _, n_orientations, h, w = oriented.shape
    if n_orientations % 2:
        raise ValueError(f"expected an even number of orientations, got {n_orientations}")
    pad = math.ceil(_PADDED_PATHS * LONGEST_PATH_PX / stride)
    hp, wp = math.ceil((h + pad) / 8) * 8, math.ceil((w + pad) / 8) * 8
    radius, turns, window = _frequencies(hp, wp, n_orientations, oriented.dtype, oriented.device)
    analysis, even, odd = _harmonics(n_orientations, oriented.dtype, oriented.device)
    spectrum = torch.fft.rfft2(F.pad(oriented, (0, wp - w, 0, hp - h))) * window
    start = torch.einsum("no,bohw->bnhw", analysis, spectrum) * turns[1::2].conj()
    path = path.view(-1, 1, 1)
    turning = wander.view(-1, 1, 1) * path
    along, across = _stopped(start, radius * path, turning, turning if has_heading else torch.zeros_like(turning))
    found = (
        torch.einsum("on,bnhw->bohw", even, along * turns[1::2]),
        torch.einsum("on,bnhw->bohw", odd, across * turns[::2]),
    )
    both, each = (torch.fft.irfft2(x, s=(hp, wp))[..., :h, :w] for x in found)
    return both, each


def _stopped(start: Tensor, reach: Tensor, wander: Tensor, odd_wander: Tensor) -> tuple[Tensor, Tensor]:
    """Solve (1 + wander n^2) y_n + reach / 2 (y_(n+1) - y_(n-1)) = start_n for n = 1-O .. O-1, even ones starting.

    Odd ones are what their neighbours make them, and are put in first: what is left is a diffusion. Where odd ones do
    not decay faster with n (``odd_wander`` 0), it is the heat's.

    Args:
        start: (B, O-1, h, w) complex, n = 2-O, 4-O .. O-2.
        reach: (B, h, w), frequency in rad a mean path.
        wander, odd_wander: (B, 1, 1), half the variance of direction in a mean path, of even and odd ones.

    Returns:
        even and odd y, (B, O-1, h, w) and (B, O, h, w).
    """
    n_even = start.shape[1]
    half = reach / 2
    odd_decay = [1 + odd_wander * (2 * i - n_even) ** 2 for i in range(n_even + 1)]
    link = [half.square() / decay for decay in odd_decay]
    pivots: list[Tensor] = []
    carried: list[Tensor] = []
    for i, given in enumerate(start.unbind(1)):
        pivot = 1 + wander * (2 * i + 1 - n_even) ** 2 + link[i] + link[i + 1]
        ratio = link[i] / pivots[-1] if i else None
        pivots.append(pivot if ratio is None else pivot - link[i] * ratio)
        carried.append(given if ratio is None else given + ratio * carried[-1])
    even = [carried[-1] / pivots[-1]]
    for i in range(n_even - 2, -1, -1):
        even.append((carried[i] + link[i + 1] * even[-1]) / pivots[i])
    even.reverse()
    none = torch.zeros_like(even[0])
    neighbours = zip([none, *even], [*even, none], odd_decay, strict=True)
    return torch.stack(even, 1), torch.stack([half / decay * (low - high) for low, high, decay in neighbours], 1)


@kept(16)
def _frequencies(
    h: int, w: int, n_orientations: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """By frequency: rad/px and an element's own width, (h, w//2+1); (-i exp(-i angle))^n of n = 1-O .. O-1."""
    fy = torch.fft.fftfreq(h, dtype=dtype, device=device)[:, None]
    fx = torch.fft.rfftfreq(w, dtype=dtype, device=device)[None]
    radius = 2 * math.pi * torch.sqrt(fx * fx + fy * fy)
    angle = torch.atan2(fy.expand_as(radius), fx.expand_as(radius)) + math.pi / 2
    order = torch.arange(1 - n_orientations, n_orientations, device=device).view(-1, 1, 1)
    turns = torch.polar(torch.ones_like(order * angle), -order * angle)
    # Half a wave a pixel runs either way: no real field can be carried along at it.
    window = torch.exp(-0.5 * (_WIDTH_PX * radius) ** 2) * ((fy.abs() < 0.5) & (fx < 0.5))
    return radius, turns, window


@kept(16)
def _harmonics(n_orientations: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Analysis (O-1, O) of orientations in even harmonics, and synthesis (O, O-1), (O, O) of even and odd ones."""
    theta = torch.arange(n_orientations, dtype=dtype, device=device)[:, None] * (math.pi / n_orientations)
    order = torch.arange(1 - n_orientations, n_orientations, device=device)
    wave = torch.polar(torch.ones_like(theta * order), theta * order)
    even, odd = wave[:, 1::2].contiguous(), wave[:, ::2].contiguous()
    width = torch.exp(-0.5 * (_WIDTH_STEPS * math.pi / n_orientations * order[1::2, None]) ** 2)
    return even.mH * (width / n_orientations), even, odd
