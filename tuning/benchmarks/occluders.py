"""Squares that hide part of an image: grey, black, or noise, at seeded places."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

OCCLUDERS = ("grey", "noise", "black")
_GREY = 128


@dataclass(frozen=True)
class Occluder:
    """What hides, and how much.

    Attributes:
        kind: one of :data:`OCCLUDERS`; noise is uniform in each pixel and channel.
        share: of the image's area, in [0, 1); the square's side is rounded to pixels.
    """

    kind: str
    share: float

    def __post_init__(self) -> None:
        if self.kind not in OCCLUDERS:
            raise ValueError(f"no occluder {self.kind!r}; choose from {', '.join(OCCLUDERS)}")
        if not 0 <= self.share < 1:
            raise ValueError(f"expected a share in [0, 1), got {self.share}")


def occlude(images: Tensor, occluder: Occluder, *, seed: int) -> Tensor:
    """Images (N, 3, P, P) of uint8 with a square of each hidden.

    With one seed, the squares of all kinds and shares lie in the same direction from the middle of an image: what
    differs between two conditions is the kind or the share alone.
    """
    size = images.shape[-1]
    if images.shape[-2] != size:
        raise ValueError(f"expected square images, got {tuple(images.shape[-2:])}")
    side = round(math.sqrt(occluder.share) * size)
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(len(images), 2, generator=generator) * (size - side + 1)
    corner = corner.floor().long().clamp_max(size - side)  # rand() * n can round up to n
    steps = torch.arange(size)
    is_row, is_column = ((steps >= c[:, None]) & (steps < c[:, None] + side) for c in corner.unbind(1))
    is_hidden = (is_row[:, :, None] & is_column[:, None])[:, None]
    return torch.where(is_hidden, _cover(images, occluder.kind, generator), images)


def _cover(images: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    if kind == "noise":
        return torch.randint(0, 256, images.shape, generator=generator, dtype=torch.uint8)
    return torch.full_like(images, _GREY if kind == "grey" else 0)
