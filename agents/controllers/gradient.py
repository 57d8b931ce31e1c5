"""Gradient descent through the cortex: a few settings go downhill together, told the slope by the environment.

A few steps of 0.1-10 % of the box flip what the cortex decides discretely (which patch gets which label), so the
landscape is rough: the local gradient is exact and still says little about the next hill. Hence long steps, which
stride over the roughness, and several starts; the loop remembers the best of all places visited. Averaging the gradient
over copies of a row (randomised smoothing, Duchi, Bartlett & Wainwright 2012) did no better than as many rows on the
images tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from ciliary.agents.base import ControllerBase

_LAST_RATE = 0.1  # learning rate of the last step as a share of the first
_MAX_NORM = 1.0  # a row's gradient is shortened to this length; Adam divides most of it out again


class Descent:
    """Where N rows stand, and the optimiser's memory of how they came there. Changes with :meth:`step`.

    Adam (Kingma & Ba 2015), which treats each coordinate by itself, so that rows do not know of each other; its
    learning rate falls along a cosine (Loshchilov & Hutter 2017) and stays at its last value.
    """

    def __init__(self, u: Tensor, *, learning_rate: float, n_steps: int) -> None:
        """Start at u (N, P) in [-1, 1]; the learning rate falls over ``n_steps`` >= 1."""
        self._u = u.detach().clone().to(torch.float32)
        self._optimiser = Adam([self._u], lr=learning_rate)
        self._schedule = CosineAnnealingLR(self._optimiser, n_steps, eta_min=_LAST_RATE * learning_rate)
        self._n_left = n_steps

    @property
    def u(self) -> Tensor:
        """The present settings, a copy, (N, P)."""
        return self._u.clone()

    def step(self, gradient: Tensor) -> Tensor:
        """Go down the gradient (N, P), back into the box; rows whose gradient is not finite stand still."""
        gradient = gradient.to(torch.float32)
        is_finite = gradient.isfinite().all(1, keepdim=True)
        before = self.u
        self._u.grad = torch.where(is_finite, gradient, 0.0).renorm(2, 0, _MAX_NORM)  # each row by itself
        self._optimiser.step()
        self._u.copy_(torch.where(is_finite, self._u.clamp(-1, 1), before))
        if self._n_left > 0:
            self._schedule.step()
            self._n_left -= 1
        return self.u


@dataclass(frozen=True, eq=False)
class GradientState:
    """The settings to look at first (M, P); then the descent (it changes in place)."""

    first: np.ndarray
    n_steps: int
    descent: Descent | None = None
    n_done: int = 0


@dataclass(frozen=True)
class GradientController(ControllerBase):
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
    """

    n_restarts: int = 3
    n_looks: int = 4
    restart_spread: float = 0.1
    learning_rate: float | None = None
    n_steps: int | None = None

    name = "gradient"
    use_gradients = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_restarts <= self.n_looks:
            raise ValueError(f"expected 1 <= n_restarts <= n_looks, got {self.n_restarts} and {self.n_looks}")
        if self.n_steps is not None and self.n_steps < 1:
            raise ValueError(f"expected n_steps >= 1 or None, got {self.n_steps}")
        rate = 1.0 if self.learning_rate is None else self.learning_rate
        if self.restart_spread <= 0 or rate <= 0:
            raise ValueError(
                f"expected restart_spread > 0 and learning_rate > 0, got {self.restart_spread} and {self.learning_rate}"
            )

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> GradientState:
        """The defaults and the settings beside them."""
        del obs
        rng = np.random.default_rng([seed, 0x6D])
        default, starts = np.asarray(info["default_u"], dtype=np.float64)[None], info.get("starts")
        others = default[:0] if starts is None else np.asarray(starts, dtype=np.float64)[: self.n_looks - 1]
        n_more = self.n_looks - 1 - len(others)
        near = np.clip(default + self.restart_spread * rng.normal(size=(n_more, default.shape[1])), -1, 1)
        n_paid = math.ceil((info["n_trials"] - self.n_looks) / self.n_restarts)
        n_steps = max(1, n_paid) if self.n_steps is None else self.n_steps
        return GradientState(np.concatenate([default, others, near]), n_steps)

    def act(self, state: GradientState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, GradientState]:
        """The settings to look at, (n_looks, P); then where the rows stand, (R, P)."""
        del obs, info
        return (state.first if state.descent is None else state.descent.u.numpy()), state

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
            descent = Descent(torch.as_tensor(u[rows]), learning_rate=rate, n_steps=state.n_steps)
            descent.step(torch.as_tensor(gradient[rows]))
            return replace(state, descent=descent)
        state.descent.step(torch.as_tensor(gradient))
        return replace(state, n_done=state.n_done + 1)

    def is_done(self, state: GradientState) -> bool:
        """Whether all steps were made and the last was looked at."""
        return state.n_done >= state.n_steps

    def _n_asked(self, state: GradientState) -> int:
        return self.n_looks if state.descent is None else self.n_restarts
