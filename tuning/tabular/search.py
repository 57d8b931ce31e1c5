"""Samplers of Optuna's on every case of the benchmark: what each has chosen after so many trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from ciliary.tuning.tabular.benchmark import Benchmark
from ciliary.tuning.tabular.problem import ResponseTableProblem

MakeSampler = Callable[[int], BaseSampler]
"""A seed -> a sampler."""

SAMPLERS: Mapping[str, MakeSampler] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=True),
}


def choices_of(
    benchmark: Benchmark,
    make: MakeSampler,
    budgets: Sequence[int],
    *,
    n_seeds: int = 1,
    space: str = "nearest",
    on_study: Callable[[], object] = lambda: None,
) -> dict[int, np.ndarray]:
    """What a sampler chooses for each case: of its first trials the one with the lowest label-free loss.

    Args:
        benchmark: whose cases.
        make: of the sampler.
        budgets: numbers of trials; each study makes as many as the largest, and its first n are the choice after n.
        n_seeds: studies of each case.
        space: of :class:`~ciliary.tuning.tabular.problem.ResponseTableProblem`.
        on_study: called when one is done.

    Returns:
        Budget -> (n_seeds, C) settings.
    """
    found = {budget: np.zeros((n_seeds, len(benchmark)), int) for budget in budgets}
    for i in range(len(benchmark)):
        problem = ResponseTableProblem(i, table=benchmark, space=space)
        for seed in range(n_seeds):
            tried = _search(problem, make, problem.seen.case.seed + seed, max(budgets))
            losses = np.nan_to_num(problem.seen.losses[tried], nan=np.inf)
            for budget, index in found.items():
                index[seed, i] = tried[int(losses[:budget].argmin())]
            on_study()
    return found


def exhaustive(benchmark: Benchmark, objectives: Sequence[str]) -> dict[str, np.ndarray]:
    """For each label-free objective, what it likes best of all settings: as far as any search by it can come."""
    return {name: np.nan_to_num(benchmark.table.column(name), nan=np.inf).argmin(1) for name in objectives}


def _search(problem: ResponseTableProblem, make: MakeSampler, seed: int, n_trials: int) -> list[int]:
    """The settings that answered, in order."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a study a case is no news, nor a loss that is no number
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study = optuna.create_study(sampler=make(seed), directions=problem.directions)
            study.optimize(problem, n_trials=n_trials)
    finally:
        optuna.logging.set_verbosity(level)
    return [problem.setting(trial.params) for trial in study.get_trials(deepcopy=False)]
