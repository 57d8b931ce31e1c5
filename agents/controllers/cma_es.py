"""CMA-ES for Optuna that starts from a given mean and step size.

Optuna's own sampler loses the two arguments (``x0``, ``sigma0``) in its version 6; they are deprecated since 4.9. This
one stands on the same package, ``cmaes``, and proposes to the last digit what Optuna's does with them; it keeps the
optimiser in memory instead of writing it, pickled, to the trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from cmaes import CMA
from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

_LEAST_SIGMA = 1e-10
_OWN_SIGMA = 1 / 6  # Optuna's step size where none is given, in a box of [0, 1]


class CmaesSampler(BaseSampler):
    """CMA-ES (Hansen & Ostermeier 2001) over floats; trials made while none is told yet are drawn at random.

    Args:
        seed: of all that is drawn.
        population: of a generation, >= 2.
        mean: where it starts, physical values by name.
        sigma: first standard deviation where the box of all parameters is [0, 1]; None: a sixth.
    """

    def __init__(self, *, seed: int, population: int, mean: Mapping[str, float], sigma: float | None) -> None:
        self._population, self._mean = population, dict(mean)
        self._sigma = _OWN_SIGMA if sigma is None else max(sigma, _LEAST_SIGMA)
        self._rng = np.random.RandomState(seed)
        self._random = RandomSampler(seed=seed)
        self._space = IntersectionSearchSpace()
        self._generation: dict[int, int] = {}  # by number of the trial
        self._told: dict[int, CMA] = {}  # the optimiser as told when that trial was asked for

    def reseed_rng(self) -> None:
        """For several workers: only what is drawn at random needs it."""
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters, once a trial is told."""
        del trial
        return self._space.calculate(study)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, float]:
        """The next setting of the present generation; first the generation before is told, if it is whole."""
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not search_space or not done:
            return {}
        box = _Box(search_space)
        told = next((t.number for t in reversed(done) if t.number in self._told), None)
        optimiser = self._begin(box) if told is None else deepcopy(self._told[told])
        members = [t for t in done if self._generation.get(t.number) == optimiser.generation]
        if len(members) >= optimiser.population_size:
            optimiser.tell([(box.inside(t.params), t.values[0]) for t in members[: optimiser.population_size]])
            self._told[trial.number] = deepcopy(optimiser)
        optimiser.reseed_rng(int(self._rng.randint(1, 2**16)) + trial.number)
        setting = optimiser.ask()
        self._generation[trial.number] = optimiser.generation
        return box.outside(setting)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """At random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _begin(self, box: _Box) -> CMA:
        n = len(box.names)
        return CMA(
            mean=box.inside(self._mean),
            sigma=self._sigma,
            bounds=np.array([[0.0, 1.0]] * n),
            seed=int(self._rng.randint(1, 2**31 - 2)),
            n_max_resampling=10 * n,
            population_size=self._population,
        )


class _Box:
    """The search space as [0, 1], logarithmic where the distributions are.

    With scalars of ``math``, as Optuna has it: NumPy's logarithm differs in the last digit.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.names = tuple(space)
        self._axes = [axis for axis in space.values() if isinstance(axis, FloatDistribution)]
        self._low, self._high = (
            np.array(_logs(self._axes, bounds)) for bounds in zip(*((a.low, a.high) for a in self._axes), strict=True)
        )

    def inside(self, params: Mapping[str, float]) -> np.ndarray:
        """Physical values by name -> (P,) in [0, 1]."""
        values = np.array(_logs(self._axes, [params[name] for name in self.names]))
        return np.asarray((values - self._low) / (self._high - self._low))

    def outside(self, x: np.ndarray) -> dict[str, float]:
        """The inverse; the upper bound is left out, as Optuna's distributions have it."""
        values = (self._low + x * (self._high - self._low)).tolist()
        found = {}
        for name, axis, value in zip(self.names, self._axes, values, strict=True):
            top = float(np.nextafter(axis.high, axis.high - 1))
            found[name] = float(np.clip(math.exp(value), axis.low, top)) if axis.log else min(value, top)
        return found


def _logs(axes: Sequence[FloatDistribution], values: Sequence[float]) -> list[float]:
    return [math.log(value) if axis.log else float(value) for axis, value in zip(axes, values, strict=True)]
