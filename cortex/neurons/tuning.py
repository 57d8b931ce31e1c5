"""What units prefer: orientation and frequency from their answers to gratings, and how sharply.

A linear unit's answer to a drifting grating is a sine whose amplitude is the modulus of its receptive field's Fourier
transform at the grating's wave vector. Half heights are read off these amplitudes, as physiologists read them off
rates; with no rest rate, and no threshold, which would sharpen them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

N_ANGLES = 90
N_FREQUENCIES = 61
LOWEST_CPP, HIGHEST_CPP = 1 / 64, 0.5  # cycles per pixel
_LOUD = 0.5  # half height


@dataclass(frozen=True, eq=False)
class Tuning:
    """Of N units, (N,) each."""

    orientation_rad: Tensor  # tangent of the grating's stripes, in [0, pi); x right, y down
    frequency_cpp: Tensor  # cycles per pixel
    half_bandwidth_deg: Tensor  # half the width at half height over orientation, at the preferred frequency; 90 at most
    bandwidth_octaves: (
        Tensor  # width at half height over frequency, at the preferred orientation; inf if it is a low-pass
    )
    circular_variance: Tensor  # over orientation, in [0, 1]; 1 without any preference (Ringach, Shapley & Hawken 2002)
    radius_px: Tensor  # root mean squared distance of the squared weights from their centre

    @property
    def is_band_pass(self) -> Tensor:
        """(N,) bool: falls to half height on both sides."""
        return torch.isfinite(self.bandwidth_octaves)


def frequencies_cpp(device: torch.device | None = None) -> Tensor:
    """The frequencies that are tried, in even steps of their logarithm."""
    steps = torch.linspace(math.log2(LOWEST_CPP), math.log2(HIGHEST_CPP), N_FREQUENCIES, device=device)
    frequencies: Tensor = torch.exp2(steps)
    return frequencies


def grating_amplitude(fields: Tensor) -> Tensor:
    """Amplitude (N, N_ANGLES, N_FREQUENCIES) of answers of fields (N, P, Q); angle k is a tangent of 2 k degrees."""
    frequency = frequencies_cpp(fields.device)
    tangent = torch.arange(N_ANGLES, device=fields.device) * (math.pi / N_ANGLES)
    fy, fx = (torch.outer(part, frequency).flatten() for part in (torch.cos(tangent), -torch.sin(tangent)))
    down, across = (
        torch.polar(torch.ones_like(phase), phase)
        for phase in (2 * math.pi * torch.outer(f, _pixels(fields, axis)) for f, axis in ((fy, -2), (fx, -1)))
    )
    grating = (down[:, :, None] * across[:, None]).flatten(1).T
    flat = fields.flatten(1)
    amplitude = torch.hypot(flat @ grating.real, flat @ grating.imag)
    by_grating: Tensor = amplitude.unflatten(1, (N_ANGLES, N_FREQUENCIES))
    return by_grating


def tuning(fields: Tensor) -> Tuning:
    """What units prefer whose receptive fields are (N, P, Q), the weights of the pixels that they see."""
    amplitude = grating_amplitude(fields)
    best = amplitude.flatten(1).max(1).indices
    angle, step = best // N_FREQUENCIES, best % N_FREQUENCIES
    unit = torch.arange(len(fields), device=fields.device)
    over_angle, over_frequency = amplitude[unit, :, step], amplitude[unit, angle]
    around = torch.arange(N_ANGLES // 2 + 1, device=fields.device)
    falls = (_fall(over_angle.gather(1, (angle[:, None] + sign * around) % N_ANGLES)) for sign in (-1, 1))
    left, right = (steps.mul(180 / N_ANGLES).clamp_max(90) for steps in falls)
    padded = torch.nn.functional.pad(over_frequency, (N_FREQUENCIES, N_FREQUENCIES), value=math.inf)
    offsets = torch.arange(N_FREQUENCIES, device=fields.device)
    middle = step[:, None] + N_FREQUENCIES
    below, above = (_fall(padded.gather(1, middle + sign * offsets)) for sign in (-1, 1))
    per_step = math.log2(HIGHEST_CPP / LOWEST_CPP) / (N_FREQUENCIES - 1)
    double = torch.arange(N_ANGLES, device=fields.device) * (2 * math.pi / N_ANGLES)
    resultant = torch.hypot(over_angle @ torch.cos(double), over_angle @ torch.sin(double))
    return Tuning(
        angle * (math.pi / N_ANGLES),
        frequencies_cpp(fields.device)[step],
        (left + right) / 2,
        (below + above) * per_step,
        1 - resultant / over_angle.sum(1),
        radius_px(fields),
    )


def centre_px(fields: Tensor) -> Tensor:
    """(N, 2) centre of the squared weights, y and x."""
    power = fields.square()
    power = power / power.sum((1, 2), keepdim=True).clamp_min(1e-20)
    y, x = _pixels(fields, -2), _pixels(fields, -1)
    return torch.stack([power.sum(2) @ y, power.sum(1) @ x], 1)


def radius_px(fields: Tensor) -> Tensor:
    """(N,) root mean squared distance of the squared weights from their centre."""
    power = fields.square()
    power = power / power.sum((1, 2), keepdim=True).clamp_min(1e-20)
    y, x = _pixels(fields, -2), _pixels(fields, -1)
    second = power.sum(2) @ y.square() + power.sum(1) @ x.square()
    return (second - centre_px(fields).square().sum(1)).clamp_min(0).sqrt()


def _pixels(fields: Tensor, axis: int) -> Tensor:
    return torch.arange(fields.shape[axis], device=fields.device, dtype=fields.dtype)


def _fall(side: Tensor) -> Tensor:
    """Steps until (N, M) has fallen to half of its first value, between steps by a line; inf where it never does.

    Beyond the range that was tried stands inf.
    """
    share = side / side[:, :1].clamp_min(1e-20)
    is_low = share <= _LOUD
    k = is_low.to(torch.int64).argmax(1).clamp_min(1)
    unit = torch.arange(len(side), device=side.device)
    high, low = share[unit, k - 1], share[unit, k]
    steps = (k - 1) + (high - _LOUD) / (high - low).clamp_min(1e-12)
    return torch.where(is_low.any(1), steps, math.inf)
