"""Lens and pupil down the slope of the total: the ceiling of local search, since no eye is told its slope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.eye.lens import LENS, Muscle, column_of
from ciliary.agents.eye.pupil import PUPIL


@dataclass(frozen=True, eq=False)
class SlopeState:
    """Of each muscle that moves, (M,): where it goes next and the step that led there, in u, and the slope's sign."""

    u: np.ndarray
    step: np.ndarray
    sign: np.ndarray
    is_done: bool = False


@dataclass(frozen=True)
class LensGradientController(ControllerBase):
    """The lens goes down the gradient of the total, which the environment tells it, until its steps are small.

    **It reads the simulator**: the gradient (:func:`ciliary.envs.eye.slope.total_slope`) is that of the scene itself,
    through the optics and without the photons' noise. An eye would have to look about to know it. So it is no fair
    policy but a ceiling of what can be reached by going downhill, and it stops in the nearest valley.

    Only the signs count, since slopes are steep near focus and flat far from it: a step grows while the sign stays and
    shrinks where it turns (Rprop, Riedmiller & Braun 1993).

    Attributes:
        first_step: in u, > 0; 0.1 are half a dioptre, or a tenth of an octave of the pupil.
        most_step: the longest.
        least_step: where all steps are shorter it rests, > 0.
        grow, shrink: factors of a step, above 1 and in 0 to 1.
    """

    first_step: float = 0.1
    most_step: float = 0.4
    least_step: float = 0.005
    grow: float = 1.5
    shrink: float = 0.4

    name = "lens-gradient"
    use_steps = True
    use_gradients = True
    is_seedless = True
    muscles: ClassVar[tuple[Muscle, ...]] = (LENS,)

    def __post_init__(self) -> None:
        if not 0 < self.least_step <= self.first_step <= self.most_step or not 0 < self.shrink < 1 < self.grow:
            raise ValueError(
                "expected 0 < least_step <= first_step <= most_step and 0 < shrink < 1 < grow, got "
                f"{self.least_step}, {self.first_step}, {self.most_step}, {self.shrink}, {self.grow}"
            )

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> SlopeState:
        """Nothing told yet.

        Raises:
            ValueError: a muscle that is to move is not free.
        """
        del obs, seed
        columns = self._columns(info)
        here = np.array(info["default_u"], dtype=np.float64)[columns]
        return SlopeState(here, np.full(len(columns), self.first_step), np.zeros(len(columns)))

    def _columns(self, info: Mapping[str, Any]) -> list[int]:
        return [column_of(info, muscle) for muscle in self.muscles]

    def act(self, state: SlopeState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, SlopeState]:
        """The next setting, (1, P)."""
        del obs
        u = np.array(info["default_u"], dtype=np.float64)
        u[self._columns(info)] = state.u
        return u[None], state

    def learn(self, state: SlopeState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> SlopeState:
        """A step down; a slope that is not finite is none."""
        del obs
        columns = self._columns(info)
        slope = np.nan_to_num(np.asarray(info["gradient"], dtype=np.float64)[0, columns], posinf=0.0, neginf=0.0)
        sign = -np.sign(slope)
        turn = sign * state.sign
        step = np.where(turn > 0, state.step * self.grow, np.where(turn < 0, state.step * self.shrink, state.step))
        step = np.minimum(step, self.most_step)
        here = np.ravel(u)[columns]
        aim = np.clip(here + sign * step, -1, 1)
        is_done = bool((np.minimum(step, np.abs(aim - here)) < self.least_step).all())
        return replace(state, u=aim, step=step, sign=sign, is_done=is_done)

    def is_done(self, state: SlopeState) -> bool:
        """Whether no muscle has far to go."""
        return state.is_done


@dataclass(frozen=True)
class EyeGradientController(LensGradientController):
    """Lens and pupil together, each by its own slope of the total; the gaze stays. It reads the simulator too."""

    name = "eye-gradient"
    muscles = (LENS, PUPIL)
