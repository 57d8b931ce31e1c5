"""Search by Optuna: TPE, CMA-ES, Gaussian process, NSGA-II, one population at a time.

The study lives in memory (a database per trial is some 50 times slower) and is part of the state; who wants to keep it
saves ``state.study.get_trials()`` in bulk. Parameters are stored in physical units, so a study reads like the table of
parameters; the terms of each trial are its user attributes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from ciliary.agents.base import History
from ciliary.agents.space import Space, space_for

Params = dict[str, float]


@dataclass(frozen=True)
class Start:
    """What a sampler starts from: ``spread`` is the controller's, None or in units of u; ``centre`` CMA-ES's mean."""

    seed: int
    population: int
    centre: Params
    spread: float | None


def _cmaes(start: Start) -> BaseSampler:
    sigma = None if start.spread is None else start.spread / 2  # Optuna's CMA-ES lives in [0, 1], u in [-1, 1]
    size = max(start.population, 2)
    return CmaEsSampler(seed=start.seed, popsize=size, x0=start.centre, sigma0=sigma, warn_independent_sampling=False)


SAMPLERS: Mapping[str, Callable[[Start], BaseSampler]] = {
    # constant_liar: the settings of one population keep away from each other although none is told yet
    "tpe": lambda start: TPESampler(seed=start.seed, multivariate=True, constant_liar=True),
    "cmaes": _cmaes,
    "gp": lambda start: GPSampler(seed=start.seed, warn_independent_sampling=False),
    "nsga2": lambda start: NSGAIISampler(seed=start.seed, population_size=max(start.population, 2)),
}


#: Settings asked at once. The Gaussian process learns most from every trial, and pays most for asking many at once:
#: on the 30-parameter toy world, 64 trials leave 0.08 of the default's loss in populations of 4, 0.22 in those of 16.
DEFAULT_POPULATION: Mapping[str, int] = {"tpe": 16, "cmaes": 16, "gp": 4, "nsga2": 16}

N_NEAR = 15
"""Trials around the defaults at the start of a search with a ``spread``."""


@dataclass(frozen=True)
class SearchState:
    """The study (Optuna keeps its memory there, and changes it in place), and the trials asked but not yet told."""

    study: optuna.Study
    space: Space
    pending: tuple[optuna.Trial, ...] = ()
    n_recalled: int = 0


@dataclass(frozen=True)
class SearchController:
    """The defaults as trial 0, then what the sampler asks for.

    Attributes:
        sampler: a key of :data:`SAMPLERS`.
        population: settings asked and told at once, >= 1; also the population of CMA-ES and NSGA-II. None takes the
            sampler's own from :data:`DEFAULT_POPULATION`.
        warm_trials: finished trials of an earlier session of the same study, in order, to go on from. Running ones are
            dropped. They count toward the budget and are not evaluated again.
        spread: how far from the defaults to start, as a standard deviation in u, > 0. None starts anywhere, which
            finds nothing in 64 trials when 30 parameters are each a quarter off. CMA-ES takes it as its first step
            size; the others get ``N_NEAR`` first trials around the defaults, at scales from spread down to spread / 8.
    """

    sampler: str = "tpe"
    population: int | None = None
    warm_trials: tuple[FrozenTrial, ...] = ()
    spread: float | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"unknown sampler {self.sampler!r}; choose from {', '.join(SAMPLERS)}")
        if self.population is not None and self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")
        if self.spread is not None and self.spread <= 0:
            raise ValueError(f"expected spread > 0 or None, got {self.spread}")

    @property
    def name(self) -> str:
        """The sampler's name."""
        return self.sampler

    @property
    def n_asked(self) -> int:
        """Settings asked at once."""
        return DEFAULT_POPULATION[self.sampler] if self.population is None else self.population

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> SearchState:
        """A study in memory with the earlier trials, or with the defaults waiting as trial 0.

        Raises:
            ValueError: if the earlier trials were made in another space.
        """
        del obs
        default, starts = info["default_u"], info.get("starts")
        if self.sampler == "cmaes":
            first = None
        elif starts is not None:
            first = starts  # known to be good somewhere: better than guesses around the defaults
        else:
            first = None if self.spread is None else near(default, spread=self.spread, seed=seed)
        return self.begin(info, seed, centre=default, first=first)

    def begin(
        self, info: Mapping[str, Any], seed: int, *, centre: np.ndarray, first: np.ndarray | None = None
    ) -> SearchState:
        """A study as :meth:`init` makes it, with CMA-ES's mean at ``centre`` (P,).

        ``first`` (M, P) are the settings to try right after the defaults, in a study without earlier trials.
        """
        space = space_for(info["parameter_names"])
        finished = [t for t in self.warm_trials if t.state in (TrialState.COMPLETE, TrialState.FAIL)]
        _check_space(finished, distributions_of(space))
        # a resumed sampler must not draw again what the first session drew
        sampler_seed = int(np.random.SeedSequence([seed, len(finished)]).generate_state(1)[0])
        start = Start(sampler_seed, self.n_asked, _params(space, centre), self.spread)
        with _quiet():
            study = optuna.create_study(sampler=SAMPLERS[self.sampler](start))
        study.add_trials(finished)
        if not finished:
            enqueue(study, space, info["default_u"][None])
            if first is not None:
                enqueue(study, space, first)
        return SearchState(study, space, n_recalled=len(finished))

    def act(self, state: SearchState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, SearchState]:
        """Ask for a population, (N, P)."""
        del obs
        n = min(self.n_asked, info.get("n_remaining", self.n_asked))
        is_first = not state.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        if is_first and self.sampler == "cmaes":
            n = 1  # it samples at random until one trial is told, and is better served by its own first generation
        distributions = distributions_of(state.space)
        pending = tuple(state.study.ask(fixed_distributions=distributions) for _ in range(n))
        u = state.space.to_unit(np.array([[trial.params[name] for name in state.space.names] for trial in pending]))
        if is_first:
            u[0] = info["default_u"]  # to the last digit
        return u, SearchState(state.study, state.space, pending, state.n_recalled)

    def learn(self, state: SearchState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> SearchState:
        """Tell the population. Trials without a finite total are told as failed; so are those the loop cut off."""
        del obs
        terms = {name: np.asarray(values, dtype=np.float64) for name, values in info["terms"].items()}
        for i, trial in enumerate(state.pending):
            row = {name: float(values[i]) for name, values in terms.items() if i < len(u)}
            for name, value in row.items():
                if name != "total" and math.isfinite(value):
                    trial.set_user_attr(name, value)
            total = row.get("total", math.nan)
            if math.isfinite(total):
                state.study.tell(trial, total)
            else:
                state.study.tell(trial, state=TrialState.FAIL)
        return SearchState(state.study, state.space, (), state.n_recalled)

    def recall(self, state: SearchState) -> History | None:
        """The trials of the earlier session: u (T, P) and their terms, each (T,); nan where a trial failed."""
        trials = state.study.get_trials(deepcopy=False)[: state.n_recalled]
        if not trials:
            return None
        u = state.space.to_unit(np.array([[trial.params[name] for name in state.space.names] for trial in trials]))
        names = dict.fromkeys(name for trial in trials for name, v in trial.user_attrs.items() if isinstance(v, float))
        terms = {name: np.array([trial.user_attrs.get(name, math.nan) for trial in trials]) for name in names}
        terms["total"] = np.array([math.nan if trial.value is None else trial.value for trial in trials])
        return u, terms


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's view of the space, in physical units. Counts are floats too: fractional counts are legal."""
    return {axis.name: FloatDistribution(axis.low, axis.high, log=axis.is_log) for axis in space.axes}


def enqueue(study: optuna.Study, space: Space, u: np.ndarray) -> None:
    """Have the study try u (N, P) next, before anything its sampler asks for."""
    for row in u:
        study.enqueue_trial(_params(space, row))


def near(u: np.ndarray, *, spread: float, seed: int | Sequence[int], n: int = N_NEAR) -> np.ndarray:
    """Settings (n, P) around u (P,), each at its own scale, since the right one is not known."""
    rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), n])
    scale = spread * 2.0 ** -rng.uniform(0, 3, (n, 1))
    return np.clip(u + scale * rng.normal(size=(n, len(u))), -1, 1)


def _params(space: Space, u: np.ndarray) -> Params:
    return dict(zip(space.names, space.to_physical(np.asarray(u)[None])[0].tolist(), strict=True))


def _check_space(trials: list[FrozenTrial], distributions: dict[str, BaseDistribution]) -> None:
    for trial in trials:
        if trial.distributions != distributions:
            changed = sorted(
                name
                for name in {*trial.distributions, *distributions}
                if trial.distributions.get(name) != distributions.get(name)
            )
            raise ValueError(
                f"expected earlier trials in the present search space, but trial {trial.number} differs in {changed}; "
                "start a new study (another storage or session name)"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Creating a study in memory is not news, nor are arguments that this Optuna calls experimental or ageing.

    Optuna 4 calls TPE's ``multivariate`` and ``constant_liar`` experimental; 4.9 announces that CMA-ES's ``x0`` and
    ``sigma0`` leave in 6.0.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.filterwarnings("ignore", "`(x0|sigma0)` has been deprecated", FutureWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
