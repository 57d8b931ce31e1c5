"""Samplers on the benchmark as a job: a table out, and an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.tabular.benchmark import Benchmark, Row
from ciliary.tuning.tabular.settings import TabularSettings

_SHOWN = ("term.dissent", "term.total", "term.joint", "term.stability", "term.consistency")


def run(settings: TabularSettings) -> int:
    """Search every case, ask the scores, and print the table.

    Returns:
        0 all well, 1 OptunaHub is not installed, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    try:
        benchmark = Benchmark.load(settings.table, objective=settings.objective)
    except (ValueError, KeyError, OSError) as error:
        _complain(error)
        return USAGE
    try:
        rows = measure(benchmark, settings)
    except ImportError as error:
        _complain(error)
        return NOTHING
    except KeyboardInterrupt:
        _complain("stopped; nothing was written")
        return STOPPED
    page = rows_to_markdown(rows)
    if settings.out is not None:
        write_atomically(settings.out, page.encode())
        write_atomically(settings.out.with_suffix(".csv"), rows_to_csv(rows).encode())
    if not settings.is_quiet:
        print(page)
    return ALL_WELL


def measure(benchmark: Benchmark, settings: TabularSettings) -> list[Row]:
    """The rows of all samplers, and of the label-free numbers by themselves.

    Raises:
        ImportError: OptunaHub is not installed; says what to do.
    """
    from ciliary.tuning.tabular.search import SAMPLERS, choices_of, exhaustive

    known = [name for name in dict.fromkeys((benchmark.objective, *_SHOWN)) if name in benchmark.table.columns]
    alone = {f"all settings, {name.partition('.')[2]}": index for name, index in exhaustive(benchmark, known).items()}
    choices: dict[str, np.ndarray] = {}
    n_studies = len(benchmark) * settings.n_seeds * len(settings.samplers)
    with Bar(n_studies, unit="studies", is_quiet=settings.is_quiet) as bar:
        for name in settings.samplers:
            bar.move(title=name)
            found: Mapping[int, np.ndarray] = choices_of(
                benchmark, SAMPLERS[name], settings.budgets, n_seeds=settings.n_seeds, on_study=bar.advance
            )
            choices |= {f"{name}, {budget} trials": index for budget, index in found.items()}
    return benchmark.report(choices | alone)


_complain = partial(complain, "tabular")
