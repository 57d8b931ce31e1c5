"""A quadratic world whose best setting is known: every controller meets it first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.table import ParameterTable
from ciliary.envs.batch import Evaluation
from ciliary.envs.core import AbstractPerceptionEnv, Obs, Settings
from ciliary.envs.dynamics import LOSS_CEILING, ActionMode, Rules, felt
from ciliary.envs.episode import check_options

#: The four terms share the coordinates among them (coordinate i belongs to term i mod 4); ``total`` is their sum.
TERMS = ("stability", "consistency", "collapse", "economy")

_OPTIMUM_BOUND = 0.8  # |u*| stays inside, so that the optimum is reachable by a step from either side
_OPTIMUM_GAP = 0.2  # and this far from 0 and from the default: quasi-random searches start at the centre of the box
_N_RIPPLES = 8


class ToyEnv(AbstractPerceptionEnv):
    """A quadratic bowl: total(u) = sum_i curvature_i (u_i - optimum_i)^2, with the interface of the real environment.

    ## Action space
    ``Box(-1, 1, (P,), float32)``.

    | action_mode | meaning |
    |---|---|
    | ``delta`` | u <- clip(u + max_step * action) |
    | ``absolute`` | u <- action |

    ## Observation space
    Flat ``Dict`` of float32 boxes. The optimum is the hidden context: it is in the attribute ``optimum`` only, and in
    the observation if (and only if) ``is_context_visible``.

    | key | shape | range | meaning |
    |---|---|---|---|
    | ``statistics`` | (P,) | [-1, 1] | the optimum if ``is_context_visible``, else the centre of the seen values, 0 |
    | ``terms`` | (5,) | [-2, 2] | stability, consistency, collapse, economy, total |
    | ``u`` | (P,) | [-1, 1] | the present settings |

    ## Reward
    Previous total - new total - ``step_cost``. The curvatures sum to 1 / 1.8^2, so the total lies in [0, 1] without
    noise, and the reward in [-1 - step_cost, 1 - step_cost]. The rewards of an episode sum to
    first total - last total - n_steps * step_cost.

    ## Start of an episode
    u = the default (that of the cortex when P is the cortex's number of parameters, else 0). The optimum is drawn from
    the seeded generator, at least 0.2 away from 0 and from the default in each coordinate, and within 0.8 of 0.

    ## End of an episode
    Terminated when the total changed by less than ``tolerance`` in ``patience`` steps in a row; truncated by the
    ``TimeLimit`` that ``gymnasium.make`` adds (64 steps).

    ## Reset options
    ``image``: an int that names the optimum (same int, same optimum) · ``optimum``: (P,) itself ·
    ``disturbance``, ``normalise``: accepted, without effect (there is no image to disturb).

    ## Arguments
    Args:
        n_parameters: P; the cortex's number by default.
        condition: ratio of the largest to the smallest curvature, >= 1.
        noise_std: standard deviation over settings, and over views, of a ripple on the total. It depends on u and on
            the views alone (the same setting on the same views is worth the same, as with real views), and is added
            to ``total`` only.
        nonfinite_trials: evaluations of the episode (0 is the first after the reset) whose terms come back as nan.
        is_context_visible: whether ``statistics`` shows the optimum.
        action_mode, max_step, step_cost, tolerance, patience: see :class:`ciliary.envs.dynamics.Rules`.
        default_u: where episodes start, (P,) in [-1, 1].
        starts, min_gain, objective_name: what the environment says of them, as if an objective did.

    ## Version history
    v0: first version.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        *,
        n_parameters: int = len(PARAMETERS),
        condition: float = 10.0,
        noise_std: float = 0.0,
        nonfinite_trials: Sequence[int] = (),
        is_context_visible: bool = False,
        action_mode: ActionMode = "delta",
        max_step: float = 0.25,
        step_cost: float = 0.001,
        tolerance: float = 1e-5,
        patience: int = 5,
        default_u: np.ndarray | None = None,
        starts: np.ndarray | None = None,
        min_gain: float = 0.0,
        objective_name: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        if n_parameters < 1:
            raise ValueError(f"expected n_parameters >= 1, got {n_parameters}")
        is_cortex = n_parameters == len(PARAMETERS)
        table = PARAMETERS if is_cortex else ParameterTable.generic([f"u{i}" for i in range(n_parameters)])
        rules = Rules(action_mode, max_step, step_cost, tolerance, patience)
        super().__init__(Settings(table, default_u), rules=rules)
        if condition < 1 or noise_std < 0:
            raise ValueError(f"expected condition >= 1 and noise_std >= 0, got {condition} and {noise_std}")
        if render_mode is not None:
            raise TypeError(f"the toy world has nothing to draw: expected render_mode=None, got {render_mode!r}")
        self.render_mode = None
        curvature = np.geomspace(1.0, 1.0 / condition, n_parameters)
        self.curvature = curvature / curvature.sum() / (1 + _OPTIMUM_BOUND) ** 2
        self.noise_std = noise_std
        self.nonfinite_trials = frozenset(nonfinite_trials)
        self.is_context_visible = is_context_visible
        self._starts, self._min_gain, self._objective_name = starts, min_gain, objective_name
        self.optimum: np.ndarray | None = None
        self._views_seed = 0
        self.observation_space = spaces.Dict(
            {
                "statistics": spaces.Box(-1.0, 1.0, (n_parameters,), np.float32),
                "terms": spaces.Box(-LOSS_CEILING, LOSS_CEILING, (len(TERMS) + 1,), np.float32),
                "u": spaces.Box(-1.0, 1.0, (n_parameters,), np.float32),
            }
        )

    @property
    def starts(self) -> np.ndarray | None:
        """As given."""
        return self._starts

    @property
    def min_gain(self) -> float:
        """As given."""
        return self._min_gain

    @property
    def objective_name(self) -> str | None:
        """As given."""
        return self._objective_name

    @property
    def has_gradient(self) -> bool:
        """Yes, in closed form."""
        return True

    @property
    def image(self) -> np.ndarray:
        """(3, 48, 48) float32 mid-grey: there is nothing to see here."""
        return np.full((3, 48, 48), 0.5, dtype=np.float32)

    def loss(self, u: Tensor) -> Tensor:
        """The total without noise, (N,), differentiable in u (N, P)."""
        optimum, curvature = torch.as_tensor(self._known_optimum()), torch.as_tensor(self.curvature)
        return ((u - optimum.to(u)) ** 2 * curvature.to(u)).sum(1)

    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """Terms of N settings u (N, P); see :meth:`ciliary.envs.core.AbstractPerceptionEnv.evaluate`."""
        u = self._check_population(u)
        terms = self._terms_of(u, self._views_seed if views_seed is None else views_seed)
        i_trial = self.n_evaluations + np.arange(len(u))
        is_broken = np.isin(i_trial, list(self.nonfinite_trials))
        self.n_evaluations += len(u)
        return Evaluation(u, {name: np.where(is_broken, np.nan, values) for name, values in terms.items()})

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Evaluation, np.ndarray]:
        """Terms of N settings u (N, P), and d total / d u in closed form, ripple and all; nan where a term is."""
        u = self._check_population(u)
        evaluation = self.evaluate(u)
        gradient = 2 * self.curvature * (u.astype(np.float64) - self._known_optimum())
        if self.noise_std:
            gradient += self.noise_std * _ripple(u, self._views_seed)[1]
        gradient[~np.isfinite(evaluation.terms["total"])] = np.nan
        return evaluation, gradient

    def _terms_of(self, u: np.ndarray, views_seed: int) -> dict[str, np.ndarray]:
        cost = self.curvature * (u.astype(np.float64) - self._known_optimum()) ** 2
        terms = {name: cost[:, i :: len(TERMS)].sum(1) for i, name in enumerate(TERMS)}
        return terms | {"total": cost.sum(1) + self.noise_std * _ripple(u, views_seed)[0]}

    def _begin(self, options: dict[str, Any]) -> None:
        check_options(options, known=("image", "optimum", "disturbance", "normalise"))
        rng, image = self.np_random, options.get("image")
        self._views_seed = int(rng.integers(2**31))
        if image is not None:
            rng = np.random.default_rng(int(image))
        given = options.get("optimum")
        self.optimum = self._draw_optimum(rng) if given is None else self._check_optimum(given)

    def _draw_optimum(self, rng: np.random.Generator) -> np.ndarray:
        candidates = rng.uniform(-_OPTIMUM_BOUND, _OPTIMUM_BOUND, (256, self.n_parameters))
        is_far = (np.abs(candidates) >= _OPTIMUM_GAP) & (np.abs(candidates - self.default_u) >= _OPTIMUM_GAP)
        return np.asarray(candidates[is_far.argmax(0), np.arange(self.n_parameters)])

    def _check_optimum(self, optimum: Sequence[float]) -> np.ndarray:
        array = np.asarray(optimum, dtype=np.float64)
        if array.shape != (self.n_parameters,) or np.abs(array).max() > 1:
            raise ValueError(f"expected an optimum of shape ({self.n_parameters},) in [-1, 1], got {optimum}")
        return array

    def _known_optimum(self) -> np.ndarray:
        if self.optimum is None:
            raise ValueError("the optimum is drawn by reset(); call env.reset(seed=...) first")
        return self.optimum

    def _measure(self, u: np.ndarray) -> Evaluation:
        if not self.history:  # the reset's own measurement is free, and never broken
            return Evaluation(u, self._terms_of(u, self._views_seed))
        return self.evaluate(u)

    def _observe(self) -> Obs:
        statistics = self._known_optimum() if self.is_context_visible else np.zeros(self.n_parameters)
        terms = felt(np.array([self._terms[name] for name in (*TERMS, "total")]))
        return {"statistics": statistics.astype(np.float32), "terms": terms.astype(np.float32), "u": self.u}

    def _is_ready(self) -> bool:
        return self.optimum is not None


def _ripple(u: np.ndarray, views_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit-variance noise (N,) that is a function of u and the views alone, and its gradient (N, P).

    Random Fourier features (Rahimi & Recht 2007) of a Gaussian field so fine that neighbouring trials are independent.
    """
    rng = np.random.default_rng(views_seed)
    frequency = rng.normal(0, 100.0, (u.shape[1], _N_RIPPLES))
    phase = rng.uniform(0, 2 * np.pi, _N_RIPPLES)
    angle, scale = u.astype(np.float64) @ frequency + phase, np.sqrt(2 / _N_RIPPLES)
    return scale * np.cos(angle).sum(1), -scale * np.sin(angle) @ frequency.T
