"""One image accommodated without labels: an episode, and what is told of it at the image's own size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ciliary.agents.base import ControllerBase
from ciliary.agents.episode import Progress
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.agents.trace import Trace
from ciliary.cortex.device import to_device
from ciliary.cortex.integration.percept import IntegratedPercept, integrate
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.envs.data.reading import Photograph
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.sessions.playing import Played, play

_APART = -1.0  # a height under which no two regions are joined


@dataclass(frozen=True, eq=False)
class Accommodation:
    """What came of one image of H x W pixels.

    Attributes:
        photograph: the image as it was read, at the size that was seen.
        played: the episode: percepts before and after, and every trial.
        doubt: (1, 1, h, w) where the looks disagree with the percept, be it theirs or that of the setting that the
            guard kept; None where one setting was sought, which takes no looks.
    """

    photograph: Photograph
    played: Played
    doubt: Tensor | None

    @cached_property
    def labels(self) -> np.ndarray:
        """(H, W) int32, regions 0, 1, ..., with smooth borders."""
        return self.labels_at(self.photograph.original_size)

    def labels_at(self, size: tuple[int, int]) -> np.ndarray:
        """(height, width) int32, the regions at another ``size``."""
        return np.asarray(self.after.labels(size)[0].cpu().numpy().astype(np.int32))

    @property
    def boundary(self) -> np.ndarray:
        """(H, W) float32 in [0, 1], strength of boundary."""
        return self._at_own_size(self.after.boundary)

    @property
    def uncertainty(self) -> np.ndarray | None:
        """(H, W) float32 in [0, 1]: 1 - the mean intersection over union of the region at a pixel and the looks' there.

        None where one setting was sought.
        """
        return None if self.doubt is None else self._at_own_size(self.doubt)

    @property
    def before(self) -> AbstractPercept | None:
        """The percept at the defaults, at the size that was seen: a batch of one; None if nobody asked for it."""
        return self.played.before

    @property
    def after(self) -> AbstractPercept:
        """The percept of all looks together, or at the setting applied; likewise."""
        return self.played.after

    @property
    def trace(self) -> Trace:
        """Every trial, what was chosen, and why."""
        return self.played.trace

    @property
    def settings(self) -> dict[str, float]:
        """Physical values by name: of the setting applied, or of the look that the others agree with most."""
        return self.trace.theta_chosen

    @property
    def is_changed(self) -> bool:
        """Whether the defaults were left; if not, the guard took the gain for noise, or there was none."""
        return self.played.is_changed

    def _at_own_size(self, field: Tensor) -> np.ndarray:
        field, size = field.detach().cpu().float(), self.photograph.original_size
        if field.shape[-2:] != size:
            field = F.interpolate(field, size=size, mode="bilinear", align_corners=False)
        return np.asarray(field[0, 0].clamp(0, 1).numpy())

    def __repr__(self) -> str:
        height, width = self.photograph.original_size
        what = "together" if self.trace.is_integrated else "the best" if self.is_changed else "the defaults kept"
        return (
            f"<Accommodation of {self.photograph.name}, {width} x {height} px: {len(np.unique(self.labels))} segments; "
            f"{len(self.trace.u)} {'trials' if self.doubt is None else 'looks'}, {what}>"
        )

    def _repr_html_(self) -> str:
        from ciliary.cortex.notebook import percept_html

        return percept_html(self.after) + self.trace._repr_html_()


def accommodated(
    env: AccommodationEnv,
    controller: ControllerBase,
    photograph: Photograph,
    disturbance: str | None = None,
    *,
    seed: int,
    n_trials: int,
    guard: Guard | None,
    with_before: bool = True,
    on_batch: Callable[[Progress], object] | None = None,
) -> Accommodation:
    """Play one episode; the answer is what all looks come to where the environment keeps them.

    Args as :func:`~ciliary.tuning.sessions.playing.play` takes them.
    """
    is_of_looks = env.config.with_looks
    played = play(
        env,
        controller,
        photograph,
        disturbance,
        seed=seed,
        n_trials=n_trials,
        guard=guard,
        looking=Looking() if is_of_looks else None,
        with_before=with_before,
        on_batch=on_batch,
    )
    return Accommodation(photograph, played, _doubt(env, played.after) if is_of_looks else None)


def _doubt(env: AccommodationEnv, percept: AbstractPercept) -> Tensor:
    if isinstance(percept, IntegratedPercept):
        return percept.uncertainty
    looks = to_device(env.looks.looks, "cpu")
    return integrate(looks, cut=_APART, atoms=percept.labels(looks.segments.shape[-2:])).uncertainty
