"""The clock shared by all Ciliary environments; a world says what settings are worth and what is seen of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from ciliary.cortex.floats import single_precision
from ciliary.cortex.table import ParameterTable
from ciliary.envs.batch import Evaluation
from ciliary.envs.dynamics import Rules, count_still, is_converged, move, reward

Obs = dict[str, np.ndarray]


class Settings:
    """The columns of u in an environment: their table, where episodes start, and which of them nothing may move.

    Args:
        parameters: P parameters.
        default_u: (P,) in [-1, 1]; None: the table's.
        frozen: names that keep their defaults.

    Raises:
        ValueError: the defaults have another shape or range.
        KeyError: a frozen name is none of the table's.
    """

    def __init__(
        self, parameters: ParameterTable, default_u: np.ndarray | None = None, frozen: Collection[str] = ()
    ) -> None:
        parameters.check_names(frozen)
        self.parameters = parameters
        self.frozen = tuple(name for name in parameters.names if name in frozen)
        self._is_frozen = np.isin(parameters.names, self.frozen)
        self.default_u = self.checked(parameters.default_unit()[0].numpy() if default_u is None else default_u)

    def checked(self, default_u: np.ndarray) -> np.ndarray:
        """A setting (P,) as float32, if it is one."""
        u = np.array(default_u, dtype=np.float32)
        if u.shape != (len(self.parameters),) or not (np.abs(u) <= 1 + 1e-6).all():
            raise ValueError(f"expected default_u ({len(self.parameters)},) in [-1, 1], got {default_u}")
        return np.clip(u, -1, 1)

    def pinned(self, u: np.ndarray, default_u: np.ndarray) -> np.ndarray:
        """Settings (N, P) with what is frozen at the defaults (P,) or (N, P)."""
        return np.where(self._is_frozen, default_u, u)


class HasSettings:
    """What an environment says of the columns of u, single or vector."""

    _settings: Settings

    @property
    def parameters(self) -> ParameterTable:
        """P parameters, the columns of u."""
        return self._settings.parameters

    @property
    def n_parameters(self) -> int:
        """P."""
        return len(self.parameters)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """P names."""
        return self.parameters.names

    @property
    def frozen(self) -> tuple[str, ...]:
        """Parameters that can do nothing here and keep their defaults; not worth a search, or a line on a page."""
        return self._settings.frozen

    @property
    def default_u(self) -> np.ndarray:
        """Where episodes start, a copy, (P,) float32."""
        return np.array(self._settings.default_u)


class AbstractPerceptionEnv(HasSettings, gym.Env[Any, np.ndarray]):
    """One image, one episode: actions move the settings u, the reward is the fall of the total loss.

    Subclasses give ``_begin`` (a new episode from the seeded generator and the options), ``evaluate`` (a population
    of settings) and ``_observe`` (fresh arrays). ``step`` and ``reset`` are final.

    Attributes:
        rules: see :class:`ciliary.envs.dynamics.Rules`.
        n_evaluations: settings evaluated since the reset (the reset's own measurement of the defaults is free).
        history: the terms after the reset and after every step of the episode, as measured.
    """

    def __init__(self, settings: Settings, *, rules: Rules) -> None:
        self.rules = rules
        self._settings = settings
        self._default_u = settings.default_u.copy()
        self.action_space = spaces.Box(-1.0, 1.0, (self.n_parameters,), np.float32)
        self.n_evaluations = 0
        self.history: list[dict[str, float]] = []
        self._u = self.default_u
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

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether an episode has begun."""

    def _describe(self) -> dict[str, Any]:
        """More entries for info."""
        return {}

    # --- what a world may say besides
    @property
    def objective_name(self) -> str | None:
        """What totals are measured by."""
        return None

    @property
    def starts(self) -> np.ndarray | None:
        """Settings (M, P) that are recommended to be tried first, or None."""
        return None

    @property
    def min_gain(self) -> float:
        """Gain in the total below which a change is not worth it."""
        return 0.0

    @property
    def is_exact(self) -> bool:
        """Whether a setting is worth the same on any views."""
        return False

    @property
    def has_gradient(self) -> bool:
        """Whether :meth:`evaluate_with_gradient` has an answer."""
        return False

    @property
    def observed(self) -> dict[str, tuple[str, ...]]:
        """Names of the entries of the observation's ``statistics`` and ``terms``, where they have names."""
        return {}

    def holds(self, settings: Mapping[str, np.ndarray], seed: int) -> dict[str, dict[str, float]]:
        """Stability and consistency of what is perceived at settings, by name, each (K, P); none where none is told."""
        del seed
        return {name: {} for name in settings}

    # --- where it stands
    @property
    def default_u(self) -> np.ndarray:
        """Where the episode starts, a copy, (P,) float32; given to the constructor, or to a reset as an option."""
        return np.array(self._default_u)

    @property
    def u(self) -> np.ndarray:
        """The present settings, a copy, (P,)."""
        return np.array(self._u)

    # --- the clock
    @property
    def action_mode(self) -> str:
        """``delta`` or ``absolute``."""
        return self.rules.action_mode

    @single_precision
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Start an episode at the defaults. See the class for the options."""
        super().reset(seed=seed)
        options = dict(options or {})
        given = options.pop("default_u", None)
        self._default_u = self._settings.default_u.copy() if given is None else self._settings.checked(given)
        self._begin(options)
        self._u = self.default_u
        self._n_still = np.zeros(1, dtype=np.int64)
        self.history = []
        self._take(self._measure(self._u[None]))
        self.n_evaluations = 0
        return self._observe(), self._info()

    @single_precision
    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Move u, look, and be paid the fall of the total."""
        if not self.history:
            raise gym.error.ResetNeeded("expected reset() before step(); call env.reset(seed=...) first")
        previous = np.array([self._terms["total"]])
        self._u = self._pinned(move(self._u[None], np.asarray(action)[None], rules=self.rules))[0]
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
        theta = self.parameters.from_unit(torch.as_tensor(self._u)[None])
        info = {
            "terms": dict(self._terms),
            "u": self._u.copy(),
            "theta": {name: float(value[0]) for name, value in theta.items()},
            "n_evaluations": self.n_evaluations,
        }
        return info | self._describe()

    def _pinned(self, u: np.ndarray) -> np.ndarray:
        return self._settings.pinned(u, self._default_u)

    def _check_population(self, u: np.ndarray) -> np.ndarray:
        u = np.asarray(u, dtype=np.float32)
        if u.ndim != 2 or u.shape[1] != self.n_parameters:
            raise ValueError(f"expected u of shape (N, {self.n_parameters}), got {u.shape}; one setting is u[None]")
        if not self._is_ready():
            raise gym.error.ResetNeeded("expected reset() before evaluate(); call env.reset(seed=...) first")
        return self._pinned(np.clip(u, -1, 1))
