"""Focusing by contrast alone: look everywhere, or climb. What cameras do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.cortex.eye.parameters import FOCUS_DPT

_ARRIVED = 0.01  # in the muscle's coordinate


@dataclass(frozen=True)
class Muscle:
    """A muscle that is moved by what one term says, and its range in the coordinate that ``u`` is linear in."""

    name: str
    term: str
    low: float
    high: float


LENS = Muscle("focus_dpt", "focus", *FOCUS_DPT)


@dataclass(frozen=True)
class LensState:
    """What an episode has shown so far.

    Attributes:
        looks: (focus_dpt, focus term) of every look.
        plan: where to look next, in order.
        target_dpt: where the latest look was to be; a lens that could not come there in a step is still on its way.
        step_dpt, direction, n_misses: of a climb.
        is_done: whether the answer was looked at.
    """

    looks: tuple[tuple[float, float], ...] = ()
    plan: tuple[float, ...] = ()
    target_dpt: float = np.nan
    step_dpt: float = 0.0
    direction: float = 1.0
    n_misses: int = 0
    is_done: bool = False

    @property
    def best_dpt(self) -> float:
        """Focus of the best look."""
        return min(self.looks, key=lambda look: look[1])[0]

    @property
    def is_on_its_way(self) -> bool:
        """Whether the latest look was not yet where it was to be."""
        return bool(self.looks) and abs(self.looks[-1][0] - self.target_dpt) > _ARRIVED


class LensController(ControllerBase):
    """Moves the lens; the other free muscles stay. The first look is where the episode starts."""

    use_steps = True
    is_seedless = True
    muscle: ClassVar[Muscle] = LENS

    @abstractmethod
    def _next(self, state: LensState) -> tuple[float, LensState]:
        """Where to focus next."""

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> LensState:
        """Nothing seen yet.

        Raises:
            ValueError: the lens is not among the free muscles.
        """
        del obs, seed
        column_of(info, self.muscle)
        return LensState()

    def act(self, state: LensState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, LensState]:
        """The next setting, (1, P)."""
        del obs
        u = np.array(info["default_u"], dtype=np.float64)
        if state.looks:
            focus_dpt, state = self._next(state)
            state = replace(state, target_dpt=float(np.clip(focus_dpt, self.muscle.low, self.muscle.high)))
            u[column_of(info, self.muscle)] = unit_of(focus_dpt, self.muscle)
        return u[None], state

    def learn(self, state: LensState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LensState:
        """Remember the look; one that is not a number counts as the worst."""
        del obs
        term = float(np.nan_to_num(info["terms"][self.muscle.term][0], nan=np.inf, posinf=np.inf))
        return replace(state, looks=(*state.looks, (setting_of(u, info, self.muscle), term)))

    def is_done(self, state: LensState) -> bool:
        """Whether the answer was looked at."""
        return state.is_done


def column_of(info: Mapping[str, Any], muscle: Muscle = LENS) -> int:
    """Column of the muscle in u; ValueError if it is not free."""
    names = tuple(info["parameter_names"])
    if muscle.name not in names:
        where = "Ciliary/Focus-v0 or Ciliary/Eye-v0" if muscle is LENS else "Ciliary/Eye-v0"
        what = "lens" if muscle is LENS else "pupil"
        raise ValueError(f"expected an eye whose {what} is free ({where}), got {', '.join(names)}")
    return names.index(muscle.name)


def unit_of(setting: float, muscle: Muscle = LENS) -> float:
    """A setting, of the lens in dioptres, as u."""
    return float(np.clip(2 * (setting - muscle.low) / (muscle.high - muscle.low) - 1, -1, 1))


def setting_of(u: np.ndarray, info: Mapping[str, Any], muscle: Muscle = LENS) -> float:
    """The muscle's setting in u (1, P); of the lens in dioptres."""
    return muscle.low + (float(np.ravel(u)[column_of(info, muscle)]) + 1) / 2 * (muscle.high - muscle.low)


@dataclass(frozen=True)
class SweepController(LensController):
    """Looks along the whole range and settles on the best: the loop goes back to it.

    Attributes:
        n_looks: evenly from one end to the other, >= 3.
        is_fine: then between the best's neighbours, a quarter of the spacing apart, and at a parabola's top.
    """

    n_looks: int = 30
    is_fine: bool = False

    name = "lens-sweep"

    def __post_init__(self) -> None:
        if self.n_looks < 3:
            raise ValueError(f"expected n_looks >= 3, got {self.n_looks}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> LensState:
        """The plan."""
        state = super().init(obs, info, seed)
        return replace(state, plan=tuple(np.linspace(*FOCUS_DPT, self.n_looks)), n_misses=int(self.is_fine))

    def _next(self, state: LensState) -> tuple[float, LensState]:
        focus_dpt, *rest = state.plan
        return focus_dpt, replace(state, plan=tuple(rest))

    def learn(self, state: LensState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LensState:
        """Remember the look; at the end of a plan make the finer one, if there is to be one."""
        wanted = state.plan
        state = super().learn(state, u, obs, info)
        if wanted:
            return state
        if state.n_misses == 0:
            return replace(state, is_done=True)
        spacing = (FOCUS_DPT[1] - FOCUS_DPT[0]) / (self.n_looks - 1)
        if state.n_misses == 1:
            finer = state.best_dpt + spacing * np.array([-0.75, -0.5, -0.25, 0.25, 0.5, 0.75])
            plan = tuple(finer[(finer >= FOCUS_DPT[0]) & (finer <= FOCUS_DPT[1])])
            return replace(state, plan=plan, n_misses=2)
        if state.n_misses == 2:
            return replace(state, plan=(parabola_top(state.looks),), n_misses=0)
        return replace(state, is_done=True)


@dataclass(frozen=True)
class HillController(LensController):
    """Climbs: steps on while it gets better, turns round, halves its step; a parabola's top at the end.

    Attributes:
        step_dpt: the first step.
        least_dpt: below it the parabola decides.
    """

    step_dpt: float = 2.0
    least_dpt: float = 0.25

    name = "lens-hill"

    def __post_init__(self) -> None:
        if not self.step_dpt >= self.least_dpt > 0:
            raise ValueError(f"expected step_dpt >= least_dpt > 0, got {self.step_dpt} and {self.least_dpt}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> LensState:
        """At the first step."""
        return replace(super().init(obs, info, seed), step_dpt=self.step_dpt)

    def _next(self, state: LensState) -> tuple[float, LensState]:
        return climb(state, self.least_dpt, self.muscle)

    def learn(self, state: LensState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LensState:
        """Remember the look, and whether it was better."""
        return climbed(state, super().learn(state, u, obs, info), self.least_dpt)


def climb(state: LensState, least_dpt: float, muscle: Muscle = LENS) -> tuple[float, LensState]:
    """The next look of a climb from the best one."""
    if state.step_dpt < least_dpt:
        return parabola_top(state.looks), state
    setting = state.best_dpt + state.direction * state.step_dpt
    if not muscle.low <= setting <= muscle.high:
        state = replace(state, direction=-state.direction, n_misses=state.n_misses + 1)
        setting = state.best_dpt + state.direction * state.step_dpt
    return float(np.clip(setting, muscle.low, muscle.high)), state


def climbed(before: LensState, state: LensState, least_dpt: float) -> LensState:
    """The climb after a look: on, round, or with half the step."""
    if len(state.looks) < 2:
        return state
    if before.step_dpt < least_dpt:
        return replace(state, is_done=not state.is_on_its_way)
    if state.best_dpt != before.best_dpt:
        return replace(state, n_misses=0)
    if state.is_on_its_way:  # what is passed says nothing of where it leads
        return state
    n_misses = state.n_misses + 1
    if n_misses < 2:
        return replace(state, direction=-state.direction, n_misses=n_misses)
    return replace(state, step_dpt=state.step_dpt / 2, n_misses=0)


def parabola_top(looks: tuple[tuple[float, float], ...]) -> float:
    """Top of the parabola through the best look and its neighbours, between these; the best where there is none."""
    best: dict[float, float] = {}
    for focus_dpt, term in looks:
        if np.isfinite(term):
            best[round(focus_dpt, 3)] = min(term, best.get(round(focus_dpt, 3), np.inf))
    if not best:
        return looks[0][0]
    places = sorted(best)
    i = places.index(min(best, key=lambda place: best[place]))
    if not 0 < i < len(places) - 1:
        return places[i]
    x = np.array(places[i - 1 : i + 2])
    curve = np.polyfit(x - x[1], [best[place] for place in x], 2)
    return float(np.clip(x[1] - curve[1] / (2 * curve[0]), x[0], x[2])) if curve[0] > 0 else places[i]
