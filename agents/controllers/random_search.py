"""Random search: the know-nothing line of every search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RandomState:
    """Seed and number of settings proposed so far: all that the next draw depends on."""

    seed: int
    n_proposed: int = 0


@dataclass(frozen=True)
class RandomController:
    """The defaults, then settings uniform in u. The trials do not depend on the size of the population.

    Attributes:
        population: settings proposed at once, >= 1.
    """

    population: int = 16

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")

    @property
    def name(self) -> str:
        """``random``."""
        return "random"

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
