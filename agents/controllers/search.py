"""Search by Optuna: TPE, CMA-ES, Gaussian process, NSGA-II, one population at a time.

The study lives in memory (a database per trial is some 50 times slower) and is part of the state; who wants to keep it
saves ``state.study.get_trials()`` in bulk. Parameters are stored in physical units, so a study reads like the table of
parameters; the terms of each trial are its user attributes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.cma_es import CmaesSampler
from ciliary.cortex.loading import load_object, names_object
from ciliary.cortex.parameters import COLUMNS_V0, ParameterTable

Params = dict[str, float]


@dataclass(frozen=True)
class Start:
    """What a sampler starts from: ``spread`` is the controller's, None or in units of u; ``centre`` CMA-ES's mean."""

    seed: int
    population: int
    centre: Params
    spread: float | None


def _cmaes(start: Start) -> BaseSampler:
    sigma = None if start.spread is None else start.spread / 2  # CMA-ES lives in [0, 1], u in [-1, 1]
    return CmaesSampler(seed=start.seed, population=max(start.population, 2), mean=start.centre, sigma=sigma)


SamplerFactory = Callable[[Start], BaseSampler]

SAMPLERS: Mapping[str, SamplerFactory] = {
    # constant_liar: the settings of one population keep away from each other although none is told yet
    "tpe": lambda start: TPESampler(seed=start.seed, multivariate=True, constant_liar=True),
    "cmaes": _cmaes,
    "gp": lambda start: GPSampler(seed=start.seed, warn_independent_sampling=False),
    "nsga2": lambda start: NSGAIISampler(seed=start.seed, population_size=max(start.population, 2)),
}


#: Settings asked at once. The Gaussian process learns most from every trial, and pays most for asking many at once:
#: on the 30-parameter toy world, 64 trials leave 0.08 of the default's loss in populations of 4, 0.22 in those of 16.
DEFAULT_POPULATION: Mapping[str, int] = {"gp": 4}
_POPULATION = 16  # of all others

N_NEAR = 15
"""Trials around the defaults at the start of a search with a ``spread``."""


@dataclass(frozen=True)
class SearchState:
    """The study (Optuna keeps its memory there, and changes it in place), and the trials asked but not yet told."""

    study: optuna.Study
    parameters: ParameterTable
    frozen: tuple[str, ...] = ()  # not searched: they keep their defaults
    pending: tuple[optuna.Trial, ...] = ()


@dataclass(frozen=True)
class SearchController(ControllerBase):
    """The defaults as trial 0, then what the sampler asks for.

    Attributes:
        sampler: a key of :data:`SAMPLERS`; a sampler of your own as a function that makes one from a :class:`Start`
            (``lambda start: QMCSampler(seed=start.seed)``), as Optuna's class of it, or as the ``module:object`` of
            either.
        population: settings asked and told at once, >= 1; also the population of CMA-ES and NSGA-II. None takes the
            sampler's own: 16, 4 for the Gaussian process.
        spread: how far from the defaults to start, as a standard deviation in u, > 0. None starts anywhere, which
            finds nothing in 64 trials when 30 parameters are each a quarter off. CMA-ES takes it as its first step
            size; the others get ``N_NEAR`` first trials around the defaults, at scales from spread down to spread / 8.
    """

    sampler: str | SamplerFactory = "tpe"
    population: int | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        sampler_factory(self.sampler)  # a wrong one is answered here
        if self.population is not None and self.population < 1:
            raise ValueError(f"expected population >= 1, got {self.population}")
        if self.spread is not None and self.spread <= 0:
            raise ValueError(f"expected spread > 0 or None, got {self.spread}")

    @property
    def name(self) -> str:
        """The sampler's name; of one's own ``search-NAME``."""
        if not isinstance(self.sampler, str):
            return f"search-{_name_of(self.sampler)}"
        return self.sampler if self.sampler in SAMPLERS else f"search-{self.sampler.rpartition(':')[2]}"

    @property
    def n_asked(self) -> int:
        """Settings asked at once."""
        return DEFAULT_POPULATION.get(self.name, _POPULATION) if self.population is None else self.population

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> SearchState:
        """A study in memory with the defaults waiting as trial 0."""
        del obs
        default, starts = info["default_u"], info.get("starts")
        if self.sampler == "cmaes":
            first = None
        elif starts is not None:
            first = starts  # known to be good somewhere: better than guesses around the defaults
        else:
            first = (
                None if self.spread is None else near(default, info["parameters"].names, spread=self.spread, seed=seed)
            )
        return self.begin(info, seed, centre=default, first=first)

    def begin(
        self, info: Mapping[str, Any], seed: int, *, centre: np.ndarray, first: np.ndarray | None = None
    ) -> SearchState:
        """A study as :meth:`init` makes it, with CMA-ES's mean at ``centre`` (P,).

        ``first`` (M, P) are the settings to try right after the defaults.
        """
        parameters: ParameterTable = info["parameters"]
        sampler_seed = int(np.random.SeedSequence([seed, 0]).generate_state(1)[0])
        frozen = tuple(info.get("frozen", ()))
        start = Start(sampler_seed, self.n_asked, _params(parameters, centre, frozen), self.spread)
        with _quiet():
            study = optuna.create_study(sampler=sampler_factory(self.sampler)(start))
        state = SearchState(study, parameters, frozen)
        enqueue(state, info["default_u"][None])
        if first is not None:
            enqueue(state, first)
        return state

    def act(self, state: SearchState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, SearchState]:
        """Ask for a population, (N, P)."""
        del obs
        n = min(self.n_asked, info.get("n_remaining", self.n_asked))
        is_first = not state.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        if is_first and self.sampler == "cmaes":
            n = 1  # it samples at random until one trial is told, and is better served by its own first generation
        distributions = distributions_of(state.parameters, state.frozen)
        pending = tuple(state.study.ask(fixed_distributions=distributions) for _ in range(n))
        kept = _params(state.parameters, info["default_u"])
        values = [[trial.params.get(name, kept[name]) for name in state.parameters.names] for trial in pending]
        u = state.parameters.to_u(np.array(values))
        if is_first:
            u[0] = info["default_u"]  # to the last digit
        return u, replace(state, pending=pending)

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
        return replace(state, pending=())


def sampler_factory(sampler: str | SamplerFactory) -> SamplerFactory:
    """What makes the sampler of a study.

    Raises:
        ValueError: no such name, nothing of that address, or a finished sampler: it would carry its memory from
            episode to episode.
    """
    if isinstance(sampler, str) and sampler in SAMPLERS:
        return SAMPLERS[sampler]
    if isinstance(sampler, str) and not names_object(sampler):
        known = ", ".join(SAMPLERS)
        raise ValueError(f"unknown sampler {sampler!r}; choose from {known}, or give your own as module:object")
    own = load_object(sampler, what="sampler") if isinstance(sampler, str) else sampler
    if isinstance(own, type) and issubclass(own, BaseSampler):
        return lambda start: own(seed=start.seed)  # type: ignore[call-arg]  # as all of Optuna's
    if isinstance(own, BaseSampler) or not callable(own):
        raise ValueError(
            f"expected a function that makes a sampler from a Start, or a sampler's class, got {own!r}; give for "
            f"example lambda start: {type(own).__name__}(seed=start.seed)"
        )
    return own


def distributions_of(parameters: ParameterTable, frozen: Collection[str] = ()) -> dict[str, BaseDistribution]:
    """Optuna's view of what can be moved, in physical units. Counts are floats too: fractional counts are legal."""
    free = (p for p in parameters if p.name not in frozen)
    return {p.name: FloatDistribution(p.low, p.high, log=p.scale == "log") for p in free}


def enqueue(state: SearchState, u: np.ndarray) -> None:
    """Have the study try u (N, P) next, before anything its sampler asks for."""
    for row in u:
        state.study.enqueue_trial(_params(state.parameters, row, state.frozen))


def near(
    u: np.ndarray, names: Sequence[str], *, spread: float, seed: int | Sequence[int], n: int = N_NEAR
) -> np.ndarray:
    """Settings (n, P) around u (P,), each at its own scale, since the right one is not known.

    Parameters that the cortex got after version 0.1 draw after the others: what those draw does not depend on them,
    and a search that an older version began goes on as it would have.
    """
    rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), n])
    scale = spread * 2.0 ** -rng.uniform(0, 3, (n, 1))
    is_late = np.isin(names, COLUMNS_V0, invert=True) & (set(COLUMNS_V0) <= set(names))
    noise = np.empty((n, len(u)))
    for some in (~is_late, is_late):
        noise[:, some] = rng.normal(size=(n, int(some.sum())))
    return np.clip(u + scale * noise, -1, 1)


def _params(parameters: ParameterTable, u: np.ndarray, without: Collection[str] = ()) -> Params:
    values = zip(parameters.names, parameters.to_physical(np.asarray(u)[None])[0].tolist(), strict=True)
    return {name: value for name, value in values if name not in without}


def _name_of(factory: SamplerFactory) -> str:
    name = getattr(factory, "__name__", type(factory).__name__)
    return "own" if name == "<lambda>" else str(name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Creating a study in memory is not news, nor are arguments that this Optuna calls experimental.

    TPE's ``multivariate`` and ``constant_liar`` in Optuna 4 are.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
