"""Where to look next: nowhere else, anywhere, along a grid, or where the map of priority is highest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase

MUSCLES = ("gaze_y_deg", "gaze_x_deg")


@dataclass(frozen=True)
class GazeState:
    """Gazes so far, (y, x) in [-1, 1] halves of the field, the seed, and how many looks there are to be."""

    path: tuple[tuple[float, float], ...] = ()
    seed: int = 0
    n_trials: int = 1


class GazeController(ControllerBase):
    """Moves the gaze; the other free muscles stay. The first look is where the episode starts."""

    use_steps = True

    @abstractmethod
    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        """The next gaze, (y, x) in [-1, 1]."""

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> GazeState:
        """Nothing seen yet.

        Raises:
            ValueError: the gaze is not among the free muscles.
        """
        del obs
        _columns(info)
        return GazeState(seed=seed, n_trials=int(info["n_trials"]))

    def act(self, state: GazeState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, GazeState]:
        """The next setting, (1, P)."""
        u = np.array(info["default_u"], dtype=np.float64)
        if state.path:
            u[_columns(info)] = np.clip(self._next(state, obs), -1, 1)
        return u[None], state

    def learn(self, state: GazeState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> GazeState:
        """Remember where it was looked."""
        del obs
        y, x = (float(value) for value in u[0, _columns(info)])
        return replace(state, path=(*state.path, (y, x)))


def _columns(info: Mapping[str, Any]) -> list[int]:
    names = tuple(info["parameter_names"])
    if not set(MUSCLES) <= set(names):
        raise ValueError(f"expected an eye whose gaze is free (Ciliary/Gaze-v0 or -Eye-v0), got {', '.join(names)}")
    return [names.index(name) for name in MUSCLES]


@dataclass(frozen=True)
class CentreController(GazeController):
    """Stares where it began: the control of all others."""

    name = "gaze-centre"
    is_seedless = True

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        del obs
        return state.path[0]


@dataclass(frozen=True)
class RandomGazeController(GazeController):
    """Looks anywhere, uniformly."""

    name = "gaze-random"

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        del obs
        y, x = np.random.default_rng((state.seed, len(state.path))).uniform(-1, 1, 2)
        return float(y), float(x)


@dataclass(frozen=True)
class GridController(GazeController):
    """Looks along an even grid, row by row, as fine as the budget lets it.

    Attributes:
        aspect: width over height of the field.
    """

    aspect: float = 4 / 3

    name = "gaze-grid"
    is_seedless = True

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        del obs
        n = max(state.n_trials - 1, 1)
        rows = max(round(np.sqrt(n / self.aspect)), 1)
        columns = int(np.ceil(n / rows))
        i = (len(state.path) - 1) % (rows * columns)
        return (2 * (i // columns) + 1) / rows - 1, (2 * (i % columns) + 1) / columns - 1


@dataclass(frozen=True)
class PriorityController(GazeController):
    """Looks where the map of priority is highest, and not where it just was: winner-take-all, inhibition of return.

    Itti, Koch & Niebur 1998.

    Attributes:
        reach: of the inhibition about a gaze: standard deviation in halves of the field's width.
        memory: looks after which the inhibition has fallen to 1 / e.
        aspect: width over height of the field.
        nearness: near places are preferred: standard deviation, likewise; None for no preference.
    """

    reach: float = 0.15
    memory: float = 4.0
    aspect: float = 4 / 3
    nearness: float | None = None

    name = "gaze-priority"
    is_seedless = True

    def __post_init__(self) -> None:
        if not (self.reach > 0 and self.memory > 0 and self.aspect > 0):
            raise ValueError(f"expected reach, memory and aspect > 0, got {self}")
        if not (self.nearness is None or self.nearness > 0):
            raise ValueError(f"expected nearness > 0 or None, got {self.nearness}")

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        return self.next_place(state.path, obs)

    def next_place(self, path: Sequence[tuple[float, float]], obs: Any) -> tuple[float, float]:
        """Where it would look next, (y, x) in [-1, 1], after the places of a path."""
        told = np.asarray(obs["priority"][0], dtype=np.float64)
        y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in told.shape)

        def bell(place: tuple[float, float], reach: float) -> np.ndarray:
            along_y, along_x = ((y - place[0]) / self.aspect, x - place[1])
            return np.outer(np.exp(-(along_y**2) / (2 * reach**2)), np.exp(-(along_x**2) / (2 * reach**2)))

        if self.nearness and path:
            told = told * bell(path[-1], self.nearness)
        for age, gaze in enumerate(reversed(path)):
            told = told * (1 - np.exp(-age / self.memory) * bell(gaze, self.reach))
        i, j = np.unravel_index(told.argmax(), told.shape)
        return float(y[i]), float(x[j])
