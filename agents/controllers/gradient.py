"""Gradient descent through the cortex: a few settings go downhill together, told the slope by the environment.

A few steps of 0.1-10 % of the box flip what the cortex decides discretely (which patch gets which label), so the
landscape is rough: the local gradient is exact and still says little about the next hill. Hence long steps, which
stride over the roughness, and several starts; the loop remembers the best of all places visited. Averaging the gradient
over copies of a row is there too, and did no better than as many rows on the images tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ciliary.agents.controllers.descent import Descent, DescentSettings


@dataclass(frozen=True, eq=False)
class GradientState:
    """The settings to look at first (M, P); then the descent (it changes in place) and the seeded generator."""

    first: np.ndarray
    rng: np.random.Generator
    n_steps: int
    descent: Descent | None = None
    n_done: int = 0


@dataclass(frozen=True)
class GradientController:
    """The defaults and a few other settings; then the best of these go downhill.

    Every setting evaluated is a trial, but one that costs more than elsewhere: with its backward pass it takes 2.6 to
    2.9 times as long as without (measured at 128 px, both objectives).

    The right learning rate is the objective's: one that recommends where to start is near its optimum and smooth (on
    four BSDS500 training images at 192 px, two of them also under noise, 20 steps of one row fell 1.03 times as far
    as 64 trials of TPE at 0.03, 1.02 times at 0.05, 1.00 at 0.07, 1.01 at 0.1), a raw one is rough and served best by
    0.1 (96 px).

    Attributes:
        n_restarts: settings that descend side by side, >= 1.
        n_looks: settings looked at first, >= n_restarts: the defaults, then the objective's recommended ones, or where
            it has none settings around the defaults.
        restart_spread: standard deviation in u of settings around the defaults, > 0.
        learning_rate: of the first step, > 0; about the length of a step in each coordinate of u. None: 0.03 under an
            objective that recommends where to start, 0.1 under others.
        n_steps: steps down, >= 1; None takes as many as the budget pays for.
        n_copies: settings around each row whose gradients are averaged (randomised smoothing, Duchi, Bartlett &
            Wainwright 2012), >= 1, the row itself among them; each is a trial.
        smoothing: standard deviation in u of these copies, >= 0.
    """

    n_restarts: int = 3
    n_looks: int = 4
    restart_spread: float = 0.1
    learning_rate: float | None = None
    n_steps: int | None = None
    n_copies: int = 1
    smoothing: float = 0.03

    use_gradients = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_restarts <= self.n_looks:
            raise ValueError(f"expected 1 <= n_restarts <= n_looks, got {self.n_restarts} and {self.n_looks}")
        if self.n_copies < 1 or (self.n_steps is not None and self.n_steps < 1):
            raise ValueError(f"expected n_copies and n_steps >= 1, got {self.n_copies} and {self.n_steps}")
        rate = 1.0 if self.learning_rate is None else self.learning_rate
        if self.restart_spread <= 0 or self.smoothing < 0 or rate <= 0:
            raise ValueError(
                "expected restart_spread > 0, smoothing >= 0 and learning_rate > 0, "
                f"got {self.restart_spread}, {self.smoothing} and {self.learning_rate}"
            )

    @property
    def name(self) -> str:
        """``gradient``."""
        return "gradient"

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> GradientState:
        """The defaults and the settings beside them."""
        del obs
        rng = np.random.default_rng([seed, 0x6D])
        default, starts = np.asarray(info["default_u"], dtype=np.float64)[None], info.get("starts")
        others = default[:0] if starts is None else np.asarray(starts, dtype=np.float64)[: self.n_looks - 1]
        n_more = self.n_looks - 1 - len(others)
        near = np.clip(default + self.restart_spread * rng.normal(size=(n_more, default.shape[1])), -1, 1)
        n_paid = math.ceil((info["n_trials"] - self.n_looks) / (self.n_restarts * self.n_copies))
        n_steps = max(1, n_paid) if self.n_steps is None else self.n_steps
        return GradientState(np.concatenate([default, others, near]), rng, n_steps)

    def act(self, state: GradientState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, GradientState]:
        """The settings to look at, (n_looks, P); then where the rows stand and their copies, (R * C, P)."""
        del obs, info
        if state.descent is None:
            return state.first, state
        rows = state.descent.u.numpy()
        jitter = self.smoothing * state.rng.normal(size=(self.n_copies, *rows.shape))
        jitter[0] = 0  # rows before copies: a budget that ends here spends itself on the rows
        return np.clip(rows + jitter, -1, 1).reshape(-1, rows.shape[1]), state

    def learn(self, state: GradientState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> GradientState:
        """One step down for each row, along what it was told; a row without a finite gradient stands still."""
        del obs
        total = np.asarray(info["terms"]["total"], dtype=np.float64)
        total = np.where(np.isfinite(total), total, np.inf)
        gradient = np.asarray(info.get("gradient", np.full(u.shape, np.nan)), dtype=np.float64)
        if len(u) < self._n_asked(state):  # the budget ends in the middle of a population
            return replace(state, n_done=state.n_steps)
        if state.descent is None:
            rows = np.argsort(total, kind="stable")[: self.n_restarts]
            own = 0.1 if info.get("starts") is None else 0.03
            rate = own if self.learning_rate is None else self.learning_rate
            settings = DescentSettings(learning_rate=rate, n_steps=state.n_steps)
            descent = Descent(torch.as_tensor(u[rows]), settings)
            descent.step(torch.as_tensor(gradient[rows]))
            return replace(state, descent=descent)
        shape = (self.n_copies, self.n_restarts, u.shape[1])
        state.descent.step(torch.as_tensor(_mean_of_finite(gradient.reshape(shape))))
        return replace(state, n_done=state.n_done + 1)

    def is_done(self, state: GradientState) -> bool:
        """Whether all steps were made and the last was looked at."""
        return state.n_done >= state.n_steps

    def _n_asked(self, state: GradientState) -> int:
        return self.n_looks if state.descent is None else self.n_restarts * self.n_copies


def _mean_of_finite(gradient: np.ndarray) -> np.ndarray:
    """Means (R, P) over copies (C, R, P) whose gradient is finite; nan where none is."""
    is_finite = np.isfinite(gradient).all(2, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(is_finite, gradient, 0).sum(0) / is_finite.sum(0)
