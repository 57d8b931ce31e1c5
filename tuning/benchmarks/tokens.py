"""What is kept of percepts for naming: a few proto-objects of each image, heaviest first, and one image-wide vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.percept import M5Out


@dataclass(frozen=True, eq=False)
class Tokens:
    """Proto-objects of N images, T of each.

    Attributes:
        description: (N, T, d) what M5 was told.
        code: (N, T, d') what M5 made of it, length 1.
        gate: (N, T, E) share of each expert.
        weight: (N, T) how much each counts, falling; sums to 1.
        seconds: (N,) what it took to perceive each image.
        pooled: (N, T, C') deep features of each, or None.
        deep: (N, C') deep features of the whole image, or None.
    """

    description: np.ndarray
    code: np.ndarray
    gate: np.ndarray
    weight: np.ndarray
    seconds: np.ndarray
    pooled: np.ndarray | None = None
    deep: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.weight)

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields that are there, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def joined(parts: Sequence[Tokens]) -> Tokens:
    """One after another; all of the same cortex."""
    if not parts:
        raise ValueError("expected one or more parts, got none")
    return Tokens(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in parts[0].arrays()})


def tokens_of(m5: M5Out, deep: Tensor | None, *, n_tokens: int, seconds: float) -> Tokens:
    """The ``n_tokens`` heaviest proto-objects of each image.

    Args:
        m5: of B images.
        deep: (B, C', h, w) the deep map they were pooled from, or None.
        n_tokens: T; fewer where the cortex has fewer.
        seconds: for the whole batch.
    """
    weight, index = m5.weight.topk(min(n_tokens, m5.weight.shape[1]), 1)
    total = weight.sum(1, keepdim=True)
    # An image of which nothing counts still has a name: all that is in it counts the same.
    weight = torch.where(total > 0, weight / total.clamp_min(1e-12), 1 / weight.shape[1])

    def picked(x: Tensor) -> np.ndarray:
        return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1])).numpy()

    return Tokens(
        description=picked(m5.description),
        code=picked(m5.code),
        gate=picked(m5.gate),
        weight=weight.numpy(),
        seconds=np.full(len(weight), seconds / len(weight)),
        # Half precision: two decimals more than the features are worth, at half the room.
        pooled=None if m5.pooled is None else picked(m5.pooled).astype(np.float16),
        deep=None if deep is None else deep.mean((2, 3)).numpy(),
    )
