"""A contest as a job: labelled images, tables and methods in; a page and a tracked run out; an exit code.

What ``scripts/evaluate.py`` and ``scripts/compare.py`` share; what is played, and how it is reported, is theirs.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.envs.data.labelled import LabelledSet, read_bsds, read_labelled_folder
from ciliary.envs.objective.calibration import SHIPPED, load_calibration
from ciliary.envs.objective.make import UNCALIBRATED
from ciliary.tuning.evaluation.cases import make_cases, parse_disturbances
from ciliary.tuning.evaluation.measure import MeasureSettings
from ciliary.tuning.evaluation.methods import Method, parse_method
from ciliary.tuning.evaluation.selectors import CLEAN, DISTURBED, best_setting, kind_of
from ciliary.tuning.evaluation.summary import BEST_FIXED, FIXED
from ciliary.tuning.evaluation.table import Case, ResponseTable
from ciliary.tuning.runs.fingerprints import code_mark, cortex_options, learned_mark
from ciliary.tuning.runs.run import Run, at
from ciliary.tuning.runs.store import EVALUATIONS, StoreError, open_store

DEFAULT_DISTURB = "none,mixed:3"
BY_TABLE = ("best-fixed", "refit-fixed")
USAGE, NOTHING, SOME_FAILED, STOPPED = 2, 1, 3, 130


@dataclass(frozen=True)
class ContestSettings:
    """Who plays on which labelled images; the arguments of :func:`ciliary.tuning.cli.arguments.add_contest_arguments`.

    Attributes:
        bsds, labelled: where the labelled images are: one of the two.
        split: of BSDS500.
        n_images: as many, evenly spaced; None for all.
        methods: texts for :func:`parse_method`, or ``best-fixed`` and ``refit-fixed``; ``fixed`` always plays. None:
            the job's own, without the calibrated ones where no calibration is.
        disturb: text for :func:`parse_disturbances`.
        n_workers: processes.
        size_px: long side at which the cortex looks.
        depth, features: providers of the cortex.
        learned: stages of the cortex that use their learned part.
        out: folder of everything that is kept, and of the tracking store.
        table: response table of the same images: the oracle, the protocols, the validity report.
        train_table: response table of other images: chooses the best fixed settings.
        page: where the page goes; in ``out`` when None.
        reading: Markdown that the page quotes; ``<page stem>_reading.md`` beside the page when None.
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
    learned: tuple[str, ...] = ()
    out: Path = Path("runs/contest")
    table: Path | None = None
    train_table: Path | None = None
    page: Path | None = None
    reading: Path | None = None
    is_quiet: bool = False

    @property
    def how(self) -> MeasureSettings:
        """Cortex and size."""
        cortex = cortex_options(depth=self.depth, features=self.features, learned=self.learned)
        return MeasureSettings(cortex=cortex, size_px=self.size_px)

    @property
    def marks(self) -> dict[str, str]:
        """What else the numbers depend on: the name of the data, and what is in the file of learned stages."""
        return {"data": self.source} | ({"learned": learned_mark(self.learned)} if self.learned else {})

    @property
    def source(self) -> str:
        """Where the images are from, in words."""
        if self.labelled is not None:
            return f"labelled images of {self.labelled.name}"
        return f"BSDS500, {'validation' if self.split == 'val' else 'training'} images"


@dataclass(frozen=True, eq=False)
class Job:
    """All that is needed to play: what could be read, and a line for each image that could not."""

    data: LabelledSet
    cases: tuple[Case, ...]
    methods: tuple[Method, ...]
    table: ResponseTable | None
    train: ResponseTable | None
    problems: tuple[str, ...]
    start: float  # on the clock of time.perf_counter


@dataclass(frozen=True)
class Reported:
    """What playing left: files, metrics for the tracked run, and a line for each case that failed."""

    written: Sequence[Path]
    metrics: dict[str, float]
    failed: Sequence[str]


Choose = Callable[[ResponseTable | None, Sequence[str]], Sequence[Method]]
"""(training table, disturbances) -> methods."""

Play = Callable[[Job, Path, Path], Reported]
"""(job, page, reading) -> what was written."""


def run_job(settings: ContestSettings, *, name: str, page: str, choose: Choose, play: Play) -> int:
    """Read, play, report, and say on stderr what failed.

    Args:
        settings: what to do.
        name: of the program, before its complaints.
        page: file name of the page in ``settings.out`` unless another place is asked for.
        choose: who plays; may raise ``ValueError``, ``KeyError`` or ``FileNotFoundError`` for wrong usage.
        play: plays and writes.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images or cases failed, 130 stopped by Ctrl-C or
        SIGTERM; what was measured is kept, and the same call goes on from there.
    """

    def complain(text: str) -> None:
        print(f"{name}: {text}", file=sys.stderr)

    start = time.perf_counter()
    try:
        learned_mark(settings.learned)
        data = read_data(settings)
        table, train = (
            None if path is None else ResponseTable.load(path) for path in (settings.table, settings.train_table)
        )
        words = parse_disturbances(settings.disturb)
        cases = make_cases(list(data.names), words, known=() if table is None else table.cases)
        methods = tuple(choose(train, sorted({case.disturbance for case in cases})))
    except (ValueError, KeyError, FileNotFoundError) as error:
        complain(str(error.args[0] if isinstance(error, KeyError) else error))
        return USAGE
    data, problems = readable(data)
    for line in problems:
        complain(line)
    if not len(data):
        return NOTHING
    cases = [case for case in cases if case.image in set(data.names)]
    job = Job(data, tuple(cases), methods, table, train, tuple(problems), start)
    place = settings.page or settings.out / page
    reading = settings.reading or place.with_name(f"{place.stem}_reading.md")
    try:
        store = open_store(settings.out, experiment=EVALUATIONS)
        params = _params(settings, methods)
        with terminable(), Run.begin(store, name="evaluate", kind="evaluation", params=params) as run:
            reported = play(job, place, reading)
            run.write(at(reported.metrics))
            for path in reported.written:
                run.keep(path, "figures" if path.suffix == ".png" else "")
    except KeyboardInterrupt:
        complain("stopped; what was measured is kept, the same command goes on from here")
        return STOPPED
    except (StoreError, RuntimeError, ProviderUnavailable, ValueError) as error:
        complain(str(error))
        return NOTHING
    for line in reported.failed:
        complain(line)
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(f"results  {place}", markup=False)
    return SOME_FAILED if problems or reported.failed else 0


def read_data(settings: ContestSettings) -> LabelledSet:
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


def make_methods(
    texts: Sequence[str] | None, train: ResponseTable | None, disturbances: Sequence[str], *, default: Sequence[str]
) -> list[Method]:
    """The methods asked for, ``fixed`` first; where a training table is, the best fixed setting plays too.

    Args:
        texts: for :func:`parse_method`, or of :data:`BY_TABLE`; None for ``default``, as far as it can be played.
        train: response table of other images.
        disturbances: of the cases.
        default: texts.

    Raises:
        ValueError, FileNotFoundError: as :func:`parse_method`, or a method that needs a table that is not there.
    """
    if texts is None:
        texts = tuple(t for t in default if "calibrated" not in t or SHIPPED.is_file())
    texts = (*((BY_TABLE[0],) if train is not None else ()), *texts)
    methods = [parse_method(FIXED)]
    for text in dict.fromkeys(texts):
        if text == FIXED:
            continue
        method = _by_table(text, train, disturbances) if text in BY_TABLE else parse_method(text)
        method.describe()  # reads the calibration's file: better missed now than in a worker
        if method.objective not in UNCALIBRATED:
            load_calibration(None if method.objective == "calibrated" else method.objective)
        if method.label in {m.label for m in methods}:
            raise ValueError(f"two methods are called {method.label!r}; name each once")
        methods.append(method)
    return methods


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


def _params(settings: ContestSettings, methods: Sequence[Method]) -> dict[str, str]:
    params = {k: json.dumps(v, default=str) for k, v in asdict(settings).items()}
    return {**params, "methods": json.dumps([m.label for m in methods]), "code": code_mark()}


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
