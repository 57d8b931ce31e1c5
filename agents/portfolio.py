"""Portfolio: a fixed list of settings known to complement each other, tried in its order (Xu et al. 2010, Hydra).

The list comes with the objective (``info["starts"]``): chosen once, on labelled training images, so that for each of
them some member is good. Nothing is searched here; what is adapted to the image is which member is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PortfolioState:
    """How many settings were proposed so far."""

    n_proposed: int = 0


@dataclass(frozen=True)
class PortfolioController:
    """The defaults, then the list; done when the list is.

    Attributes:
        population: settings proposed at once, >= 1.
    """

    population: int = 16

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")

    @property
    def name(self) -> str:
        """``portfolio``."""
        return "portfolio"

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> PortfolioState:
        """Nothing proposed yet."""
        del obs, info, seed
        return PortfolioState()

    def act(self, state: PortfolioState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, PortfolioState]:
        """The next settings of the list, (N, P)."""
        del obs
        settings = _settings(info)
        stop = state.n_proposed + min(self.population, info.get("n_remaining", self.population))
        u = settings[state.n_proposed : stop]
        return u, PortfolioState(state.n_proposed + len(u))

    def learn(self, state: PortfolioState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> PortfolioState:
        """Whether the list is done."""
        del u, obs
        return PortfolioState(-1) if state.n_proposed >= len(_settings(info)) else state

    def is_done(self, state: PortfolioState) -> bool:
        """Whether nothing is left to propose."""
        return state.n_proposed < 0


def _settings(info: Mapping[str, Any]) -> np.ndarray:
    """The defaults and the list, (1 + M, P)."""
    default = np.asarray(info["default_u"])[None]
    starts = info.get("starts")
    return default if starts is None or not len(starts) else np.concatenate([default, starts])
