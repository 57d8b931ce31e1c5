"""Images with names, in a training and a test half, and how any picture becomes a square of the size asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images and what they show.

    Attributes:
        images: (N, 3, P, P) uint8, sRGB.
        labels: (N,) int64, 0 .. number of classes - 1.
        task: (N,) int64; names are told apart within a task only. All 0 where there is one task.
    """

    images: Tensor
    labels: np.ndarray
    task: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.ndim != 4 or self.images.shape[1] != 3 or self.images.dtype != torch.uint8:
            raise ValueError(f"expected images (N, 3, P, P) of uint8, got {tuple(self.images.shape)}")
        if self.labels.shape != (n,) or self.task.shape != (n,):
            raise ValueError(f"expected {n} labels and tasks, got {self.labels.shape} and {self.task.shape}")

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class NamedImages:
    """A data set to name.

    Attributes:
        source: what it is, in words, without folders.
        classes: names, in the order of the labels.
        train: examples are drawn from these.
        test: these are to be named.
        has_runs: tasks are official runs, whose examples are all the training images of the run.
        problems: a line for each file that could not be read.
    """

    source: str
    classes: tuple[str, ...]
    train: Pictures
    test: Pictures
    has_runs: bool = False
    problems: tuple[str, ...] = ()

    @property
    def size_px(self) -> int:
        """Side of the images."""
        return self.train.images.shape[-1]

    @property
    def n_classes(self) -> int:
        """Number of names."""
        return len(self.classes)


def squared(images: Tensor, size_px: int) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] as uint8 squares of ``size_px``: the short side fitted, the middle kept."""
    height, width = images.shape[-2:]
    short = min(height, width)
    fitted = (max(size_px, round(height * size_px / short)), max(size_px, round(width * size_px / short)))
    if fitted != (height, width):
        images = F.interpolate(images, size=fitted, mode="bicubic", antialias=True, align_corners=False)
    top, left = ((side - size_px) // 2 for side in fitted)
    images = images[..., top : top + size_px, left : left + size_px]
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def evenly(n: int, n_kept: int | None) -> np.ndarray:
    """Which ``n_kept`` of ``n`` to keep, evenly spaced; all when None or when there are not more."""
    if n_kept is None or n_kept >= n:
        return np.arange(n)
    return np.asarray(np.linspace(0, n - 1, n_kept).round(), np.int64)
