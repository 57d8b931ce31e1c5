"""Who chooses looks: in the order that is recommended, or where the next is expected to be most unlike those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase


@dataclass(frozen=True)
class LooksState:
    """Looks there are to take, and what came of those that were taken.

    Attributes:
        candidates: (M, P), the defaults first.
        taken: indices of candidates, in the order they were taken.
        surprise: of each, how far it disagreed with the percept before it; nan where the environment does not tell.
    """

    candidates: np.ndarray
    taken: tuple[int, ...] = ()
    surprise: tuple[float, ...] = ()


@dataclass(frozen=True)
class PanelController(ControllerBase):
    """The defaults, then the settings that the environment recommends, in their order.

    Attributes:
        population: looks proposed at once, >= 1.
    """

    population: int = 4

    name = "panel"
    is_seedless = True

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> LooksState:
        """All looks are open."""
        del obs, seed
        default = np.asarray(info["default_u"], np.float32)[None]
        starts = info.get("starts")
        listed = default[:0] if starts is None else np.asarray(starts, np.float32)
        is_new = ~np.isclose(listed, default, atol=1e-6).all(1)
        return LooksState(np.concatenate([default, listed[is_new]]))

    def act(self, state: LooksState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, LooksState]:
        """The next looks, (N, P)."""
        del obs
        n = min(self.population, info.get("n_remaining", self.population))
        rows = self.choose(state, n)
        return state.candidates[rows], LooksState(state.candidates, (*state.taken, *rows), state.surprise)

    def learn(self, state: LooksState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LooksState:
        """Remember how far each look was from what was expected."""
        del obs
        told = info["terms"].get("surprise", np.full(len(u), np.nan))
        return LooksState(state.candidates, state.taken, (*state.surprise, *map(float, told)))

    def is_done(self, state: LooksState) -> bool:
        """Whether all looks were taken."""
        return len(state.taken) >= len(state.candidates)

    def choose(self, state: LooksState, n: int) -> list[int]:
        """The first n that are open."""
        return [i for i in range(len(state.candidates)) if i not in state.taken][:n]


@dataclass(frozen=True)
class DisagreementController(PanelController):
    """Of the settings recommended, the one whose look is expected to be most unlike those before, one by one.

    What a look would disagree by is guessed from those taken near it (Nadaraya 1964, Watson 1964), and counts more the
    farther it is from all of them.

    Attributes:
        reach: distance in u, per root of the number of parameters, over which looks are alike.
    """

    population: int = 1
    reach: float = 0.2

    name = "disagreement"

    def choose(self, state: LooksState, n: int) -> list[int]:
        """The n that are expected to surprise most."""
        if not state.taken:
            return [0]
        open_rows = [i for i in range(len(state.candidates)) if i not in state.taken]
        seen = state.candidates[list(state.taken[: len(state.surprise)])]
        surprise = np.nan_to_num(np.array(state.surprise), nan=1.0)
        scale = 2 * (self.reach**2) * state.candidates.shape[1]
        near = np.exp(-((state.candidates[open_rows][:, None] - seen[None]) ** 2).sum(2) / scale)
        prior = surprise[1:].mean() if len(surprise) > 1 else 1.0
        expected = (near @ surprise + prior) / (near.sum(1) + 1)
        order = np.argsort(-expected / np.sqrt(near.sum(1) + 1), kind="stable")
        return [open_rows[i] for i in order[:n]]
