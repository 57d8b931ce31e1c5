"""Ragged sets of unit vectors: the proto-objects of each image that count, or one vector for the whole image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
