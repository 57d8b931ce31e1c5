"""Scenes whose answers can be written down: planes, dots and slants at known dioptres."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ciliary.envs.data.active.scene import EyeScene

PX_PER_DEG = 24.0


def planes_scene(
    distances_dpt: Sequence[float] = (0.5, 2.0, 4.0),
    *,
    seed: int = 0,
    size_px: tuple[int, int] = (96, 144),
    px_per_deg: float = PX_PER_DEG,
) -> EyeScene:
    """Upright strips of noise, the first on the left, each a plane at its distance. Contrast is equal at all scales.

    Where one looks at a strip's middle, the best focus is its distance.

    Raises:
        ValueError: no distance, or a negative one.
    """
    if not distances_dpt or min(distances_dpt) < 0:
        raise ValueError(f"expected distances >= 0 dpt, at least one, got {list(distances_dpt)}")
    height, width = size_px
    strip = (torch.arange(width) * len(distances_dpt)).div(width, rounding_mode="floor")
    distance = torch.tensor(distances_dpt, dtype=torch.float32)[strip].expand(1, height, width).contiguous()
    levels = tuple(sorted({float(value) for value in distance.unique()}))
    return EyeScene("planes", pink_noise(size_px, seed), distance, px_per_deg, level_dpt=levels)


def dots_scene(
    distances_dpt: Sequence[float] = (0.5, 2.0, 4.0), *, gap_px: int = 48, px_per_deg: float = PX_PER_DEG
) -> EyeScene:
    """Points of light 1 on black, side by side, each at its own distance: each becomes its disc of confusion.

    A point's neighbourhood, ``gap_px`` wide, is at its distance; the points are in its middle.

    Raises:
        ValueError: no distance, a negative one, or a gap under 3 px.
    """
    if not distances_dpt or min(distances_dpt) < 0 or gap_px < 3:
        raise ValueError(f"expected distances >= 0 dpt and a gap of 3 px or more, got {list(distances_dpt)}, {gap_px}")
    scene = planes_scene(distances_dpt, size_px=(gap_px, gap_px * len(distances_dpt)), px_per_deg=px_per_deg)
    light = torch.zeros_like(scene.light)
    light[:, gap_px // 2, gap_px // 2 :: gap_px] = 1
    return EyeScene("dots", light, scene.distance_dpt, px_per_deg, level_dpt=scene.level_dpt)


def slant_scene(
    low_dpt: float = 0.5,
    high_dpt: float = 4.0,
    *,
    seed: int = 0,
    size_px: tuple[int, int] = (96, 144),
    px_per_deg: float = PX_PER_DEG,
) -> EyeScene:
    """A floor: from ``low_dpt`` at the top edge to ``high_dpt`` at the bottom edge, linear in dioptres.

    Raises:
        ValueError: unless 0 <= low < high.
    """
    if not 0 <= low_dpt < high_dpt:
        raise ValueError(f"expected 0 <= low_dpt < high_dpt, got {low_dpt} and {high_dpt}")
    height, width = size_px
    row = (torch.arange(height) + 0.5) / height
    distance = (low_dpt + (high_dpt - low_dpt) * row)[None, :, None].expand(1, height, width).contiguous()
    return EyeScene("slant", pink_noise(size_px, seed), distance, px_per_deg)


def pink_noise(size_px: tuple[int, int], seed: int) -> Tensor:
    """Grey noise (3, H, W) in linear light whose amplitude falls as 1 / frequency, as in photographs (Field 1987)."""
    rng = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft2(torch.randn(size_px, generator=rng))
    y, x = torch.fft.fftfreq(size_px[0])[:, None], torch.fft.rfftfreq(size_px[1])
    field: Tensor = torch.fft.irfft2(spectrum / (y**2 + x**2).sqrt().clamp_min(1 / max(size_px)), s=size_px)
    field = (field - field.mean()) / field.std()
    grey: Tensor = (0.4 + 0.15 * field).clamp(0, 1)
    return grey.expand(3, -1, -1).contiguous()
