"""A memory between the loop and the world: settings evaluated in an earlier process are not evaluated again."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ciliary.envs.batch import Evaluation
from ciliary.tuning.sessions.studies import Memory


class RememberingEnv(gym.Wrapper):
    """Answers population evaluations on the episode's own views from a ``Memory`` of its study.

    New settings are evaluated by the environment inside and kept, a batch at a time. ``unwrapped`` is this object, so
    that a loop which reaches for ``env.unwrapped.evaluate`` is heard too; whatever is not defined here is the inner
    environment's. Only for episodes that keep one image from beginning to end: a memory knows settings, not images.

    Attributes:
        n_remembered: evaluations answered from memory.
    """

    def __init__(self, env: gym.Env, memory: Memory) -> None:
        super().__init__(env)
        self._memory = memory
        self.n_remembered = 0

    @property
    def unwrapped(self) -> Any:
        """This object."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # not there yet: say so instead of asking it for itself
            raise AttributeError(name)
        return getattr(self.env.unwrapped, name)

    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """Terms of N settings u (N, P). Percepts are not remembered; measurements on fresh views are not kept."""
        world: Any = self.env.unwrapped
        if views_seed is not None:
            return world.evaluate(u, views_seed=views_seed)
        u = np.asarray(u)
        rows = self._memory.recall(u)
        i_new = [i for i, row in enumerate(rows) if row is None]
        if i_new:
            fresh = world.evaluate(u[i_new])
            self._memory.keep(u[i_new], fresh.terms)
            if len(i_new) == len(rows):
                return fresh
            for j, i in enumerate(i_new):
                rows[i] = {name: float(values[j]) for name, values in fresh.terms.items()}
        self.n_remembered += len(rows) - len(i_new)
        whole = [row for row in rows if row is not None]
        return Evaluation(u, {name: np.array([_number(row[name]) for row in whole]) for name in whole[0]})

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Evaluation, np.ndarray]:
        """Terms of N settings u (N, P) and their gradient (N, P), evaluated afresh: a gradient is not remembered.

        New trials are kept all the same, for whoever reads the study.
        """
        world: Any = self.env.unwrapped
        evaluation, gradient = world.evaluate_with_gradient(u)
        is_new = np.array([row is None for row in self._memory.recall(u)])
        if is_new.any():
            self._memory.keep(np.asarray(u)[is_new], {n: v[is_new] for n, v in evaluation.terms.items()})
        return evaluation, gradient


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
