"""Dreams: what a stage answers to, made stronger, coarse to fine (DeepDream, Mordvintsev et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.synthesis.ascent import Score, rolled_step


@dataclass(frozen=True)
class DreamSettings:
    """How an image is dreamt on.

    Attributes:
        n_octaves: sizes that are dreamt at; the smallest is ``zoom ** (n_octaves - 1)`` times smaller than the image.
        zoom: from one size to the next.
        n_steps: of the ascent at each size.
        step: mean change of a value at each, of the range [0, 1].
        jitter_px: largest shift, either way and along each side, before each step; undone after it.
        least_px: sizes with a shorter side are left out.
    """

    n_octaves: int = 4
    zoom: float = 1.4
    n_steps: int = 10
    step: float = 0.004
    jitter_px: int = 10
    least_px: int = 32

    def __post_init__(self) -> None:
        if self.n_octaves < 1 or self.n_steps < 1 or self.zoom <= 1 or self.step <= 0 or self.jitter_px < 0:
            raise ValueError(
                f"expected n_octaves >= 1, n_steps >= 1, zoom > 1, step > 0 and jitter_px >= 0, got {self}"
            )

    def sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """The sizes (h, w) that are dreamt at, the smallest first and the image's own last."""
        scaled = [(round(height / self.zoom**i), round(width / self.zoom**i)) for i in range(self.n_octaves - 1, 0, -1)]
        return [size for size in scaled if min(size) >= self.least_px] + [(height, width)]


def dream(
    score: Score,
    image: Tensor,
    settings: DreamSettings | None = None,
    *,
    seed: int = 0,
    on_step: Callable[[], object] = lambda: None,
) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] with more of what ``score`` likes.

    At each size the dream so far is enlarged, and the detail that the smaller size could not hold is put back from the
    image itself: without that, every octave would only blur. ``score`` is asked at every size.
    """
    s = DreamSettings() if settings is None else settings
    rng = torch.Generator().manual_seed(seed)
    sizes = s.sizes(image.shape[-2], image.shape[-1])
    image = image.detach()
    dreamt = resized(image, sizes[0])
    for i, size in enumerate(sizes):
        own = resized(image, size)
        if i:
            lost = own - resized(resized(image, sizes[i - 1]), size)
            dreamt = (resized(dreamt, size) + lost).clamp(0, 1)
        for _ in range(s.n_steps):
            dy, dx = torch.randint(-s.jitter_px, s.jitter_px + 1, (2,), generator=rng).tolist()
            dreamt = rolled_step(score, dreamt, (dy, dx), step=s.step)
            on_step()
    return dreamt


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 3, H, W) at another size, without aliasing, in [0, 1]."""
    if tuple(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)
