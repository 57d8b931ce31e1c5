"""What the controller sees of an episode: a small image, the statistics of the percept, the loss terms, u.

The disturbance is never in it: what happened to the image must be read from the image and from the percept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.envs.dynamics import LOSS_CEILING, felt
from ciliary.envs.objective.terms import TERMS

Obs = dict[str, np.ndarray]

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

#: Names of the entries of the observation's ``statistics`` where the perceiver has stages, in their order.
STATISTICS: tuple[str, ...] = (
    *_LIGHT,
    *(f"{name}_{what}" for name, _, _ in _MAPS for what in ("mean", "std", "sparsity")),
    *(f"{name}_{what}" for name, _, _ in _SIMPLICES for what in ("confidence", "effective_share")),
    *_OBJECTS,
)

#: The same for any other perceiver: what masks and boundary tell.
PLAIN_STATISTICS: tuple[str, ...] = (
    *_LIGHT,
    *(f"boundary_{what}" for what in ("mean", "std", "sparsity")),
    *(f"masks_{what}" for what in ("confidence", "effective_share")),
    "n_segments_share",
)
#: Order of the observation's ``terms``.
OBSERVED_TERMS: tuple[str, ...] = (*TERMS, "total")


class Observer:
    """What is told of percepts: the same entries, in the same order, for every episode of a perceiver.

    Attributes:
        statistics: names of the entries of ``statistics``.
        terms: names of the entries of ``terms``.
        space: of one episode's observation.
    """

    def __init__(self, perceiver: Perceiver) -> None:
        self._has_stages = "stages" in perceiver.answers
        self.statistics = STATISTICS if self._has_stages else PLAIN_STATISTICS
        self.terms = OBSERVED_TERMS
        self.space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (3, IMAGE_PX, IMAGE_PX), np.uint8),
                "statistics": spaces.Box(-1.0, 1.0, (len(self.statistics),), np.float32),
                "terms": spaces.Box(-LOSS_CEILING, LOSS_CEILING, (len(self.terms),), np.float32),
                "u": spaces.Box(-1.0, 1.0, (len(perceiver.table),), np.float32),
            }
        )

    def observe(self, images: Tensor, percept: AbstractPercept, terms: Mapping[str, np.ndarray], u: np.ndarray) -> Obs:
        """Observations of N episodes: images (N, 3, H, W), their percepts, terms (N,) each, settings (N, P)."""
        told = statistics(images, percept) if self._has_stages else plain_statistics(images, percept)
        seen = observed_terms(terms, self.terms)
        return {"image": thumbnail(images), "statistics": told, "terms": seen, "u": u}


def thumbnail(image: Tensor) -> np.ndarray:
    """Images (N, 3, H, W) in [0, 1] as (N, 3, 48, 48) uint8; area-like (antialiased) and without regard to aspect."""
    small = F.interpolate(image, size=(IMAGE_PX, IMAGE_PX), mode="bilinear", antialias=True, align_corners=False)
    return (small.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def observed_terms(terms: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Terms by name, each (N,), as (N, T) float32 inside the observation space; a term not measured is told as 0."""
    unmeasured = np.zeros_like(terms["total"])
    return felt(np.stack([terms.get(name, unmeasured) for name in names], axis=1)).astype(np.float32)


@torch.no_grad()
def plain_statistics(image: Tensor, percept: AbstractPercept) -> np.ndarray:
    """The entries of :data:`PLAIN_STATISTICS`, (N, D) float32 in [-1, 1]; see :func:`statistics`."""
    masks = percept.masks
    n_seen = F.one_hot(masks.argmax(1).flatten(1), masks.shape[1]).amax(1).sum(1)
    columns = [
        *_light(image.to(masks.device)),
        *_map_columns(percept.boundary),
        *_simplex_columns(masks),
        n_seen / masks.shape[1],
    ]
    return torch.stack(columns, dim=1).nan_to_num(0.0).clamp(-1, 1).to(torch.float32).cpu().numpy()


@torch.no_grad()
def statistics(image: Tensor, percept: Any) -> np.ndarray:
    """The entries of :data:`STATISTICS` for N images (N, 3, H, W) and their percepts, (N, D) float32 in [-1, 1].

    The percept is one with stages (:class:`ciliary.cortex.Percept`).

    Means and spreads m of maps without an upper bound are told as m / (1 + m); sparsity is Hoyer's (2004)
    (sqrt(n) - L1 / L2) / (sqrt(n) - 1): 0 for a flat map, 1 for a single active unit. Confidence is the mean of the
    largest share over pixels; effective share is exp(entropy of the occupancy) / number of units.
    Values that are not numbers are told as 0.
    """
    columns = [*_light(image.to(percept.m1.boundary.device))]
    for _, stage, field in _MAPS:
        columns += _map_columns(getattr(getattr(percept, stage), field))
    for _, stage, field in _SIMPLICES:
        columns += _simplex_columns(getattr(getattr(percept, stage), field))
    columns += _object_columns(percept)
    return torch.stack(columns, dim=1).nan_to_num(0.0).clamp(-1, 1).to(torch.float32).cpu().numpy()


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


def _object_columns(percept: Any) -> list[Tensor]:
    masks, objectness = percept.m4.masks, percept.m4.objectness
    n_slots = masks.shape[1]
    labels = masks.argmax(1)
    is_seen = F.one_hot(labels.flatten(1), n_slots).amax(1).to(objectness)
    n_seen = is_seen.sum(1)
    density = (percept.m2.contour > 0.5).flatten(1).float().mean(1)
    mean = (objectness * is_seen).sum(1) / n_seen
    return [density, mean, objectness.amax(1), n_seen / n_slots]
