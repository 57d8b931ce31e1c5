"""What an image is to the benchmarks: tokens, as the cortex answers, or features, unit vectors with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.percept import Percept

LEAST_WEIGHT = 0.01  # lighter proto-objects are empty slots' remains, and must not be anybody's best match


@dataclass(frozen=True, eq=False)
class Features:
    """M unit vectors of N images, image after image.

    Attributes:
        vectors: (M, D) float32, length 1 (0 where there is nothing).
        weight: (M,) sums to 1 within an image.
        starts: (N,) where the vectors of each image begin; every image has at least one.
    """

    vectors: np.ndarray
    weight: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def image(self) -> np.ndarray:
        """(M,) which image each vector is of."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts, append=len(self.vectors)))

    @cached_property
    def means(self) -> np.ndarray:
        """(N, D) weighted mean of each image's vectors, brought to length 1."""
        return unit(np.add.reduceat(self.vectors * self.weight[:, None], self.starts))

    def rows(self, images: np.ndarray) -> np.ndarray:
        """(M,) bool, the vectors of these images."""
        return np.isin(self.image, images)

    def of(self, images: np.ndarray) -> Features:
        """These images alone, in this order."""
        ends = np.append(self.starts[1:], len(self.vectors))
        rows = [np.arange(self.starts[i], ends[i]) for i in images]
        starts = np.cumsum([0, *(len(own) for own in rows[:-1])])
        index = np.concatenate(rows)
        return Features(self.vectors[index], self.weight[index], starts)

    def image_sums(self, values: np.ndarray) -> np.ndarray:
        """Values (M, C) of the vectors to their weighted mean in each image, (N, C)."""
        return np.add.reduceat(values * self.weight[:, None], self.starts)


def sets(vectors: np.ndarray, weight: np.ndarray, *, least_weight: float = LEAST_WEIGHT) -> Features:
    """Vectors (N, T, D) and weights (N, T) as features, without the vectors that hardly count.

    The heaviest of an image is kept whatever it weighs.
    """
    if vectors.ndim != 3 or vectors.shape[:2] != weight.shape or 0 in vectors.shape:
        raise ValueError(f"expected vectors (N, T, D) and weights (N, T), got {vectors.shape} and {weight.shape}")
    is_kept = weight >= least_weight
    is_kept[np.arange(len(weight)), weight.argmax(1)] = True
    kept = np.where(is_kept, weight, 0)
    kept = kept / kept.sum(1, keepdims=True)
    starts = np.concatenate([[0], np.cumsum(is_kept.sum(1))[:-1]])
    return Features(unit(vectors[is_kept]), kept[is_kept].astype(np.float32), starts)


def single(vectors: np.ndarray) -> Features:
    """One vector an image, (N, D)."""
    return sets(vectors[:, None], np.ones((len(vectors), 1), np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) at length 1, float32; what is 0 stays 0."""
    vectors = np.asarray(vectors, np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


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
        curves: (N, T, d'') V4's embedding of each, or None.
        figure: (N, P, U) V4's cells over the whole image as one figure, or None.
    """

    description: np.ndarray
    code: np.ndarray
    gate: np.ndarray
    weight: np.ndarray
    seconds: np.ndarray
    pooled: np.ndarray | None = None
    deep: np.ndarray | None = None
    curves: np.ndarray | None = None
    figure: np.ndarray | None = None

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


def tokens_of(percept: Percept, deep: Tensor | None, *, n_tokens: int, seconds: float) -> Tokens:
    """The ``n_tokens`` heaviest proto-objects of each image.

    Args:
        percept: of B images, by a cortex that recognises.
        deep: (B, C', h, w) the deep map they were pooled from, or None.
        n_tokens: T; fewer where the cortex has fewer.
        seconds: for the whole batch.
    """
    m4, m5 = percept.m4, percept.m5
    if m5 is None:
        raise ValueError("expected a cortex that recognises; build it with recognise=True")
    weight, index = m5.weight.topk(min(n_tokens, m5.weight.shape[1]), 1)
    total = weight.sum(1, keepdim=True)
    # An image of which nothing counts still has a name: all that is in it counts the same.
    weight = torch.where(total > 0, weight / total.clamp_min(1e-12), 1 / weight.shape[1])

    def picked(x: Tensor) -> np.ndarray:
        return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1])).cpu().numpy()

    return Tokens(
        description=picked(m5.description),
        code=picked(m5.code),
        gate=picked(m5.gate),
        weight=weight.cpu().numpy(),
        seconds=np.full(len(weight), seconds / len(weight)),
        # Half precision: two decimals more than the features are worth, at half the room.
        pooled=None if m5.pooled is None else picked(m5.pooled).astype(np.float16),
        deep=None if deep is None else deep.mean((2, 3)).cpu().numpy(),
        curves=None if m4.curves is None else picked(m4.curves).astype(np.float16),
        figure=None if m4.figure is None else m4.figure.cpu().numpy().astype(np.float16),
    )
