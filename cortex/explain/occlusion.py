"""Hide a part, and see how far a number falls (Zeiler & Fergus 2014)."""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.explain.scalars import Scalars, Tick, local_mean, no_tick, values_of


def window_starts(n: int, side: int, stride: int) -> list[int]:
    """First pixels of windows along an axis of ``n``; the last window ends where the axis does.

    Raises:
        ValueError: a window larger than the axis, or steps that leave gaps.
    """
    if not 0 < side <= n or not 0 < stride <= side:
        raise ValueError(f"expected 0 < side <= {n} and 0 < stride <= side, got a side of {side} and steps of {stride}")
    return [*range(0, n - side, stride), n - side]


def windows(size: tuple[int, int], side: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Which pixels each window hides, (N, H, W) bool, row by row; each pixel is hidden by one at least."""

    def spans(n: int, side: int, stride: int) -> Tensor:
        first = torch.tensor(window_starts(n, side, stride))[:, None]
        pixel = torch.arange(n)
        return (pixel >= first) & (pixel < first + side)

    rows, columns = (spans(*axis) for axis in zip(size, side, stride, strict=True))
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1)


def mean_of_overlaps(hidden: Tensor, value: Tensor) -> Tensor:
    """Each pixel's mean over the windows (N, H, W) that hide it, of their values (N, T): (T, H, W)."""
    cover = hidden.to(value.dtype)
    return torch.einsum("nhw,nt->thw", cover, value) / cover.sum(0)


def occlusion_maps(
    of: Scalars,
    image: Tensor,
    *,
    share: float = 0.25,
    step: float = 0.5,
    n_at_once: int = 16,
    tick: Tick = no_tick,
) -> Tensor:
    """How far each number falls when a place is hidden behind its surroundings' mean: (T, H, W), the mean of windows.

    Args:
        of: what is asked.
        image: (3, H, W) in [0, 1].
        share: of each side that a window hides, in (0, 1].
        step: between windows, in sides of a window, in (0, 1].
        n_at_once: images through ``of`` at once.
        tick: told how many images were asked of.
    """
    size = (image.shape[-2], image.shape[-1])
    side = tuple(max(1, round(share * n)) for n in size)
    stride = tuple(max(1, round(step * n)) for n in side)
    hidden = windows(size, (side[0], side[1]), (stride[0], stride[1])).to(image.device)
    fill = local_mean(image, max(side))
    batch = torch.cat([image[None], torch.where(hidden[:, None], fill, image)])
    value = values_of(of, batch, n_at_once=n_at_once, tick=tick)
    return mean_of_overlaps(hidden, value[:1] - value[1:])
