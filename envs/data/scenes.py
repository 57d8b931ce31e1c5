"""Synthetic scenes whose true segmentation is known, each asking one question of the cortex.

A scene is drawn from its seed alone: an image (3, H, W) float32, sRGB in [0, 1], and its labels (H, W) int64 in
0 .. n-1 without gaps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.stages.retina import linear_to_srgb, srgb_to_linear

Drawing = tuple[np.ndarray, np.ndarray]  # (H, W, 3) sRGB, (H, W) labels
Painter = Callable[[np.random.Generator, np.ndarray, np.ndarray], Drawing]

_GRAIN = 0.02  # standard deviation of sensor noise: no two pixels of a photograph are equal


def discs(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> Drawing:
    """Three discs that do not touch, each of its own colour, on a fourth: colour alone answers."""
    height, width = y.shape
    labels = np.zeros(y.shape, dtype=np.int64)
    hues = rng.uniform(0, 1) + np.arange(4) / 4
    values = rng.permutation([0.25, 0.45, 0.65, 0.85])
    colours = np.stack([_hue(h, v, 0.35) for h, v in zip(hues, values, strict=True)])
    column = width / 3
    for i_disc in range(3):  # one to each third of the width, so that they never touch
        radius_px = rng.uniform(0.25, 0.42) * min(column, height)
        centre_x = column * i_disc + rng.uniform(radius_px, column - radius_px)
        centre_y = rng.uniform(radius_px, height - radius_px)
        labels[(y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius_px**2] = i_disc + 1
    return colours[labels], labels


def stripes(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> Drawing:
    """Three upright bands of the same grey grating at orientations 60 degrees apart: only orientation differs."""
    height, width = y.shape
    cuts = np.sort(np.array([1, 2]) / 3 + rng.uniform(-0.06, 0.06, 2)) * width
    labels = np.digitize(x, cuts)
    angle_rad = rng.uniform(0, math.pi) + rng.permutation(3)[labels] * math.pi / 3
    wavelength_px = max(height, width) / 24
    phase = 2 * math.pi * (x * np.cos(angle_rad) + y * np.sin(angle_rad)) / wavelength_px
    return _grey(0.5 + 0.3 * np.sin(phase)), labels.astype(np.int64)


def mosaic(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> Drawing:
    """Voronoi cells of band-limited noise, of equal mean and contrast: only scale and orientation differ."""
    height, width = y.shape
    n_cells = 5
    # one site to each box of a 3 x 2 grid (one left out): no cell becomes a sliver
    boxes = rng.permutation(6)[:n_cells]
    site_x = (boxes % 3 + rng.uniform(0.2, 0.8, n_cells)) * width / 3
    site_y = (boxes // 3 + rng.uniform(0.2, 0.8, n_cells)) * height / 2
    labels = ((y[..., None] - site_y) ** 2 + (x[..., None] - site_x) ** 2).argmin(-1)
    wavelengths_px = max(height, width) / np.array([12, 40, 24, 24, 24])
    angles_rad = np.array([0.0, 0.0, 0.0, math.pi / 3, 2 * math.pi / 3]) + rng.uniform(0, math.pi)
    is_isotropic = np.array([True, True, False, False, False])
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    radius = np.hypot(fx, fy)[None]
    ring = np.exp(-0.5 * (np.log2(np.maximum(radius, 1e-6) * wavelengths_px[:, None, None]) / 0.3) ** 2)
    turn = np.arctan2(fy, fx)[None] - angles_rad[:, None, None]
    fan = np.exp(-0.5 * (np.abs(np.sin(turn)) / 0.2) ** 2)
    band = ring * np.where(is_isotropic[:, None, None], 1.0, fan)
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n_cells, height, width))) * band).real
    noise = (noise - noise.mean((1, 2), keepdims=True)) / noise.std((1, 2), keepdims=True)
    field = np.take_along_axis(noise, labels[None], 0)[0]
    return _grey(0.5 + 0.15 * field), labels.astype(np.int64)


def kanizsa(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> Drawing:
    """A square a shade brighter than its ground, seen mostly by its covering of four dark discs (Kanizsa 1955).

    Labels: 0 ground, 1 square, 2 to 5 what is seen of each disc. Two thirds of each side are contour that is hardly
    there: completion answers.
    """
    height, width = y.shape
    half_px = 0.26 * min(height, width) * rng.uniform(0.9, 1.1)
    radius_px = half_px * 2 / 6  # support ratio 1/3 (Shipley & Kellman 1992)
    centre_y = height / 2 + rng.uniform(-1, 1) * 0.05 * height
    centre_x = width / 2 + rng.uniform(-1, 1) * 0.05 * width
    tilt_rad = rng.uniform(-0.15, 0.15)
    across = (x - centre_x) * math.cos(tilt_rad) + (y - centre_y) * math.sin(tilt_rad)
    down = -(x - centre_x) * math.sin(tilt_rad) + (y - centre_y) * math.cos(tilt_rad)
    labels = np.zeros(y.shape, dtype=np.int64)
    for i_disc, (side_x, side_y) in enumerate([(-1, -1), (1, -1), (-1, 1), (1, 1)]):
        labels[(across - side_x * half_px) ** 2 + (down - side_y * half_px) ** 2 <= radius_px**2] = 2 + i_disc
    labels[(np.abs(across) <= half_px) & (np.abs(down) <= half_px)] = 1
    return _grey(np.array([0.62, 0.66, 0.2, 0.2, 0.2, 0.2])[labels]), labels


def isoluminant(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> Drawing:
    """A disc and its ground that differ in hue at equal luminance (Rec. 709): grey vision sees nothing."""
    height, width = y.shape
    radius_px = 0.3 * min(height, width)
    centre_y = height * rng.uniform(0.4, 0.6)
    centre_x = width * rng.uniform(0.35, 0.65)
    labels = ((y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius_px**2).astype(np.int64)
    hue = rng.uniform(0, 1)
    colours = srgb_to_linear(torch.from_numpy(np.stack([_hue(hue, 0.5, 0.25), _hue(hue + 0.5, 0.5, 0.25)]))).numpy()
    colours *= 0.18 / (colours @ np.array([[0.2126], [0.7152], [0.0722]]))
    return linear_to_srgb(torch.from_numpy(colours)).numpy()[labels], labels


SCENES: Mapping[str, Painter] = {
    painter.__name__: painter for painter in (discs, stripes, mosaic, kanizsa, isoluminant)
}


def make_scene(
    kind: str, *, seed: int = 0, size: tuple[int, int] = (128, 192), grain: float = _GRAIN
) -> tuple[Tensor, Tensor]:
    """Draw a scene.

    Args:
        kind: a key of :data:`SCENES`.
        seed: same seed, same scene.
        size: (height, width), at least 32 px each.
        grain: standard deviation of the noise added to the image, in sRGB values.

    Returns:
        image (3, H, W) float32 in [0, 1]; labels (H, W) int64, 0 .. n-1 without gaps.

    Raises:
        ValueError: for an unknown kind (listing the legal ones) or a size below 32 px.
    """
    if kind not in SCENES:
        raise ValueError(f"unknown scene {kind!r}; choose from {', '.join(SCENES)}")
    if min(size) < 32:
        raise ValueError(f"expected a size of at least 32 px on each side, got {size}")
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    pixels, labels = SCENES[kind](rng, y, x)
    pixels = (pixels + grain * rng.standard_normal(pixels.shape)).clip(0, 1).astype(np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), torch.from_numpy(labels)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def _hue(hue: float, value: float, spread: float) -> np.ndarray:
    """sRGB colour (3,) of mean ``value``; ``hue`` in turns, channels within ``value`` +- ``spread`` (clipped)."""
    return (value + spread * np.cos(2 * math.pi * (hue - np.arange(3) / 3))).clip(0.02, 0.98)
