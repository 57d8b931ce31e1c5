"""Synthetic cells with known masks, as under a microscope: stained cells with nuclei, on uneven light, among debris.

An image is drawn from its seed alone. Brightness does not answer: stain, light and contrast differ from image to image
and light within one, debris is as bright as nuclei and belongs to nobody, and cytoplasm differs from the ground by its
grain more than by its grey.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

CLASSES = ("background", "cytoplasm", "nucleus")
PREFIX = "synthetic-cells"
_N_HARMONICS = 4
_GRAIN = 0.02  # of the sensor


def synthetic_cells(seed: int, *, size_px: int = 128) -> tuple[Tensor, np.ndarray]:
    """One image and its classes.

    Args:
        seed: of all that is drawn.
        size_px: side of the square image; cells are a fixed share of it.

    Returns:
        (3, S, S) float32 sRGB in [0, 1], and (S, S) int64: 0 ground and debris, 1 cytoplasm, 2 nucleus.
    """
    rng = np.random.default_rng([seed, 811])
    y, x = np.mgrid[:size_px, :size_px] / size_px
    labels = np.zeros((size_px, size_px), np.int64)
    body = np.zeros((size_px, size_px))  # 1 inside a cell, less at its rim
    core = np.zeros((size_px, size_px))
    for _ in range(rng.integers(5, 12)):
        centre, radius, shape = rng.uniform(0.04, 0.96, 2), rng.uniform(0.07, 0.15), _outline(rng)
        inside = _depth(y, x, centre, radius, shape)
        is_free = inside > 0
        if (labels[is_free] > 0).mean() > 0.15:  # cells touch, and seldom lie on each other
            continue
        away = rng.uniform(-0.25, 0.25, 2) * radius
        nucleus = _depth(y, x, centre + away, radius * rng.uniform(0.35, 0.5), shape) > 0
        labels[is_free] = 1
        labels[is_free & nucleus] = 2
        body[is_free] = rng.uniform(0.7, 1.0) * (1 - np.exp(-inside[is_free] / 0.05))
        core[is_free] = 0
        core[is_free & nucleus] = rng.uniform(0.7, 1.0)
    unit = size_px / 128
    grain = _band(rng, labels.shape, 0.8 * unit) * body
    mottle = _band(rng, labels.shape, 3.0 * unit)  # of ground and cells alike
    light = 1 + 0.15 * _band(rng, labels.shape, 30.0 * unit)
    debris = np.zeros(labels.shape)
    for _ in range(rng.integers(4, 12)):
        debris = np.maximum(debris, _depth(y, x, rng.uniform(0, 1, 2), rng.uniform(0.01, 0.03), np.zeros(8)) > 0)
    contrast = rng.uniform(0.6, 1.0)
    stain = rng.choice([-1.0, 1.0]) * 0.06  # of cytoplasm: darker or brighter than the ground
    grey = 0.55 + contrast * (stain * body + 0.09 * grain - 0.16 * core) + 0.03 * mottle
    grey = np.where((debris > 0) & (labels == 0), grey - 0.16 * contrast, grey)
    grey = gaussian_filter(grey * light, 0.6 * unit)
    tint = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.12, 0.12, 3)
    image = grey * tint[:, None, None] + _GRAIN * rng.standard_normal((3, *labels.shape))
    return torch.from_numpy(np.clip(image, 0, 1).astype(np.float32)), labels


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Waves of the radius over the angle: an ellipse, and what makes it none."""
    fall = 0.22 / np.arange(1, _N_HARMONICS + 1)
    return np.concatenate([fall, fall]) * rng.uniform(-1, 1, 2 * _N_HARMONICS)


def _depth(y: np.ndarray, x: np.ndarray, centre: np.ndarray, radius: float, shape: np.ndarray) -> np.ndarray:
    """How far inside an outline, in radii: above 0 inside, below outside."""
    dy, dx = y - centre[0], x - centre[1]
    angle, waves = np.arctan2(dy, dx), np.ones_like(y)
    for i in range(_N_HARMONICS):
        waves += shape[i] * np.cos((i + 2) * angle) + shape[i + _N_HARMONICS] * np.sin((i + 2) * angle)
    return np.asarray(waves - np.hypot(dy, dx) / radius)


def _band(rng: np.random.Generator, size: tuple[int, int], sigma_px: float) -> np.ndarray:
    """Noise of one scale, standard deviation 1."""
    noise = gaussian_filter(rng.standard_normal(size), sigma_px, mode="wrap")
    noise -= gaussian_filter(noise, math.sqrt(3) * sigma_px, mode="wrap")
    return np.asarray(noise / noise.std())
