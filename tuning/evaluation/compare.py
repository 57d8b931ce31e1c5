"""The race as one call: labelled images in; a page of controllers, tables, figures and a tracked run out."""

from __future__ import annotations

import json
import platform
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from cortex.providers.base import ProviderUnavailable
from envs.calibration import SHIPPED
from tuning.evaluation.bsds import LabelledSet
from tuning.evaluation.cases import make_cases, parse_disturbances
from tuning.evaluation.evaluate import (
    NOTHING,
    SOME_FAILED,
    STOPPED,
    USAGE,
    EvaluateSettings,
    load_table,
    make_methods,
    read_data,
    readable,
    source_of,
    terminable,
)
from tuning.evaluation.marks import code_mark
from tuning.evaluation.measure import MeasureSettings
from tuning.evaluation.methods import Method, parse_method
from tuning.evaluation.race import run_race
from tuning.evaluation.race_page import Raced, report_race
from tuning.evaluation.race_rows import shown_name
from tuning.evaluation.standings import FIXED
from tuning.evaluation.table import Case, ResponseTable
from tuning.store import StoreError

DEFAULT_METHODS = ("random:raw:64", "tpe:raw:64", "cmaes:raw:64", "portfolio:calibrated", "tpe:calibrated:64")


@dataclass(frozen=True)
class CompareSettings(EvaluateSettings):
    """What to race; see the command line of ``scripts/compare.py``. Portraits and ``shown`` are not used.

    Attributes:
        n_seeds: of views and controllers.
        reference: label of the method that shares refer to; TPE of most trials when None.
    """

    out: Path = Path("runs/compare")
    n_seeds: int = 5
    reference: str | None = None


def run(settings: CompareSettings) -> int:
    """Race, report, and say on stderr what failed.

    Returns:
        as :func:`tuning.evaluation.evaluate.run`.
    """
    start = time.perf_counter()
    try:
        data = read_data(settings)
        table, train = load_table(settings.table), load_table(settings.train_table)
        words = parse_disturbances(settings.disturb)
        cases = make_cases(list(data.names), words, known=() if table is None else table.cases)
        methods = race_methods(settings, train, sorted({case.disturbance for case in cases}))
    except (ValueError, KeyError, FileNotFoundError) as error:
        _complain(str(error.args[0] if isinstance(error, KeyError) else error))
        return USAGE
    data, problems = readable(data)
    for line in problems:
        _complain(line)
    if not len(data):
        return NOTHING
    cases = [case for case in cases if case.image in set(data.names)]
    from tuning.evaluation.tracked import tracked_run  # MLflow takes seconds, and mistakes above should not

    page = settings.page or settings.out / "controllers.md"
    reading = settings.reading or page.with_name(f"{page.stem}_reading.md")
    params = {k: json.dumps(v, default=str) for k, v in asdict(settings).items()}
    params |= {"methods": json.dumps([method.label for method in methods]), "code": code_mark()}
    try:
        with terminable(), tracked_run(settings.out, params) as record:
            raced = _race(settings, data, cases, methods, table)
            for line in raced.problems:
                _complain(line)
            problems += raced.problems
            raced = replace(raced, problems=tuple(problems), seconds=time.perf_counter() - start)
            _, written, metrics = report_race(raced, page, reading=reading)
            record(metrics, written)
    except KeyboardInterrupt:
        _complain("stopped; what was played is kept, the same command goes on from here")
        return STOPPED
    except (StoreError, RuntimeError, ProviderUnavailable, ValueError) as error:
        _complain(str(error))
        return NOTHING
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(f"results  {page}", markup=False)
    return SOME_FAILED if problems else 0


def race_methods(settings: CompareSettings, train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
    """The methods asked for, and ``fixed`` under each objective, so that its time is known too.

    Raises:
        ValueError, FileNotFoundError: as :func:`~tuning.evaluation.evaluate.make_methods`; or the reference is unknown.
    """
    texts = settings.methods
    if texts is None:
        texts = tuple(text for text in DEFAULT_METHODS if "calibrated" not in text or SHIPPED.is_file())
    methods = make_methods(replace(settings, methods=texts), train, disturbances)
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


def _race(
    settings: CompareSettings,
    data: LabelledSet,
    cases: Sequence[Case],
    methods: Sequence[Method],
    table: ResponseTable | None,
) -> Raced:
    how = MeasureSettings(cortex={"depth": settings.depth, "features": settings.features}, size_px=settings.size_px)
    source = source_of(settings)
    with warnings.catch_warnings():  # failures are told in our own words
        warnings.simplefilter("ignore", RuntimeWarning)
        race = run_race(
            settings.out / "race",
            data,
            cases,
            how,
            methods,
            n_seeds=settings.n_seeds,
            n_workers=settings.n_workers,
            progress=not settings.is_quiet,
            meta={"data": source},
        )
    return Raced(
        race=race, methods=tuple(methods), how=how, source=source, reference=settings.reference, table=table,
        n_workers=settings.n_workers, n_threads=1 if settings.n_workers > 1 else torch.get_num_threads(),
        processor=platform.processor() or platform.machine(), code=code_mark(), problems=tuple(race.meta["failed"]),
    )  # fmt: skip


def _complain(text: str) -> None:
    print(f"compare: {text}", file=sys.stderr)
