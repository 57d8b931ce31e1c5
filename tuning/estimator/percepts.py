"""One image accommodated without labels: what is told of it, at its own size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.agents.base import ControllerBase
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.agents.trace import Trace
from ciliary.cortex.device import to_device
from ciliary.cortex.integration.percept import IntegratedPercept, integrate
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.envs.data.reading import Photograph
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.sessions.playing import play

_APART = -1.0  # a height under which no two regions are joined


@dataclass(frozen=True, eq=False)
class ImagePercept:
    """What was perceived in an image of H x W pixels.

    Attributes:
        labels: (H, W) int32, 0 .. number of regions - 1.
        boundary: (H, W) float32 in [0, 1], strength of boundary.
        uncertainty: (H, W) float32 in [0, 1]: 1 - the mean intersection over union of the region at a pixel and the
            looks' regions there; None where one setting was searched for, which took no looks.
        trace: what was tried, what the guard said, and what was chosen.
        percept: the same at the size that was looked at, a batch of one on the CPU.
    """

    labels: np.ndarray
    boundary: np.ndarray
    uncertainty: np.ndarray | None
    trace: Trace
    percept: AbstractPercept

    @property
    def is_accommodated(self) -> bool:
        """Whether the setting that the episode began with was left for something else."""
        return self.trace.is_integrated or self.trace.i_chosen != 0


@dataclass(frozen=True)
class Episode:
    """What an episode is told beside its image: a seed, how many settings to try, and the guard, None for none."""

    seed: int
    n_trials: int
    guard: Guard | None


def accommodate(
    env: AccommodationEnv, controller: ControllerBase, photograph: Photograph, how: Episode
) -> ImagePercept:
    """Play one episode on a photograph; the answer is what all looks come to where the environment keeps them."""
    is_integrated = env.config.with_looks
    played = play(
        env,
        controller,
        photograph,
        seed=how.seed,
        n_trials=how.n_trials,
        guard=how.guard,
        looking=Looking() if is_integrated else None,
        with_before=False,
    )
    size, percept = photograph.original_size, played.after
    labels = percept.labels(size)[0].cpu().numpy().astype(np.int32)
    doubt = _at(_uncertainty(env, percept), size) if is_integrated else None
    return ImagePercept(labels, _at(percept.boundary, size), doubt, played.trace, percept)


def _uncertainty(env: AccommodationEnv, percept: AbstractPercept) -> Tensor:
    """(1, 1, h, w): how far the looks disagree with a percept, be it theirs or that of one setting."""
    if isinstance(percept, IntegratedPercept):
        return percept.uncertainty
    looks = to_device(env.looks.looks, "cpu")
    return integrate(looks, cut=_APART, atoms=percept.labels(looks.segments.shape[-2:])).uncertainty


def _at(field: Tensor, size: tuple[int, int]) -> np.ndarray:
    """A field (1, 1, h, w) as (H, W) float32."""
    field = torch.as_tensor(field).detach().cpu()
    if field.shape[-2:] != size:
        field = F.interpolate(field, size=size, mode="bilinear", align_corners=False)
    return field[0, 0].clamp(0, 1).numpy().astype(np.float32)
