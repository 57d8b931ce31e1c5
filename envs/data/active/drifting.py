"""Sequences whose motion is known because they are made: gratings, plaids, noise, a patch before a background."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.stages.retina import linear_to_srgb


def grating_frames(
    *,
    direction_deg: float | Sequence[float],
    wavelength_px: float,
    speed_px: float,
    n_frames: int,
    size_px: tuple[int, int] = (120, 160),
    contrast: float = 0.5,
    mean: float = 0.3,
) -> Tensor:
    """(T, 3, H, W), sRGB: a grating that drifts, or with several directions their sum, a plaid.

    Args:
        direction_deg: 0 right, 90 down.
        wavelength_px: of each grating.
        speed_px: a frame, along its direction.
        n_frames: T.
        size_px: (H, W).
        contrast: Michelson's, in linear light, of the whole.
        mean: linear light.
    """
    directions = np.atleast_1d(np.asarray(direction_deg, dtype=float))
    y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size_px)
    t = torch.arange(n_frames, dtype=torch.float64)[:, None, None]
    total = torch.zeros(n_frames, *size_px, dtype=torch.float64)
    for angle in np.deg2rad(directions):
        along = y[:, None] * math.sin(angle) + x[None, :] * math.cos(angle)
        total = total + torch.cos(2 * math.pi / wavelength_px * (along - speed_px * t))
    light = mean * (1 + contrast * total / len(directions))
    return linear_to_srgb(light).float()[:, None].expand(-1, 3, -1, -1)


def plaid_velocity(directions_deg: Sequence[float], speed_px: float) -> tuple[float, float]:
    """(y, x) px a frame of the sum of two gratings of one speed: where their lines of constraint meet."""
    a, b = np.deg2rad(directions_deg)
    y, x = np.linalg.solve([[math.sin(a), math.cos(a)], [math.sin(b), math.cos(b)]], [speed_px, speed_px])
    return float(y), float(x)


def noise_frames(
    *,
    velocity_px: tuple[float, float],
    n_frames: int,
    seed: int = 0,
    size_px: tuple[int, int] = (120, 160),
    contrast: float = 0.2,
    mean: float = 0.3,
) -> Tensor:
    """(T, 3, H, W), sRGB: noise with photographs' 1/f amplitude, shifted whole and exactly, (y, x) px a frame.

    It is made of waves up to a quarter of the sampling rate, and leaves at one border what comes in at the other.

    Args:
        contrast: root mean square, in linear light.
    """
    generator = torch.Generator().manual_seed(seed)
    fy = torch.fft.fftfreq(size_px[0], dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(size_px[1], dtype=torch.float64)[None, :]
    radius = torch.sqrt(fy**2 + fx**2)
    amplitude = torch.where((radius > 0) & (radius <= 0.25), 1 / radius.clamp_min(1e-9), torch.zeros_like(radius))
    white = torch.randn(size_px, generator=generator, dtype=torch.float64)
    spectrum = torch.fft.fft2(white) * amplitude
    t = torch.arange(n_frames, dtype=torch.float64)[:, None, None]
    shift = torch.exp(-2j * math.pi * t * (fy * velocity_px[0] + fx * velocity_px[1]))
    field = torch.fft.ifft2(spectrum * shift).real
    light = mean * (1 + contrast * field / field[0].std()).clamp_min(0)
    return linear_to_srgb(light).float()[:, None].expand(-1, 3, -1, -1)


def patch_frames(
    *,
    background_px: tuple[float, float],
    patch_px: tuple[float, float],
    n_frames: int,
    seed: int = 0,
    size_px: tuple[int, int] = (120, 160),
    side_px: int = 32,
    centre_px: tuple[float, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """A square of noise that moves before noise that moves otherwise, both alike but for that.

    Args:
        background_px, patch_px: velocities (y, x), px a frame.
        side_px: of the square.
        centre_px: (y, x) of the square in the last frame; the image's middle when None.

    Returns:
        Frames (T, 3, H, W), sRGB, and the square (T, H, W) bool.
    """
    behind = noise_frames(velocity_px=background_px, n_frames=n_frames, seed=seed, size_px=size_px)
    before = noise_frames(velocity_px=patch_px, n_frames=n_frames, seed=seed + 1, size_px=size_px)
    end = centre_px or ((size_px[0] - 1) / 2, (size_px[1] - 1) / 2)
    age = torch.arange(n_frames - 1, -1, -1, dtype=torch.float64)
    inside = []
    for n, to, velocity in zip(size_px, end, patch_px, strict=True):
        centre = to - velocity * age
        inside.append((torch.arange(n, dtype=torch.float64)[None] - centre[:, None]).abs() <= side_px / 2)
    square = inside[0][:, :, None] & inside[1][:, None, :]
    return torch.where(square[:, None], before, behind), square
