"""Where to look next: nowhere else, anywhere, along a grid, or where the map of priority is highest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
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


def even_grid(n: int, aspect: float = 4 / 3) -> np.ndarray:
    """The first ``n`` places (n, 2) of the coarsest even grid that has so many, row by row, in halves of the field.

    Args:
        n: >= 1.
        aspect: width over height of the field.
    """
    rows = max(round(np.sqrt(n / aspect)), 1)
    columns = int(np.ceil(n / rows))
    i = np.arange(n)
    return np.stack([(2 * (i // columns) + 1) / rows - 1, (2 * (i % columns) + 1) / columns - 1], 1)


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
        grid = even_grid(max(state.n_trials - 1, 1), self.aspect)
        y, x = grid[(len(state.path) - 1) % len(grid)]
        return float(y), float(x)


@dataclass(frozen=True)
class PriorityController(GazeController):
    """Looks where looking would pay most: winner takes all (Koch & Ullman 1985).

    What was looked at closely has nothing left to give, so that nothing need be inhibited: the greedy choice of an
    ideal searcher (Najemnik & Geisler 2005) with the beliefs that the observation's ``priority`` tells.

    Attributes:
        nearness: near places are preferred: standard deviation in halves of the field's width; None: all alike.
        aspect: width over height of the field.
    """

    nearness: float | None = None
    aspect: float = 4 / 3

    name = "gaze-priority"
    is_seedless = True

    def __post_init__(self) -> None:
        if not (self.aspect > 0 and (self.nearness is None or self.nearness > 0)):
            raise ValueError(f"expected aspect > 0 and nearness > 0 or None, got {self}")

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        return self.next_place(state.path[-1], obs)

    def next_place(self, here: tuple[float, float], obs: Any) -> tuple[float, float]:
        """Where it would look next, (y, x) in [-1, 1], from one place."""
        told = np.asarray(obs["priority"][0], dtype=np.float64)
        y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in told.shape)
        if self.nearness is not None:
            along_y, along_x = (y - here[0]) / self.aspect, x - here[1]
            squared = along_y[:, None] ** 2 + along_x**2
            told = told * np.exp(-squared / (2 * self.nearness**2))
        i, j = np.unravel_index(told.argmax(), told.shape)
        return float(y[i]), float(x[j])


@dataclass(frozen=True)
class ReplayController(GazeController):
    """Looks where it is told, in that order, and then again: a person's fixations, or those of any other map.

    Attributes:
        path: gazes (y, x) in [-1, 1], halves of the field, after the first look, which is where the episode starts.
    """

    path: tuple[tuple[float, float], ...] = ((0.0, 0.0),)

    name = "gaze-replay"
    is_seedless = True

    def __post_init__(self) -> None:
        path = np.asarray(self.path, dtype=np.float64)
        if path.ndim != 2 or path.shape[1] != 2 or not len(path) or not (np.abs(path) <= 1).all():
            raise ValueError(f"expected gazes (y, x) in [-1, 1], at least one, got {self.path}")

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        del obs
        return self.path[(len(state.path) - 1) % len(self.path)]
