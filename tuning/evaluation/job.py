"""A contest as a job: labelled images, tables and methods in; a page and a tracked run out; an exit code.

What ``scripts/evaluate.py`` and ``scripts/compare.py`` share; what is played, and how it is reported, is theirs.
"""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.envs.data.labelled import LabelledSet, read_bsds, read_labelled_folder, read_photographs
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.stopping import terminable
from ciliary.tuning.evaluation.cases import make_cases, parse_disturbances
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.report import Report, about, without_folders
from ciliary.tuning.evaluation.settings import ContestSettings
from ciliary.tuning.evaluation.table import Case, ResponseTable
from ciliary.tuning.runs.fingerprints import code_mark
from ciliary.tuning.runs.run import Run, at
from ciliary.tuning.runs.store import EVALUATIONS, StoreError, open_store


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

    def table_of(self, played: ResponseTable) -> ResponseTable | None:
        """Of the response table, the images that were played."""
        return None if self.table is None else self.table.where(images=set(played.images) & set(self.table.images))


@dataclass(frozen=True, eq=False)
class Played:
    """What was measured: the methods' episodes, and portraits of systems by name where they were asked for."""

    table: ResponseTable
    portraits: Mapping[str, ResponseTable] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """A line for each case that could not be measured."""
        others = {line for table in self.portraits.values() for line in table.meta.get("failed", ())}
        return [*self.table.meta["failed"], *sorted(others)]


Choose = Callable[[ResponseTable | None, Sequence[str]], Sequence[Method]]
"""(training table, disturbances) -> methods."""

Play = Callable[[Job], Played]

MakeReport = Callable[[Job, Played, Path], Report]
"""(job, what was played, page) -> report; figures are written beside the page."""


def run_job(settings: ContestSettings, *, name: str, page: str, choose: Choose, play: Play, report: MakeReport) -> int:
    """Read, play, report, and say on stderr what failed.

    Args:
        settings: what to do.
        name: of the program, before its complaints.
        page: file name of the page in ``settings.out`` unless another place is asked for.
        choose: who plays; may raise ``ValueError``, ``KeyError`` or ``FileNotFoundError`` for wrong usage.
        play: plays.
        report: makes the page of it.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images or cases failed, 130 stopped by Ctrl-C or
        SIGTERM; what was measured is kept, and the same call goes on from there.
    """
    start = time.perf_counter()
    try:
        settings.cortex_marks  # noqa: B018 -- says now what is missing
        data = read_data(settings)
        table, train = (
            None if path is None else ResponseTable.load(path) for path in (settings.table, settings.train_table)
        )
        words = parse_disturbances(settings.disturb)
        cases = make_cases(list(data.names), words, known=() if table is None else table.cases)
        methods = tuple(choose(train, sorted({case.disturbance for case in cases})))
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        complain(name, error)
        return USAGE
    data, problems = readable(data)
    for line in problems:
        complain(name, line)
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
            with warnings.catch_warnings():  # failures are told in our own words
                warnings.simplefilter("ignore", RuntimeWarning)
                played = play(job)
            made = report(job, played, place)
            left_out = [f"left out: {without_folders(line)}" for line in (*problems, *played.failed)]
            made = replace(made, notes=[*left_out, *made.notes])
            run.write(at(made.metrics))
            for path in made.write(place, reading=reading):
                run.keep(path, "figures" if path.suffix == ".png" else "")
    except KeyboardInterrupt:
        complain(name, "stopped; what was measured is kept, the same command goes on from here")
        return STOPPED
    except (StoreError, RuntimeError, ProviderUnavailable, ValueError) as error:
        complain(name, error)
        return NOTHING
    for line in played.failed:
        complain(name, line)
    if not settings.is_quiet:
        _print(made, place)
    return SOME_FAILED if problems or played.failed else 0


def _print(made: Report, place: Path) -> None:
    stdout = Console(highlight=False, soft_wrap=True)
    for title, columns in made.in_short:
        table = Table(*columns, title=title, title_justify="left", title_style="", box=None, pad_edge=False)
        for row in zip(*columns.values(), strict=True):
            table.add_row(*map(escape, row))
        stdout.print(table, "")
    stdout.print(f"results  {place}", markup=False)


def about_job(settings: ContestSettings, job: Job, played: ResponseTable, *, more: Mapping[str, str]) -> dict[str, str]:
    """How it was measured, in words."""
    return about(
        played, source=settings.source, how=settings.how, code=code_mark(), seconds=time.perf_counter() - job.start,
        n_workers=settings.n_workers, processor=platform.processor() or platform.machine(), more=more,
    )  # fmt: skip


def read_data(settings: ContestSettings) -> LabelledSet:
    """The images asked for.

    Raises:
        ValueError: no source or two, or as the readers.
    """
    if (settings.bsds is not None) + (settings.labelled is not None) + bool(settings.images) != 1:
        raise ValueError("expected one source of labelled images: --bsds PATH or --labelled FOLDER")
    if settings.images:
        photographs, problems = read_photographs(settings.images)
        if problems:
            raise problems[0]
        return _some(photographs, settings.n_images)
    if settings.bsds is not None:
        return read_bsds(settings.bsds, settings.split, n_images=settings.n_images)  # type: ignore[arg-type]
    assert settings.labelled is not None
    return _some(read_labelled_folder(settings.labelled), settings.n_images)


def _some(data: LabelledSet, n_images: int | None) -> LabelledSet:
    return data if n_images is None else data.evenly(min(n_images, len(data)))


def readable(data: LabelledSet) -> tuple[LabelledSet, list[str]]:
    """The images that can be read, and a line for each of the others."""
    kept, problems = [], []
    for i, entry in enumerate(data.entries):
        try:
            data[i]
            kept.append(entry)
        except (ValueError, OSError) as error:
            text = " ".join(str(error).split())
            problems.append(text if str(entry.path) in text else f"{entry.path}: {text}")
    return LabelledSet(tuple(kept)), problems


def _params(settings: ContestSettings, methods: Sequence[Method]) -> dict[str, str]:
    params = {k: json.dumps(v, default=str) for k, v in settings.values().items()}
    return {**params, "methods": json.dumps([m.label for m in methods]), "code": code_mark()}
