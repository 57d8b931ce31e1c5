"""How the loop meets an environment: populations through ``evaluate``, or one setting at a time through ``step``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

Terms = dict[str, np.ndarray]


class World:
    """One environment during one episode. It counts evaluations and knows where the environment stands.

    Attributes:
        env: the environment.
        names: P parameter names; ``u0``, ``u1``, ... if the environment names none.
        default_u: (P,) the default setting; zeros if the environment has none.
        starts: (M, P) settings the environment recommends to try first, or None.
        min_gain: gain in the total below which the environment finds a change not worth it.
        is_exact: whether a setting is worth the same on any views.
        objective: name of the environment's objective (``raw``, ``calibrated``), or None.
        can_evaluate: whether the environment evaluates populations.
        n_evaluations: settings evaluated so far.
        obs, info: of the latest reset or step.
        is_terminated, is_truncated: of the latest step.
    """

    def __init__(self, env: gym.Env) -> None:
        self.env = env
        self.inner: Any = env.unwrapped
        self.can_evaluate = hasattr(self.inner, "evaluate")
        self.n_evaluations = 0
        self.obs: Any = None
        self.info: Mapping[str, Any] = {}
        self.is_terminated = self.is_truncated = False
        self.default_u: np.ndarray = np.zeros(0)
        self.names: tuple[str, ...] = ()
        self.starts: np.ndarray | None = None
        self.min_gain = 0.0
        self.is_exact = False
        self.objective: str | None = None

    def reset(self, seed: int, options: Mapping[str, Any] | None) -> None:
        """Start the episode over; the same seed brings the same image and views."""
        self.obs, self.info = self.env.reset(seed=seed, options=dict(options) if options else None)
        self.is_terminated = self.is_truncated = False
        default = getattr(self.inner, "default_u", None)
        if default is None:
            default = np.zeros(self.env.action_space.shape or ())
        self.default_u = np.asarray(default, dtype=np.float32).ravel()
        n_parameters = len(self.default_u)
        starts = getattr(self.inner, "starts", None)
        self.starts = None if starts is None else np.asarray(starts, dtype=np.float32)
        self.objective = getattr(self.inner, "objective_name", None)
        self.min_gain = float(getattr(self.inner, "min_gain", 0.0))
        self.is_exact = bool(getattr(self.inner, "is_exact", False))
        names = getattr(self.inner, "parameter_names", None) or tuple(self.info.get("theta", ()))
        self.names = tuple(names) if len(names) == n_parameters else tuple(f"u{i}" for i in range(n_parameters))

    def pinned(self, u: np.ndarray) -> np.ndarray:
        """Settings (N, P) with what can do nothing here at its default."""
        frozen = getattr(self.inner, "frozen", ())
        return np.where(np.isin(self.names, frozen), self.default_u, u) if frozen else u

    def evaluate(self, u: np.ndarray, *, views_seed: int | None = None) -> Terms:
        """Terms, each (N,), of the settings u (N, P) on the episode's views, or on fresh ones."""
        fresh = {} if views_seed is None else {"views_seed": views_seed}
        evaluation = self.inner.evaluate(u, **fresh)
        self.n_evaluations += len(u)
        return _as_terms(evaluation)

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Terms, np.ndarray]:
        """Terms of the settings u (N, P) on the episode's views, and d total / d u, (N, P).

        Raises:
            ValueError: the environment cannot tell.
        """
        if not hasattr(self.inner, "evaluate_with_gradient"):
            raise ValueError(
                f"the controller descends along gradients, and {type(self.inner).__name__} has no "
                "evaluate_with_gradient; choose a controller that searches, such as tpe"
            )
        evaluation, gradient = self.inner.evaluate_with_gradient(u)
        self.n_evaluations += len(u)
        return _as_terms(evaluation), np.asarray(gradient, dtype=np.float64)

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

    def settle(self, u: np.ndarray) -> None:
        """Leave the environment at the setting u (P,): no step if it is there, one, or as many as its largest needs."""
        n_most = math.ceil(2 / self._max_step()) + 1
        for _ in range(n_most):
            if "u" in self.info and np.allclose(np.ravel(self.info["u"]), u, atol=1e-5):
                return
            self.step(u)
            if "u" not in self.info:  # cannot tell where it stands: the action was the setting
                return

    def _max_step(self) -> float:
        rules = getattr(self.inner, "rules", self.inner)
        is_delta = getattr(rules, "action_mode", "absolute") == "delta"
        return float(rules.max_step) if is_delta else 2.0

    def _action(self, u: np.ndarray) -> np.ndarray:
        box = self.env.action_space
        if not isinstance(box, gym.spaces.Box):
            raise TypeError(f"expected a Box action space, got {type(box).__name__}; wrap the environment")
        rules = getattr(self.inner, "rules", self.inner)
        if getattr(rules, "action_mode", "absolute") == "delta":
            here = np.asarray(self.info.get("u", self.default_u), dtype=np.float64).ravel()
            unit = np.clip((u - here) / rules.max_step, -1, 1)
        else:
            unit = np.clip(u, -1, 1)
        low, high = box.low.ravel().astype(np.float64), box.high.ravel().astype(np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError("expected a bounded action space, got infinite bounds; wrap it with RescaleAction")
        action = low + (unit + 1) / 2 * (high - low)
        return np.clip(action, low, high).astype(box.dtype).reshape(box.shape)


def _as_terms(evaluation: Any) -> Terms:
    return {name: np.asarray(values, dtype=np.float64) for name, values in evaluation.terms.items()}
