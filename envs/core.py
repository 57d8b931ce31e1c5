"""The clock shared by all Ciliary environments; a world says what settings are worth and what is seen of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from ciliary.cortex.parameters import N_PARAMETERS, NAMES, default_unit, from_unit
from ciliary.envs.batch import Evaluation
from ciliary.envs.dynamics import Rules, count_still, is_converged, move, reward

Obs = dict[str, np.ndarray]


class AbstractPerceptionEnv(gym.Env[Any, np.ndarray]):
    """One image, one episode: actions move the settings u, the reward is the fall of the total loss.

    Subclasses give ``_begin`` (a new episode from the seeded generator and the options), ``evaluate`` (a population
    of settings) and ``_observe`` (fresh arrays). ``step`` and ``reset`` are final.

    Attributes:
        n_parameters: P.
        parameter_names: P names, those of :data:`ciliary.cortex.parameters.PARAMETERS` when P matches.
        default_u: (P,) float32, where each episode starts.
        rules: see :class:`ciliary.envs.dynamics.Rules`.
        n_evaluations: settings evaluated since the reset (the reset's own measurement of the defaults is free).
        history: the terms after the reset and after every step of the episode, as measured.
    """

    def __init__(self, *, n_parameters: int, rules: Rules) -> None:
        if n_parameters < 1:
            raise ValueError(f"expected n_parameters >= 1, got {n_parameters}")
        self.n_parameters = n_parameters
        self.rules = rules
        is_cortex = n_parameters == N_PARAMETERS
        self.parameter_names = NAMES if is_cortex else tuple(f"u{i}" for i in range(n_parameters))
        self.default_u = (default_unit()[0].numpy() if is_cortex else np.zeros(n_parameters)).astype(np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (n_parameters,), np.float32)
        self.n_evaluations = 0
        self.history: list[dict[str, float]] = []
        self._u = self.default_u.copy()
        self._terms: dict[str, float] = {}
        self._n_still = np.zeros(1, dtype=np.int64)

    # --- what a world must say
    @abstractmethod
    def _begin(self, options: dict[str, Any]) -> None:
        """Start an episode: draw from ``self.np_random`` whatever ``options`` leaves open."""

    @abstractmethod
    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """What N settings are worth on this episode's image.

        Changes nothing but ``n_evaluations``.

        Args:
            u: (N, P) in [-1, 1].
            views_seed: measure on fresh views of this seed instead of the episode's own (how noisy is the loss?).
        """

    @abstractmethod
    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Evaluation, np.ndarray]:
        """What N settings u (N, P) in [-1, 1] are worth on the episode's own views, and d total / d u.

        Counts as N evaluations, although a backward pass comes with each. The gradient (N, P) float64 is the exact
        local one, not cut at the walls of the box; it is non-finite where the total is.
        """

    @abstractmethod
    def _measure(self, u: np.ndarray) -> Evaluation:
        """The episode's evaluation of one setting (1, P), keeping whatever ``_observe`` needs."""

    @abstractmethod
    def _observe(self) -> Obs:
        """The observation, in arrays that nobody else holds."""

    def _describe(self) -> dict[str, Any]:
        """More entries for info."""
        return {}

    # --- the clock
    @property
    def action_mode(self) -> str:
        """``delta`` or ``absolute``."""
        return self.rules.action_mode

    @property
    def u(self) -> np.ndarray:
        """The present settings, a copy, (P,)."""
        return self._u.copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Start an episode at the defaults. See the class for the options."""
        super().reset(seed=seed)
        self._begin(dict(options or {}))
        self._u = self.default_u.copy()
        self._n_still = np.zeros(1, dtype=np.int64)
        self.history = []
        self._take(self._measure(self._u[None]))
        self.n_evaluations = 0
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Move u, look, and be paid the fall of the total."""
        if not self.history:
            raise gym.error.ResetNeeded("expected reset() before step(); call env.reset(seed=...) first")
        previous = np.array([self._terms["total"]])
        self._u = move(self._u[None], np.asarray(action)[None], rules=self.rules)[0]
        self._take(self._measure(self._u[None]))
        total = np.array([self._terms["total"]])
        self._n_still = count_still(self._n_still, previous, total, rules=self.rules)
        gain = float(reward(previous, total, rules=self.rules)[0])
        # truncation=False: the step budget belongs to the TimeLimit wrapper that make() adds
        return self._observe(), gain, bool(is_converged(self._n_still, rules=self.rules)[0]), False, self._info()

    def _take(self, evaluation: Evaluation) -> None:
        self._terms = evaluation.row(0)
        self.history.append(dict(self._terms))

    def _info(self) -> dict[str, Any]:
        info = {
            "terms": dict(self._terms),
            "u": self._u.copy(),
            "theta": physical(self._u, names=self.parameter_names),
            "n_evaluations": self.n_evaluations,
        }
        return info | self._describe()

    def _check_population(self, u: np.ndarray) -> np.ndarray:
        u = np.asarray(u, dtype=np.float32)
        if u.ndim != 2 or u.shape[1] != self.n_parameters:
            raise ValueError(f"expected u of shape (N, {self.n_parameters}), got {u.shape}; one setting is u[None]")
        if not self._is_ready():
            raise gym.error.ResetNeeded("expected reset() before evaluate(); call env.reset(seed=...) first")
        return np.clip(u, -1, 1)

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether an episode has begun."""


def physical(u: np.ndarray, *, names: tuple[str, ...]) -> dict[str, float]:
    """Physical values by name of one setting u (P,); u itself where the parameters are not the cortex's."""
    if names != NAMES:
        return dict(zip(names, map(float, u), strict=True))
    return {name: float(value[0]) for name, value in from_unit(torch.as_tensor(u)[None]).items()}


def check_options(options: dict[str, Any], *, known: tuple[str, ...]) -> None:
    """Raise ``ValueError`` naming the legal keys if ``options`` holds another."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"unknown reset option(s) {unknown}; choose from {', '.join(known)}")
