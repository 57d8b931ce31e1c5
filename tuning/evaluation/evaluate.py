"""The evaluation as one call: labelled images in; a results page, tables, figures and a tracked run out."""

from __future__ import annotations

import json
import platform
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from cortex.providers.base import ProviderUnavailable
from envs.calibration import SHIPPED, load_calibration
from tuning.evaluation.bsds import LabelledSet, read_bsds, read_labelled_folder
from tuning.evaluation.cases import make_cases, parse_disturbances
from tuning.evaluation.contests import run_contest
from tuning.evaluation.marks import code_mark
from tuning.evaluation.measure import MeasureSettings
from tuning.evaluation.methods import Method, parse_method
from tuning.evaluation.portraits import compute_portraits
from tuning.evaluation.protocols import CLEAN, DISTURBED, best_setting, kind_of
from tuning.evaluation.reporting import Measured, report
from tuning.evaluation.standings import BEST_FIXED, FIXED
from tuning.evaluation.table import ResponseTable
from tuning.store import StoreError

DEFAULT_METHODS = ("normalise", "portfolio:calibrated", "tpe:raw:16", "tpe:calibrated:64")
DEFAULT_DISTURB = "none,mixed:3"
BY_TABLE = ("best-fixed", "refit-fixed")
USAGE, NOTHING, SOME_FAILED, STOPPED = 2, 1, 3, 130


@dataclass(frozen=True)
class EvaluateSettings:
    """What to evaluate; see the command line of ``scripts/evaluate.py``.

    Attributes:
        bsds, labelled: where the labelled images are: one of the two.
        split: of BSDS500.
        n_images: as many, evenly spaced; None for all.
        methods: texts for :func:`parse_method`, or ``best-fixed`` and ``refit-fixed``; ``fixed`` always plays. None:
            ``DEFAULT_METHODS``, without the calibrated ones where no calibration is.
        disturb: text for :func:`parse_disturbances`.
        n_workers: processes.
        size_px: long side at which the cortex looks.
        depth, features: providers of the cortex.
        out: folder of everything that is kept, and of the tracking store.
        table: response table of the same images: the oracle, the protocols, the validity report.
        train_table: response table of other images: chooses the best fixed settings.
        with_portraits: clean images by regions and boundaries, for all systems.
        page: where the results page goes; ``out/results.md`` when None.
        reading: Markdown that the page quotes; ``<page stem>_reading.md`` beside the page when None.
        shown: label of the method of the figures and of the accommodated portrait; the last when None.
        is_quiet: no progress.
    """

    bsds: Path | None = None
    labelled: Path | None = None
    split: str = "val"
    n_images: int | None = None
    methods: tuple[str, ...] | None = None
    disturb: str = DEFAULT_DISTURB
    n_workers: int = 1
    size_px: int = 192
    depth: str = "none"
    features: str = "none"
    out: Path = Path("runs/evaluate")
    table: Path | None = None
    train_table: Path | None = None
    with_portraits: bool = True
    page: Path | None = None
    reading: Path | None = None
    shown: str | None = None
    is_quiet: bool = False


def run(settings: EvaluateSettings) -> int:
    """Evaluate, report, and say on stderr what failed.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images or cases failed, 130 stopped by Ctrl-C or
        SIGTERM; what was measured is kept, and the same call goes on from there.
    """
    start = time.perf_counter()
    try:
        data = read_data(settings)
        tables = {k: load_table(path) for k, path in (("table", settings.table), ("train", settings.train_table))}
        words = parse_disturbances(settings.disturb)
        shown_names = list(data.names)
        cases = make_cases(shown_names, words, known=tables["table"].cases if tables["table"] is not None else ())
        methods = make_methods(settings, tables["train"], sorted({case.disturbance for case in cases}))
        shown = _shown(settings, methods)
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

    measured: Measured | None = None
    try:
        with terminable(), tracked_run(settings.out, _params(settings, methods)) as record:
            measured = _measure(settings, data, cases, methods, shown, tables, is_quiet=settings.is_quiet)
            problems += measured.failed
            measured = replace(measured, problems=tuple(problems), seconds=time.perf_counter() - start)
            page, written, metrics = report(measured, _page(settings), reading=_reading(settings))
            record(metrics, written)
    except KeyboardInterrupt:
        _complain("stopped; what was measured is kept, the same command goes on from here")
        return STOPPED
    except (StoreError, RuntimeError, ProviderUnavailable, ValueError) as error:
        _complain(str(error))
        return NOTHING
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(f"results  {page}", markup=False)
    return SOME_FAILED if problems else 0


def read_data(settings: EvaluateSettings) -> LabelledSet:
    """The labelled images asked for.

    Raises:
        ValueError: no source or two, or as the readers.
    """
    if (settings.bsds is None) == (settings.labelled is None):
        raise ValueError("expected one source of labelled images: --bsds PATH or --labelled FOLDER")
    if settings.bsds is not None:
        return read_bsds(settings.bsds, settings.split, n_images=settings.n_images)  # type: ignore[arg-type]
    assert settings.labelled is not None
    found = read_labelled_folder(settings.labelled)
    return found if settings.n_images is None else found.evenly(min(settings.n_images, len(found)))


def readable(data: LabelledSet) -> tuple[LabelledSet, list[str]]:
    """The images that can be read, and a line for each of the others."""
    kept, problems = [], []
    for i, entry in enumerate(data.entries):
        try:
            data[i]
            kept.append(entry)
        except (ValueError, OSError) as error:
            text = " ".join(str(error).split())
            problems.append(text if str(entry[0]) in text else f"{entry[0]}: {text}")
    return LabelledSet(tuple(kept)), problems


def make_methods(settings: EvaluateSettings, train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
    """The methods asked for, ``fixed`` first; where a training table is, the best fixed setting plays too.

    Raises:
        ValueError, FileNotFoundError: as :func:`parse_method`, or a method that needs a table that is not there.
    """
    texts = settings.methods
    if texts is None:
        texts = tuple(t for t in DEFAULT_METHODS if "calibrated" not in t or SHIPPED.is_file())
    texts = (*((BY_TABLE[0],) if train is not None else ()), *texts)
    methods = [parse_method(FIXED)]
    for text in dict.fromkeys(texts):
        if text == FIXED:
            continue
        method = _by_table(text, train, disturbances) if text in BY_TABLE else parse_method(text)
        method.describe()  # reads the calibration's file: better missed now than in a worker
        if method.objective != "raw":
            load_calibration(None if method.objective == "calibrated" else method.objective)
        if method.label in {m.label for m in methods}:
            raise ValueError(f"two methods are called {method.label!r}; name each once")
        methods.append(method)
    return methods


def _measure(
    settings: EvaluateSettings,
    data: LabelledSet,
    cases: Sequence[Any],
    methods: Sequence[Method],
    shown: Method,
    tables: Mapping[str, ResponseTable | None],
    *,
    is_quiet: bool,
) -> Measured:
    how = MeasureSettings(cortex={"depth": settings.depth, "features": settings.features}, size_px=settings.size_px)
    meta = {"code": code_mark(), "data": source_of(settings)}
    options: dict[str, Any] = {"n_workers": settings.n_workers, "progress": not is_quiet, "meta": meta}
    with warnings.catch_warnings():  # failures are told in our own words
        warnings.simplefilter("ignore", RuntimeWarning)
        contest = run_contest(settings.out / "contest", data, cases, how, methods, **options)
        portraits = {}
        if settings.with_portraits:
            seeds = {case.image: case.seed for case in cases if case.disturbance == CLEAN}
            portrayed = () if shown.label == FIXED else (shown,)
            portraits = compute_portraits(
                settings.out / "portraits", data, how, methods=portrayed, seeds=seeds, **options
            )
    failed = list(contest.meta["failed"])
    failed += sorted({line for table in portraits.values() for line in table.meta.get("failed", ())})
    return Measured(
        data=data, how=how, contest=contest, methods=tuple(methods), shown=shown.label, portraits=portraits,
        table=tables["table"], train=tables["train"], source=source_of(settings), failed=tuple(failed),
        n_workers=settings.n_workers, processor=platform.processor() or platform.machine(), code=meta["code"],
    )  # fmt: skip


def _by_table(text: str, train: ResponseTable | None, disturbances: Sequence[str]) -> Method:
    if train is None:
        raise ValueError(f"{text} is chosen on other images: give their response table with --train-table")
    best = tuple(map(float, train.u[best_setting(train, train, CLEAN)]))
    if text == BY_TABLE[0]:
        return Method(BEST_FIXED, FIXED, n_trials=1, u={"*": best})
    u = {CLEAN: best}
    for name in disturbances:
        if name != CLEAN:
            kind = kind_of(name)  # whatever its severity: there are too few cases of each
            known = kind if len(train.rows(disturbance=kind)) else DISTURBED
            u[name] = tuple(map(float, train.u[best_setting(train, train, known)]))
    return Method("refit fixed", FIXED, n_trials=1, u=u)


def _shown(settings: EvaluateSettings, methods: Sequence[Method]) -> Method:
    if settings.shown is None:
        return methods[-1]
    for method in methods:
        if method.label == settings.shown:
            return method
    raise ValueError(f"no method {settings.shown!r} to show; choose from {', '.join(m.label for m in methods)}")


def load_table(path: Path | None) -> ResponseTable | None:
    """The response table of a file; None without one."""
    return None if path is None else ResponseTable.load(path)


def source_of(settings: EvaluateSettings) -> str:
    """Where the images are from, in words."""
    if settings.labelled is not None:
        return f"labelled images of {settings.labelled.name}"
    return f"BSDS500, {'validation' if settings.split == 'val' else 'training'} images"


def _page(settings: EvaluateSettings) -> Path:
    return settings.page or settings.out / "results.md"


def _reading(settings: EvaluateSettings) -> Path:
    page = _page(settings)
    return settings.reading or page.with_name(f"{page.stem}_reading.md")


def _params(settings: EvaluateSettings, methods: Sequence[Method]) -> dict[str, str]:
    params = {k: json.dumps(v, default=str) for k, v in asdict(settings).items()}
    return {**params, "methods": json.dumps([m.label for m in methods]), "code": code_mark()}


def _complain(text: str) -> None:
    print(f"evaluate: {text}", file=sys.stderr)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that runs are closed and workers end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt  # itself: shells start background jobs with SIGINT ignored

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
