"""What the controller sees of an episode: a small image, the statistics of the percept, the loss terms, u.

The disturbance is never in it: what happened to the image must be read from the image and from the percept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

from ciliary.cortex import Percept
from ciliary.envs.dynamics import LOSS_CEILING, felt

#: Height and width of the observed image; stable-baselines3's convolutional network needs at least 36.
IMAGE_PX = 48

_EPS = 1e-8

#: (name, stage, field) of the non-negative maps of which mean, spread and sparsity are told.
_MAPS = (
    ("on_off", "retina", "on_off"),
    ("energy", "m1", "energy"),
    ("boundary", "m1", "boundary"),
    ("affinity", "m1", "affinity"),
    ("end_points", "m2", "end_points"),
    ("contour", "m2", "contour"),
    ("barrier", "m2", "barrier"),
    ("texture", "m3", "texture"),
)
#: (name, stage, field) of the simplex maps of which confidence and effective number are told.
_SIMPLICES = (
    ("regions_s1", "m1", "regions"),
    ("regions_s2", "m2", "regions"),
    ("slots", "m3", "slots"),
    ("masks", "m4", "masks"),
)
_LIGHT = ("light_mean", "light_std", "red_green_mean", "blue_yellow_mean")
_OBJECTS = ("boundary_density", "objectness_mean", "objectness_max", "n_segments_share")

#: Names of the entries of the observation's ``statistics``, in their order.
STATISTICS: tuple[str, ...] = (
    *_LIGHT,
    *(f"{name}_{what}" for name, _, _ in _MAPS for what in ("mean", "std", "sparsity")),
    *(f"{name}_{what}" for name, _, _ in _SIMPLICES for what in ("confidence", "effective_share")),
    *_OBJECTS,
)


def observation_space(n_parameters: int, term_names: Sequence[str]) -> spaces.Dict:
    """The flat Dict of one episode; ``term_names`` includes ``total``."""
    return spaces.Dict(
        {
            "image": spaces.Box(0, 255, (3, IMAGE_PX, IMAGE_PX), np.uint8),
            "statistics": spaces.Box(-1.0, 1.0, (len(STATISTICS),), np.float32),
            "terms": spaces.Box(-LOSS_CEILING, LOSS_CEILING, (len(term_names),), np.float32),
            "u": spaces.Box(-1.0, 1.0, (n_parameters,), np.float32),
        }
    )


def thumbnail(image: Tensor) -> np.ndarray:
    """Images (N, 3, H, W) in [0, 1] as (N, 3, 48, 48) uint8; area-like (antialiased) and without regard to aspect."""
    small = F.interpolate(image, size=(IMAGE_PX, IMAGE_PX), mode="bilinear", antialias=True, align_corners=False)
    return (small.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def observed_terms(terms: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Terms by name, each (N,), as (N, T) float32 inside the observation space; a term not measured is told as 0."""
    unmeasured = np.zeros_like(terms["total"])
    return felt(np.stack([terms.get(name, unmeasured) for name in names], axis=1)).astype(np.float32)


@torch.no_grad()
def statistics(image: Tensor, percept: Percept) -> np.ndarray:
    """The entries of :data:`STATISTICS` for N images (N, 3, H, W) and their percepts, (N, D) float32 in [-1, 1].

    Means and spreads m of maps without an upper bound are told as m / (1 + m); sparsity is Hoyer's (2004)
    (sqrt(n) - L1 / L2) / (sqrt(n) - 1): 0 for a flat map, 1 for a single active unit. Confidence is the mean of the
    largest share over pixels; effective share is exp(entropy of the occupancy) / number of units.
    Values that are not numbers are told as 0.
    """
    columns = [*_light(image)]
    for _, stage, field in _MAPS:
        columns += _map_columns(getattr(getattr(percept, stage), field))
    for _, stage, field in _SIMPLICES:
        columns += _simplex_columns(getattr(getattr(percept, stage), field))
    columns += _object_columns(percept)
    return torch.stack(columns, dim=1).nan_to_num(0.0).clamp(-1, 1).to(torch.float32).numpy()


def _light(image: Tensor) -> list[Tensor]:
    red, green, blue = image.flatten(2).mean(2).unbind(1)
    light = image.mean(1).flatten(1)
    return [light.mean(1), light.std(1), red - green, blue - (red + green) / 2]


def _map_columns(field: Tensor) -> list[Tensor]:
    x = field.flatten(1).abs()
    mean, std = x.mean(1), x.std(1)
    root_n = x.shape[1] ** 0.5
    # mean / rms = L1 / (sqrt(n) L2); a blank map has no active unit: sparsity 0
    hoyer = root_n * (1 - mean / (x.square().mean(1).sqrt() + _EPS)) / (root_n - 1)
    return [mean / (1 + mean), std / (1 + std), torch.where(mean > _EPS, hoyer, 0.0)]


def _simplex_columns(field: Tensor) -> list[Tensor]:
    occupancy = field.flatten(2).mean(2)
    entropy = -(occupancy * (occupancy + _EPS).log()).sum(1)
    return [field.amax(1).flatten(1).mean(1), entropy.exp() / field.shape[1]]


def _object_columns(percept: Percept) -> list[Tensor]:
    masks, objectness = percept.m4.masks, percept.m4.objectness
    n_slots = masks.shape[1]
    labels = masks.argmax(1)
    is_seen = F.one_hot(labels.flatten(1), n_slots).amax(1).to(objectness)
    n_seen = is_seen.sum(1)
    density = (percept.m2.contour > 0.5).flatten(1).float().mean(1)
    mean = (objectness * is_seen).sum(1) / n_seen
    return [density, mean, objectness.amax(1), n_seen / n_slots]
