"""What can be read off each area by a line: named images, a linear head on each stage's answer, test accuracy.

A stage's answer is brought to one vector an image: maps by their means in a grid of 3 x 3 places, proto-objects by
their weighted mean. Heads are fitted on training images alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.percept import Percept
from ciliary.cortex.stages.m5_recognition import image_code, object_weight
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.benchmarks.pictures import NamedImages

_GRID = 3
_BATCH = 8


@dataclass(frozen=True)
class Probe:
    """How well a linear head names test images from one area."""

    area: str
    n_numbers: int
    named: Interval


def _grid(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C * 9)."""
    return F.adaptive_avg_pool2d(maps, _GRID).flatten(1)


def _objects(percept: Percept, values: Tensor) -> Tensor:
    """(B, S, d) to (B, d): mean of proto-objects, each as much as it counts."""
    return (object_weight(percept.m4)[..., None] * values).sum(1)


#: Area -> the vector (B, D) that is read off it.
AREAS: Mapping[str, Callable[[Percept], Tensor]] = {
    "retina": lambda p: _grid(torch.cat([p.retina.opponent, p.retina.on_off], 1)),
    "m1": lambda p: _grid(p.m1.energy),
    "m2": lambda p: _grid(torch.cat([p.m2.contour, p.m2.end_points, p.m2.barrier], 1)),
    "m3": lambda p: _grid(p.m3.texture_coarse),
    "m4": lambda p: _objects(p, p.m4.embedding),
    "m5": lambda p: torch.zeros(len(p.boundary), 0) if p.m5 is None else image_code(p),
}


@torch.no_grad()
def area_vectors(
    cortex: Cortex, images: Tensor, on_batch: Callable[[int], object] = lambda n: None
) -> dict[str, np.ndarray]:
    """The vectors (N, D) of each area that has any, of uint8 images (N, 3, H, W)."""
    parts: dict[str, list[np.ndarray]] = {area: [] for area in AREAS}
    for batch in images.split(_BATCH):
        percept = cortex(batch.to(cortex.device).float() / 255)
        for area, read in AREAS.items():
            parts[area].append(read(percept).cpu().numpy())
        on_batch(len(batch))
    joined = {area: np.concatenate(values) for area, values in parts.items()}
    return {area: values for area, values in joined.items() if values.shape[1]}


def probe(named: NamedImages, cortex: Cortex, on_batch: Callable[[int], object] = lambda n: None) -> list[Probe]:
    """Each area's accuracy, and that of guessing."""
    train, test = (area_vectors(cortex, half.images, on_batch) for half in (named.train, named.test))
    found = [Probe("guessing", 0, Interval(1 / len(named.classes), 1 / len(named.classes), 1 / len(named.classes), 0))]
    for area, vectors in train.items():
        head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        head.fit(vectors, named.train.labels)
        is_right = head.predict(test[area]) == named.test.labels
        found.append(Probe(area, vectors.shape[1], bootstrap_mean(is_right.astype(float))))
    return found
