"""Portfolio: a fixed list of settings known to complement each other, tried in its order (Xu et al. 2010, Hydra).

The list comes with the objective (``info["starts"]``): chosen once, on labelled training images, so that for each of
them some member is good. Nothing is searched here; what is adapted to the image is which member is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class PortfolioState:
    """The settings that are left to propose, (N, P)."""

    left: np.ndarray


@dataclass(frozen=True)
class PortfolioController:
    """The defaults, then the list; done when the list is.

    Attributes:
        population: settings proposed at once, >= 1.
    """

    population: int = 16

    is_seedless = True  # it draws nothing

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")

    @property
    def name(self) -> str:
        """``portfolio``."""
        return "portfolio"

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> PortfolioState:
        """The defaults and the list, if there is one."""
        del obs, seed
        default, starts = np.asarray(info["default_u"])[None], info.get("starts")
        return PortfolioState(default if starts is None else np.concatenate([default, starts]))

    def act(self, state: PortfolioState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, PortfolioState]:
        """The next settings of the list, (N, P)."""
        del obs
        n = min(self.population, info.get("n_remaining", self.population))
        return state.left[:n], PortfolioState(state.left[n:])

    def learn(self, state: PortfolioState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> PortfolioState:
        """Nothing to learn: the loop remembers the best."""
        del u, obs, info
        return state

    def is_done(self, state: PortfolioState) -> bool:
        """Whether nothing is left to propose."""
        return len(state.left) == 0
