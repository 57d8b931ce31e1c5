"""Preferred stimuli: an image climbs a score (activation maximisation, Erhan et al. 2009, Simonyan et al. 2014)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.ops.smoothing import gaussian_blur

Score = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to numbers (B,), one for each image alone, differentiable."""

GREY = 0.5


@dataclass(frozen=True)
class AscentSettings:
    """How an image climbs.

    Attributes:
        n_steps: of the ascent.
        step: mean change of a value at each, of the range [0, 1].
        price: of contrast, free of the score's scale: where a score is linear, the image comes to rest at grey plus
            its gradient over (2 price times the gradient's mean magnitude). 0: nothing stops it but 0 and 1.
        blur_sigma_px: of the Gaussian that the image is smoothed by now and then, 0 for none: a prior for scales
            that people can see (Yosinski et al. 2015).
        jitter_px: largest shift, either way and along each side, before a step; undone after it.
        every: steps between one blur, or shift, and the next.
    """

    n_steps: int = 60
    step: float = 0.02
    price: float = 4.0
    blur_sigma_px: float = 0.5
    jitter_px: int = 2
    every: int = 10

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.every < 1 or self.step <= 0:
            raise ValueError(f"expected n_steps >= 1, every >= 1, step > 0, got {self}")
        if min(self.price, self.blur_sigma_px, self.jitter_px) < 0:
            raise ValueError(f"expected price, blur_sigma_px and jitter_px >= 0, got {self}")


def ascend(
    score: Score,
    start: Tensor,
    settings: AscentSettings | None = None,
    *,
    seed: int = 0,
    on_step: Callable[[], object] = lambda: None,
) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] that climb ``score`` from ``start``, all at once; not beyond [0, 1].

    A step follows the gradient over its mean magnitude, image by image, as DeepDream does: scores need no common
    scale.
    """
    s = AscentSettings() if settings is None else settings
    rng = torch.Generator().manual_seed(seed)
    image = start.detach().clone()
    for i in range(s.n_steps):
        dy, dx = (
            torch.randint(-s.jitter_px, s.jitter_px + 1, (2,), generator=rng).tolist() if i % s.every == 0 else (0, 0)
        )
        image = rolled_step(score, image, (dy, dx), step=s.step, price=s.price)
        if s.blur_sigma_px and (i + 1) % s.every == 0 and i + 1 < s.n_steps:
            image = gaussian_blur(image, image.new_full((len(image),), s.blur_sigma_px))
        on_step()
    return image


def rolled_step(score: Score, image: Tensor, shift: tuple[int, int], *, step: float, price: float = 0.0) -> Tensor:
    """One step up ``score``, seen shifted by ``shift`` (down, right) px, around the borders; the shift is undone."""
    seen = image.roll(shift, (2, 3))
    seen = (seen + step * (direction(score, seen) - 2 * price * (seen - GREY))).clamp(0, 1)
    return seen.roll((-shift[0], -shift[1]), (2, 3))


def direction(score: Score, image: Tensor) -> Tensor:
    """Where ``score`` rises most: its gradient over its mean magnitude, (B, 3, H, W); 0 where there is none."""
    with torch.enable_grad():
        seen = image.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(score(seen).sum(), seen)
    size = gradient.abs().mean((1, 2, 3), keepdim=True)
    return torch.where(torch.isfinite(size) & (size > 0), gradient / size, torch.zeros_like(gradient))


def noise_around_grey(shape: tuple[int, int, int, int], *, seed: int = 0, sigma: float = 0.01) -> Tensor:
    """Where an ascent starts: grey, and a little Gaussian noise, the same for a seed everywhere."""
    rng = torch.Generator().manual_seed(seed)
    return (GREY + sigma * torch.randn(shape, generator=rng)).clamp(0, 1)
