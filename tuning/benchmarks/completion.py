"""Hiding: occluders laid over images, and how well M5 fills in what is hidden of a description."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.description import PARTS
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.tuning.benchmarks.tokens import Tokens

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


LEARNED, GIST, MEAN = "M5 completes", "gist of the others", "mean"
CLAMP = 5.0  # standardised entries lie within, as M5 sees them


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean and spread (d,) by which descriptions are standardised."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, tokens: Tokens, net: ExpertBank | None) -> Standard:
        """The learned M5's own; without one, that of training images' proto-objects, by weight."""
        if net is not None:
            return cls(net.mean.numpy(), net.spread.numpy())
        weight = tokens.weight[..., None] / len(tokens)
        mean = (weight * tokens.description).sum((0, 1))
        spread = np.sqrt((weight * (tokens.description - mean) ** 2).sum((0, 1)))
        return cls(mean, np.maximum(spread, 1e-6))

    def apply(self, description: np.ndarray) -> np.ndarray:
        """Descriptions (..., d) in units of the spread, within ``CLAMP``."""
        return np.asarray(np.clip((description - self.mean) / self.spread, -CLAMP, CLAMP), np.float32)


def completion_errors(
    tokens: Tokens, standard: Standard, net: ExpertBank | None
) -> Mapping[str, Mapping[str, np.ndarray]]:
    """Mean square error of a hidden part, in units of its spread.

    One part after the other is hidden of every proto-object, and each predictor says what it was: the learned M5 from
    the object's other parts; the gist, M5 without learning, as the weighted mean of the image's *other* proto-objects
    (the object's own entry is what is asked for); and the mean, which is 0 in standardised units.

    Args:
        tokens: of N images.
        standard: the units.
        net: of a learned M5, or None.

    Returns:
        part -> predictor -> (N,), objects weighted by M5's weight.
    """
    truth = standard.apply(tokens.description)
    weight = tokens.weight[..., None]
    rest = 1 - weight
    # Of an image that is one object there are no others: the mean is all that is left to say.
    gist = np.where(
        rest > 1e-6, ((weight * truth).sum(1, keepdims=True) - weight * truth) / np.maximum(rest, 1e-6), 0.0
    )
    errors: dict[str, dict[str, np.ndarray]] = {}
    for i, (name, part) in enumerate(PARTS.items()):
        guesses = {GIST: gist[..., part], MEAN: np.zeros_like(truth[..., part])}
        if net is not None:
            guesses = {LEARNED: _completed(net, truth, i)[..., part], **guesses}
        errors[name] = {
            who: (((guess - truth[..., part]) ** 2).mean(2) * tokens.weight).sum(1) for who, guess in guesses.items()
        }
    return errors


@torch.no_grad()
def _completed(net: ExpertBank, truth: np.ndarray, i_part: int) -> np.ndarray:
    """What the net makes of standardised descriptions (N, T, d) without one part."""
    flat = torch.from_numpy(truth).flatten(0, 1)
    visible = torch.ones(len(flat), len(PARTS))
    visible[:, i_part] = 0
    completed: np.ndarray = net(flat, visible)[1].numpy().reshape(truth.shape)
    return completed
