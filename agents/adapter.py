"""How the loop meets an environment: Ciliary's own, which evaluate populations, and any other, one step at a time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np

from ciliary.cortex.parameters import ParameterTable
from ciliary.envs.batch import Evaluation
from ciliary.envs.core import AbstractPerceptionEnv
from ciliary.envs.dynamics import Rules
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.looks import LookBook
from ciliary.envs.single import AccommodationEnv

Terms = dict[str, np.ndarray]


class EnvAdapter(ABC):
    """One environment during one episode. It counts evaluations and knows where the environment stands.

    Attributes:
        env: the environment, wrappers and all.
        parameters: the columns of u; known after the reset, like all that follows.
        default_u: (P,) the default setting.
        frozen: names of parameters that can do nothing there and keep their defaults.
        starts: (M, P) settings the environment recommends to try first, or None.
        min_gain: gain in the total below which the environment finds a change not worth it.
        is_exact: whether a setting is worth the same on any views.
        objective: name of the environment's objective (``raw``, ``calibrated``), or None.
        observed: names of the entries of the observation's ``statistics`` and ``terms``, where it tells them.
        can_evaluate: whether populations are evaluated; else there is only ``step``.
        n_evaluations: settings evaluated so far.
        obs, info: of the latest reset or step.
        is_terminated, is_truncated: of the latest step.
    """

    can_evaluate: bool = False

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env = env
        self.n_evaluations = 0
        self.obs: Any = None
        self.info: Mapping[str, Any] = {}
        self.is_terminated = self.is_truncated = False
        self.parameters: ParameterTable
        self.default_u: np.ndarray
        self.frozen: tuple[str, ...] = ()
        self.starts: np.ndarray | None = None
        self.min_gain = 0.0
        self.is_exact = False
        self.objective: str | None = None
        self.observed: Mapping[str, tuple[str, ...]] = {}

    def reset(self, seed: int, options: Mapping[str, Any] | None) -> None:
        """Start the episode over; the same seed brings the same image and views."""
        self.obs, self.info = self.env.reset(seed=seed, options=dict(options) if options else None)
        self.is_terminated = self.is_truncated = False
        self._describe()

    def pinned(self, u: np.ndarray) -> np.ndarray:
        """Settings (N, P) with what is frozen at its default."""
        return np.where(np.isin(self.parameters.names, self.frozen), self.default_u, u) if self.frozen else u

    @abstractmethod
    def _describe(self) -> None:
        """What the environment says of itself after a reset."""

    @abstractmethod
    def _rules(self) -> Rules:
        """What an action does to u."""

    @abstractmethod
    def evaluate(self, u: np.ndarray, *, views_seed: int | None = None) -> Terms:
        """Terms, each (N,), of the settings u (N, P) on the episode's views, or on fresh ones."""

    @abstractmethod
    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Terms, np.ndarray]:
        """Terms of the settings u (N, P) on the episode's views, and d total / d u, (N, P).

        Raises:
            ValueError: the environment cannot tell.
        """

    def step(self, u: np.ndarray) -> tuple[np.ndarray, Terms]:
        """Step towards the setting u (P,): the setting reached (1, P) and its terms, each (1,).

        An environment whose action is a change of u may need several steps to arrive; this is one of them. An
        environment without ``terms`` in its info is judged by its reward: total = -reward.
        """
        self.obs, reward, terminated, truncated, self.info = self.env.step(self._action(u))
        self.is_terminated, self.is_truncated = bool(terminated), bool(truncated)
        self.n_evaluations += 1
        terms = self.info.get("terms") or {"total": -float(reward)}
        reached = np.array(self.info.get("u", u), dtype=np.float32).reshape(1, -1)
        return reached, {name: np.array([float(np.squeeze(value))]) for name, value in terms.items()}

    def gradient_here(self) -> np.ndarray:
        """d total / d u, (1, P), where an environment stands that is played by steps.

        Raises:
            ValueError: the environment cannot tell.
        """
        raise ValueError(
            f"the controller descends along gradients, and {type(self.env.unwrapped).__name__} tells none where it "
            "stands; choose a controller that searches, such as tpe"
        )

    def take_looks(self, u: np.ndarray) -> LookBook:
        """What the settings u (N, P) saw, together; an environment that kept it perceives none again.

        Raises:
            ValueError: the environment keeps no looks.
        """
        raise ValueError(f"{type(self.env.unwrapped).__name__} keeps no looks, so there is no percept of all of them")

    def settle(self, u: np.ndarray) -> None:
        """Leave the environment at the setting u (P,): no step if it is there, one, or as many as its largest needs."""
        rules = self._rules()
        for _ in range(math.ceil(2 / (rules.max_step if rules.action_mode == "delta" else 2.0)) + 1):
            if "u" in self.info and np.allclose(np.ravel(self.info["u"]), u, atol=1e-5):
                return
            self.step(u)
            if "u" not in self.info:  # cannot tell where it stands: the action was the setting
                return

    def _action(self, u: np.ndarray) -> np.ndarray:
        box, rules = _box(self.env), self._rules()
        if rules.action_mode == "delta":
            here = np.asarray(self.info.get("u", self.default_u), dtype=np.float64).ravel()
            unit = np.clip((u - here) / rules.max_step, -1, 1)
        else:
            unit = np.clip(u, -1, 1)
        low, high = box.low.ravel().astype(np.float64), box.high.ravel().astype(np.float64)
        action = low + (unit + 1) / 2 * (high - low)
        return np.asarray(np.clip(action, low, high).astype(box.dtype)).reshape(box.shape)


class PerceptionAdapter(EnvAdapter):
    """An environment of :class:`ciliary.envs.core.AbstractPerceptionEnv`, which declares all that is asked here.

    Populations go through the outermost wrapper that has ``evaluate``, so that one which remembers is heard.
    """

    can_evaluate = True

    def __init__(self, env: gym.Env[Any, Any], world: AbstractPerceptionEnv) -> None:
        super().__init__(env)
        self._world = world

    def _describe(self) -> None:
        world = self._world
        self.parameters, self.frozen = world.parameters, world.frozen
        self.default_u = np.array(world.default_u, dtype=np.float32)
        self.starts = None if world.starts is None else np.asarray(world.starts, dtype=np.float32)
        self.min_gain, self.is_exact, self.objective = world.min_gain, world.is_exact, world.objective_name
        self.observed = world.observed

    def _rules(self) -> Rules:
        return self._world.rules

    def evaluate(self, u: np.ndarray, *, views_seed: int | None = None) -> Terms:
        """See :class:`EnvAdapter`."""
        fresh = {} if views_seed is None else {"views_seed": views_seed}
        evaluation = self.env.get_wrapper_attr("evaluate")(u, **fresh)
        self.n_evaluations += len(u)
        return _as_terms(evaluation)

    def take_looks(self, u: np.ndarray) -> LookBook:
        """See :class:`EnvAdapter`."""
        if not isinstance(self._world, AccommodationEnv):
            return super().take_looks(u)
        self._world.take_looks(u)
        return self._world.looks

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Terms, np.ndarray]:
        """See :class:`EnvAdapter`."""
        if not self._world.has_gradient:
            raise ValueError(
                f"the controller descends along gradients, and what {type(self._world).__name__} perceives with has "
                "none; choose a controller that searches, such as tpe"
            )
        evaluation, gradient = self.env.get_wrapper_attr("evaluate_with_gradient")(u)
        self.n_evaluations += len(u)
        return _as_terms(evaluation), np.asarray(gradient, dtype=np.float64)


class PlainAdapter(EnvAdapter):
    """Any other Gymnasium environment with a bounded Box: u is mapped on its bounds, and only steps are made.

    Its parameters are u itself, named by the keys of ``info["theta"]`` where they fit, else ``u0``, ``u1``, ...; the
    default is the middle of the box.
    """

    def _describe(self) -> None:
        n_parameters = int(np.prod(_box(self.env).shape))
        names = tuple(self.info.get("theta", ()))
        if len(names) != n_parameters:
            names = tuple(f"u{i}" for i in range(n_parameters))
        self.parameters = ParameterTable.generic(names)
        self.default_u = np.zeros(n_parameters, dtype=np.float32)

    def _rules(self) -> Rules:
        return Rules("absolute")

    def evaluate(self, u: np.ndarray, *, views_seed: int | None = None) -> Terms:
        """Raises ValueError: there is only ``step``."""
        raise ValueError(f"{type(self.env.unwrapped).__name__} evaluates no populations; go by steps")

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Terms, np.ndarray]:
        """Raises ValueError: it cannot tell."""
        raise ValueError(
            f"the controller descends along gradients, and {type(self.env.unwrapped).__name__} is no environment of "
            "Ciliary that tells them; choose a controller that searches, such as tpe"
        )


class EyeAdapter(EnvAdapter):
    """An eye (:class:`ciliary.envs.eye.single.EyeEnv`): a setting is where its free muscles stand, a trial is a look.

    The default is where the episode starts. A setting that no single step reaches is approached; the trial then is
    where the eye came to. Populations cannot be evaluated: an eye is in one state at a time.
    """

    _MOST_STEPS = 6  # from one end of the lens to the other

    def __init__(self, env: gym.Env[Any, Any], world: EyeEnv) -> None:
        super().__init__(env)
        self._world = world

    def _describe(self) -> None:
        self.parameters, self.observed = self._world.parameters, self._world.observed
        self.default_u = np.array(self._world.u, dtype=np.float32)

    def _rules(self) -> Rules:
        return self._world.rules

    def _action(self, u: np.ndarray) -> np.ndarray:
        return self._world.action_towards(u)

    def settle(self, u: np.ndarray) -> None:
        """See :class:`EnvAdapter`."""
        for _ in range(self._MOST_STEPS):
            if np.allclose(self._world.u, u, atol=1e-5):
                return
            self.step(u)

    def evaluate(self, u: np.ndarray, *, views_seed: int | None = None) -> Terms:
        """Raises ValueError: an eye is in one state at a time."""
        raise ValueError("an eye is in one state at a time and evaluates no populations; go by steps")

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Terms, np.ndarray]:
        """Raises ValueError: it cannot tell."""
        raise ValueError(
            "an eye is in one state at a time and evaluates no populations; choose one that descends by steps, "
            "such as lens-gradient"
        )

    def gradient_here(self) -> np.ndarray:
        """See :class:`EnvAdapter`: told by the simulator, which no eye has at hand."""
        return self._world.gradient()[None]


def adapt(env: gym.Env[Any, Any]) -> EnvAdapter:
    """The adapter that an environment needs."""
    world = env.unwrapped
    if isinstance(world, EyeEnv):
        return EyeAdapter(env, world)
    return PerceptionAdapter(env, world) if isinstance(world, AbstractPerceptionEnv) else PlainAdapter(env)


def _box(env: gym.Env[Any, Any]) -> gym.spaces.Box:
    """The action space, if settings can be mapped on it."""
    box = env.action_space
    if not isinstance(box, gym.spaces.Box):
        raise TypeError(f"expected a Box action space, got {type(box).__name__}; wrap the environment")
    if not (np.isfinite(box.low).all() and np.isfinite(box.high).all()):
        raise ValueError("expected a bounded action space, got infinite bounds; wrap it with RescaleAction")
    return box


def _as_terms(evaluation: Any) -> Terms:
    found = cast(Evaluation, evaluation).terms
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}
