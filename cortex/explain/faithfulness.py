"""Does a map name the pixels that count? Delete them first, or insert them first, and watch (Petsiuk et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.explain.scalars import Scalars, Tick, no_tick, values_of


@dataclass(frozen=True, eq=False)
class Curves:
    """Each number as pixels go, and as they come, those the map names first; in the number's own units.

    Not in shares of the way from the image to the fill: where that is short, nothing would be left but its noise.

    Attributes:
        share: (K + 1,) of the pixels, 0 to 1.
        deletion: (M, K + 1), from the number of the image to that of the fill.
        insertion: (M, K + 1), the other way.
    """

    share: Tensor
    deletion: Tensor
    insertion: Tensor

    @property
    def deletion_area(self) -> Tensor:
        """(M,): the smaller, the better the map."""
        return torch.trapezoid(self.deletion, self.share)

    @property
    def insertion_area(self) -> Tensor:
        """(M,): the larger, the better the map."""
        return torch.trapezoid(self.insertion, self.share)


def rank_pixels(maps: Tensor, *, seed: int = 0) -> Tensor:
    """(M, H, W) to (M, H, W) int64: how many pixels each map names before; equals by lot."""
    flat = maps.flatten(1)
    lot = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed)).to(maps.device)
    order = lot[flat[:, lot].argsort(dim=1, descending=True, stable=True)]
    place = torch.arange(flat.shape[1], device=maps.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, place).view(maps.shape)


def deletion_insertion(
    of: Scalars,
    image: Tensor,
    fill: Tensor,
    maps: Tensor,
    which: Tensor,
    *,
    n_steps: int = 10,
    seed: int = 0,
    n_at_once: int = 16,
    tick: Tick = no_tick,
) -> Curves:
    """Curves of M maps.

    Args:
        of: images to T numbers each.
        image: (3, H, W) in [0, 1].
        fill: the same with nothing left in it, such as the blurred image.
        maps: (M, H, W); the greatest value is the pixel that counts most.
        which: (M,) int64, the number of ``of`` that each map is about.
        n_steps: K equal shares of the pixels that go or come.
        seed: of the lot between equal pixels.
        n_at_once: images through ``of`` at once.
        tick: told how many images were asked of.
    """
    rank = rank_pixels(maps, seed=seed)
    share = torch.linspace(0, 1, n_steps + 1, device=image.device)
    inner = (share[1:-1] * rank[0].numel()).round()
    is_first = rank[:, None] < inner.view(1, -1, 1, 1)  # (M, K - 1, H, W)
    ends = values_of(of, torch.stack([image, fill]), n_at_once=n_at_once)
    n_images, found, n_done = 2 * is_first[:, :, 0, 0].numel(), list[Tensor](), 0
    for i, first in enumerate(is_first):  # map by map: all images of all maps would not fit
        both = torch.stack([first, ~first])[:, :, None]  # where the fill is: deletion, insertion
        changed = torch.where(both, fill, image).flatten(0, 1)

        def told(n: int, n_all: int, before: int = n_done) -> None:
            del n_all
            tick(before + n, n_images)

        found.append(values_of(of, changed, n_at_once=n_at_once, tick=told)[:, which[i]].view(2, -1))
        n_done += len(changed)
    level = torch.stack(found, 1)  # (2, M, K - 1)
    top, bottom = ends[0, which, None], ends[1, which, None]
    return Curves(share, torch.cat([top, level[0], bottom], 1), torch.cat([bottom, level[1], top], 1))
