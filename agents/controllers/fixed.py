"""The control that does nothing: one trial, the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FixedController:
    """Keeps the defaults. Its state is the number of settings learnt about."""

    is_seedless = True  # it draws nothing

    @property
    def name(self) -> str:
        """``fixed``."""
        return "fixed"

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
