"""TPE on every photograph of the benchmark: what its choices are worth, beside what a choice must beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import optunahub

N_TRIALS = 16


def main() -> None:
    """Search each photograph without labels, and print the table."""
    root = str(Path(__file__).resolve().parents[2])
    module = optunahub.load_local_module("benchmarks/ciliary_response_table", registry_root=root)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    benchmark = module.Benchmark.load()
    chosen = np.zeros(len(benchmark), int)
    for i in range(len(benchmark)):
        problem = module.Problem(i, table=benchmark)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=i), directions=problem.directions)
        study.optimize(problem, n_trials=N_TRIALS)
        chosen[i] = study.best_trial.user_attrs["setting"]
    for row in benchmark.report({"tpe": chosen}):
        print(f"{row.images:10} {row.choice:15} {row.score}  over the default {row.over_default}")  # noqa: T201 -- an example


if __name__ == "__main__":
    main()
