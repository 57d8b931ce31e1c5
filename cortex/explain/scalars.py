"""What is explained: functions of images; how many images go through at once; and what stands for nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ciliary.cortex.ops.smoothing import gaussian_blur

Scalars = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to T numbers each, (B, T)."""

Tick = Callable[[int, int], object]
"""Steps done, and steps to do."""


def no_tick(n_done: int, n_all: int) -> None:
    """Nobody watches."""
    del n_done, n_all


def local_mean(image: Tensor, sigma_px: float) -> Tensor:
    """What stands for a hidden part of an image (3, H, W): the mean of its surroundings, Gaussian.

    Zeros or grey would draw edges of their own, which drive the very filters that are asked.
    """
    return gaussian_blur(image[None], image.new_tensor([sigma_px]))[0].clamp(0, 1)


@torch.no_grad()
def values_of(of: Scalars, images: Tensor, *, n_at_once: int, tick: Tick = no_tick) -> Tensor:
    """``of`` all images (N, 3, H, W), (N, T), so many at once."""
    parts: list[Tensor] = []
    for i, part in enumerate(images.split(n_at_once)):
        parts.append(of(part))
        tick(min(len(images), (i + 1) * n_at_once), len(images))
    return torch.cat(parts)
