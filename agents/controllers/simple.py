"""The controls that every search must beat: the defaults, a stretched image, and settings at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase


@dataclass(frozen=True)
class FixedController(ControllerBase):
    """Keeps the defaults: one trial. Its state is the number of settings learnt about."""

    name = "fixed"
    is_seedless = True  # it draws nothing

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> int:
        """Nothing seen yet."""
        del obs, info, seed
        return 0

    def act(self, state: int, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, int]:
        """The defaults, (1, P)."""
        del obs
        return np.asarray(info["default_u"])[None], state

    def learn(self, state: int, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> int:
        """Count."""
        del obs, info
        return state + len(u)

    def is_done(self, state: int) -> bool:
        """Whether the defaults were measured."""
        return state >= 1


@dataclass(frozen=True)
class NormaliseController(FixedController):
    """Asks the environment for a 1-99 percentile stretch of the image, and keeps the defaults.

    ``trace.before`` is measured on the image as it came, ``trace.after`` on the stretched one.
    """

    name = "normalise"
    env_options = MappingProxyType({"normalise": True})


@dataclass(frozen=True)
class RandomState:
    """Seed and number of settings proposed so far: all that the next draw depends on."""

    seed: int
    n_proposed: int = 0


@dataclass(frozen=True)
class RandomController(ControllerBase):
    """The defaults, then settings uniform in u. The trials do not depend on the size of the population.

    Attributes:
        population: settings proposed at once, >= 1.
    """

    population: int = 16

    name = "random"

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> RandomState:
        """Nothing proposed yet."""
        del obs, info
        return RandomState(seed)

    def act(self, state: RandomState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, RandomState]:
        """The next population, (N, P)."""
        del obs
        default_u = np.asarray(info["default_u"])
        n = min(self.population, info.get("n_remaining", self.population))
        rng = np.random.Generator(np.random.PCG64(state.seed).advance(state.n_proposed * default_u.size))
        u = rng.uniform(-1, 1, (n, default_u.size))
        if state.n_proposed == 0:
            u[0] = default_u
        return u, RandomState(state.seed, state.n_proposed + n)

    def learn(self, state: RandomState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> RandomState:
        """Nothing to learn: the loop remembers the best."""
        del u, obs, info
        return state
