"""The race as one call: labelled images in; a page of controllers, tables, figures and a tracked run out."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ciliary.tuning.evaluation.job import ContestSettings, Job, Reported, make_methods, run_job
from ciliary.tuning.evaluation.methods import Method, parse_method
from ciliary.tuning.evaluation.race import run_race
from ciliary.tuning.evaluation.race_page import Raced, report_race
from ciliary.tuning.evaluation.race_rows import shown_name
from ciliary.tuning.evaluation.summary import FIXED
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.fingerprints import code_mark

DEFAULT_METHODS = ("random:raw:64", "tpe:raw:64", "cmaes:raw:64", "portfolio:calibrated", "tpe:calibrated:64")


@dataclass(frozen=True)
class CompareSettings(ContestSettings):
    """What to race; see the command line of ``scripts/compare.py``.

    Attributes:
        n_seeds: of views and controllers.
        reference: label of the method that shares refer to; TPE of most trials when None.
    """

    out: Path = Path("runs/compare")
    n_seeds: int = 5
    reference: str | None = None


def run(settings: CompareSettings) -> int:
    """Race, report, and say on stderr what failed; returns the exit code of :func:`run_job`."""

    def choose(train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
        return race_methods(settings, train, disturbances)

    def play(job: Job, page: Path, reading: Path) -> Reported:
        raced = _race(settings, job)
        failed = raced.problems
        raced = replace(raced, problems=(*job.problems, *failed), seconds=time.perf_counter() - job.start)
        _, written, metrics = report_race(raced, page, reading=reading)
        return Reported(written, metrics, failed)

    return run_job(settings, name="compare", page="controllers.md", choose=choose, play=play)


def race_methods(settings: CompareSettings, train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
    """The methods asked for, and ``fixed`` under each objective, so that its time is known too.

    Raises:
        ValueError, FileNotFoundError: as :func:`~ciliary.tuning.evaluation.job.make_methods`; or the
            reference is unknown.
    """
    methods = make_methods(settings.methods, train, disturbances, default=DEFAULT_METHODS)
    for objective in dict.fromkeys(method.objective for method in methods):
        if not any(m.controller == FIXED and m.objective == objective and m.u is None for m in methods):
            methods.insert(1, parse_method(f"{FIXED}:{objective}"))
    names = [(method.objective, shown_name(method)) for method in methods]
    for one in set(names):
        if names.count(one) > 1:
            raise ValueError(f"two methods are called {one[1]!r} under {one[0]}; tell them apart with label=TEXT")
    if settings.reference is not None and settings.reference not in {m.label for m in methods} | {n for _, n in names}:
        raise ValueError(f"no method {settings.reference!r} to refer to; choose from {', '.join(n for _, n in names)}")
    return methods


def _race(settings: CompareSettings, job: Job) -> Raced:
    with warnings.catch_warnings():  # failures are told in our own words
        warnings.simplefilter("ignore", RuntimeWarning)
        race = run_race(
            settings.out / "race",
            job.data,
            job.cases,
            settings.how,
            job.methods,
            n_seeds=settings.n_seeds,
            n_workers=settings.n_workers,
            progress=not settings.is_quiet,
            meta=settings.marks,
        )
    return Raced(
        race=race, methods=job.methods, how=settings.how, source=settings.source, reference=settings.reference,
        table=job.table, n_workers=settings.n_workers,
        n_threads=1 if settings.n_workers > 1 else torch.get_num_threads(),
        processor=platform.processor() or platform.machine(), code=code_mark(), problems=tuple(race.meta["failed"]),
    )  # fmt: skip
