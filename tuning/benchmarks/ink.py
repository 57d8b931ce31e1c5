"""What official one-shot runs are named by without perceiving: the pixels, and where the ink lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.spatial.distance import cdist

from ciliary.tuning.benchmarks.episodes import Episode
from ciliary.tuning.benchmarks.pictures import NamedImages
from ciliary.tuning.benchmarks.tokens import unit

PIXELS, HAUSDORFF = "pixels", "modified Hausdorff distance"
NEAREST = "nearest"
WORDS: Mapping[str, str] = {
    PIXELS: "cosine of how dark each pixel is",
    HAUSDORFF: "mean distance of each inked pixel to the other's nearest, the larger of both ways, centres laid over "
    "each other (Dubuisson & Jain 1994)",
}


def ink_scores(named: NamedImages, episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
    """Name -> scores (E, N, C) of the test images each run asks for, higher is likelier; -inf where it does not."""
    train, test = (_darkness(half.images.numpy()) for half in (named.train, named.test))
    measures: Mapping[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray, np.ndarray], float]]] = {
        PIXELS: (lambda dark: unit(dark.ravel()), lambda a, b: float(a @ b)),
        HAUSDORFF: (_inked, lambda a, b: -modified_hausdorff(a, b)),
    }
    found = {}
    for name, (of, alike) in measures.items():
        scores = np.full((len(episodes), len(test), named.n_classes), -np.inf)
        examples, asked = [of(one) for one in train], [of(one) for one in test]
        for own, one in zip(scores, episodes, strict=True):
            for i in one.query:
                for j in one.support:
                    label = named.train.labels[j]
                    own[i, label] = max(own[i, label], alike(asked[i], examples[j]))
        found[name] = scores
    return found


def modified_hausdorff(a: np.ndarray, b: np.ndarray) -> float:
    """Of points (M, 2) and (N, 2): the larger of the mean distances to the nearest of the other; inf without points."""
    if not len(a) or not len(b):
        return float("inf")
    distance = cdist(a, b)
    return float(max(distance.min(0).mean(), distance.min(1).mean()))


def _darkness(images: np.ndarray) -> np.ndarray:
    return np.asarray(1 - images[:, 0].astype(np.float32) / 255)


def _inked(dark: np.ndarray) -> np.ndarray:
    points = np.argwhere(dark > 0.5).astype(float)
    return points - points.mean(0) if len(points) else points
