"""The evaluation as one call: labelled images in; a results page, tables, figures and a tracked run out."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ciliary.tuning.evaluation.contests import run_contest
from ciliary.tuning.evaluation.job import ContestSettings, Job, Reported, make_methods, run_job
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.reporting import Measured, report
from ciliary.tuning.evaluation.selectors import CLEAN
from ciliary.tuning.evaluation.summary import FIXED
from ciliary.tuning.evaluation.systems import compute_portraits
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.fingerprints import code_mark

DEFAULT_METHODS = ("normalise", "portfolio:calibrated", "tpe:raw:16", "tpe:calibrated:64")


@dataclass(frozen=True)
class EvaluateSettings(ContestSettings):
    """What to evaluate; see the command line of ``scripts/evaluate.py``.

    Attributes:
        with_portraits: clean images by regions and boundaries, for all systems.
        shown: label of the method of the figures and of the accommodated portrait; the last when None.
    """

    out: Path = Path("runs/evaluate")
    with_portraits: bool = True
    shown: str | None = None


def run(settings: EvaluateSettings) -> int:
    """Evaluate, report, and say on stderr what failed; returns the exit code of :func:`run_job`."""

    def choose(train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
        methods = make_methods(settings.methods, train, disturbances, default=DEFAULT_METHODS)
        _shown(settings, methods)  # a mistake is better known now
        return methods

    def play(job: Job, page: Path, reading: Path) -> Reported:
        measured = _measure(settings, job)
        measured = replace(
            measured, problems=(*job.problems, *measured.failed), seconds=time.perf_counter() - job.start
        )
        _, written, metrics = report(measured, page, reading=reading)
        return Reported(written, metrics, measured.failed)

    return run_job(settings, name="evaluate", page="results.md", choose=choose, play=play)


def _measure(settings: EvaluateSettings, job: Job) -> Measured:
    shown, meta = _shown(settings, job.methods), {"code": code_mark(), **settings.marks}
    options: dict[str, Any] = {"n_workers": settings.n_workers, "progress": not settings.is_quiet, "meta": meta}
    with warnings.catch_warnings():  # failures are told in our own words
        warnings.simplefilter("ignore", RuntimeWarning)
        contest = run_contest(settings.out / "contest", job.data, job.cases, settings.how, job.methods, **options)
        portraits = {}
        if settings.with_portraits:
            seeds = {case.image: case.seed for case in job.cases if case.disturbance == CLEAN}
            portrayed = () if shown.label == FIXED else (shown,)
            portraits = compute_portraits(
                settings.out / "portraits", job.data, settings.how, methods=portrayed, seeds=seeds, **options
            )
    failed = list(contest.meta["failed"])
    failed += sorted({line for table in portraits.values() for line in table.meta.get("failed", ())})
    return Measured(
        data=job.data, how=settings.how, contest=contest, methods=job.methods, shown=shown.label, portraits=portraits,
        table=job.table, train=job.train, source=settings.source, failed=tuple(failed),
        n_workers=settings.n_workers, processor=platform.processor() or platform.machine(), code=meta["code"],
    )  # fmt: skip


def _shown(settings: EvaluateSettings, methods: Sequence[Method]) -> Method:
    if settings.shown is None:
        return methods[-1]
    for method in methods:
        if method.label == settings.shown:
            return method
    raise ValueError(f"no method {settings.shown!r} to show; choose from {', '.join(m.label for m in methods)}")
