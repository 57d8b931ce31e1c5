"""Which controller? Images in; a page of controllers, tables, figures and a tracked run out.

Images without people's maps will do: then all but the covering is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ciliary.cortex.options import CORTEX
from ciliary.tuning.evaluation.falls import (
    CurvePoint,
    RaceRow,
    fall_rows,
    objective_name,
    race_rows,
    reference_of,
    shown_name,
)
from ciliary.tuning.evaluation.job import Job, Played, about_job, run_job
from ciliary.tuning.evaluation.methods import Method, make_methods, parse_method
from ciliary.tuning.evaluation.play import play_methods
from ciliary.tuning.evaluation.plots import strokes
from ciliary.tuning.evaluation.race_plots import race_plot
from ciliary.tuning.evaluation.report import (
    Report,
    covering_section,
    heading,
    linked,
    metrics_of,
    oracle_and_note,
)
from ciliary.tuning.evaluation.selectors import COVERING
from ciliary.tuning.evaluation.settings import CompareSettings
from ciliary.tuning.evaluation.summary import FIXED, ContestRow, contest_rows, pooled, seed_means
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.tables import empty_columns, rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure

DEFAULT_METHODS = ("random:raw:64", "tpe:raw:64", "cmaes:raw:64", "policy:calibrated:2", "tpe:calibrated:64")
OTHER_METHODS = (
    "random:raw:64",
    "tpe:raw:64",
    "cmaes:raw:64",
    "random:agreement:64",
    "tpe:agreement:64",
    "tpe:calibrated:64",
)
_TABLES = (
    "`fall`: of the loss from the defaults to the best trial, mean over images [95 %], seeds averaged within the "
    "image; higher is better. `share`: of what {reference} gains. `over reference`: fall less its fall, paired. "
    "`applied`: guard included. `on fresh views`: of the best trial, on views the search did not see. `seeds sd`: "
    "standard deviation of the mean fall over seeds. `evaluations`, `seconds`: of an episode, guard included. Against "
    "seconds a batch of trials counts when it is done, all of it at once.\n"
)


def run(settings: CompareSettings) -> int:
    """Race, report, and say on stderr what failed; returns the exit code of :func:`run_job`."""

    def choose(train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
        return race_methods(settings, train, disturbances)

    def play(job: Job) -> Played:
        race = play_methods(
            settings.out / "race", job.data, job.cases, settings.how, job.methods,
            n_seeds=settings.n_seeds, n_workers=settings.n_workers, progress=not settings.is_quiet,
            meta=settings.marks,
        )  # fmt: skip
        return Played(race)

    def report(job: Job, played: Played, page: Path) -> Report:
        return make_report(settings, job, played.table, page)

    return run_job(settings, name="compare", page="controllers.md", choose=choose, play=play, report=report)


def race_methods(settings: CompareSettings, train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
    """The methods asked for, and ``fixed`` under each objective, so that its time is known too.

    Raises:
        ValueError, FileNotFoundError: as :func:`~ciliary.tuning.evaluation.job.make_methods`; or the
            reference is unknown.
    """
    default = DEFAULT_METHODS if settings.name == CORTEX else OTHER_METHODS
    methods = make_methods(
        settings.methods, train, disturbances, default=default, seer=settings.make_other() or settings.name
    )
    for objective in dict.fromkeys(method.objective for method in methods):
        if not any(m.controller == FIXED and m.objective == objective and m.u is None for m in methods):
            methods.insert(1, replace(parse_method(f"{FIXED}:{objective}"), perceiver=settings.name))
    names = [(method.objective, shown_name(method)) for method in methods]
    for one in set(names):
        if names.count(one) > 1:
            raise ValueError(f"two methods are called {one[1]!r} under {one[0]}; tell them apart with label=TEXT")
    if settings.reference is not None and settings.reference not in {m.label for m in methods} | {n for _, n in names}:
        raise ValueError(f"no method {settings.reference!r} to refer to; choose from {', '.join(n for _, n in names)}")
    return methods


def make_report(settings: CompareSettings, job: Job, race: ResponseTable, page: Path) -> Report:
    """From what was played to the page; figures are written here."""
    rows, points = race_rows(race, job.methods, reference=settings.reference)
    covering, notes = _covering(job, race)
    drawn = strokes([point.method for point in points])
    sections: list[str] = []
    figures: list[Path] = []
    # under an objective that only fixed settings play, for their covering, there is no race to show
    whole = {objective_name(m.objective): m.objective for m in job.methods if m.controller != FIXED}
    for objective in dict.fromkeys(row.objective for row in rows if row.objective in whole):
        reference = reference_of(job.methods, whole[objective], settings.reference)
        sections.append(f"## Objective {objective}\n")
        sections.append(_TABLES.format(reference="the reference" if reference is None else shown_name(reference)))
        for group in pooled([row.disturbance for row in rows]):
            own = [row for row in rows if (row.objective, row.disturbance) == (objective, group)]
            curve = [point for point in points if (point.objective, point.disturbance) == (objective, group)]
            links = []
            for against in ("evaluations", "seconds"):
                name = "".join(letter if letter.isalnum() else "_" for letter in f"{objective}_{group}_{against}")
                title = f"Loss against {against}: {objective}, {group}"
                figure = race_plot(curve, against=against, drawn=drawn, title=title)
                figures.append(write_figure(figure, page.parent / page.stem / f"{name}.png"))
                links.append(linked(f"{objective}, {group}: loss against {against}", figures[-1], page))
            sections.append(_section(own, curve, title=f"{objective}, {group}") + "\n\n".join(links) + "\n")
    if covering:
        sections.append(covering_section(covering, title="Against people, seeds averaged within the image"))
    metrics = metrics_of("race", rows, "objective", "method", "disturbance")
    for point in points:
        place = f"race/{point.objective}/{point.method}/{point.disturbance}"
        metrics[f"{place}/fall_{point.evaluations:02d}"] = point.fall.mean
    return Report(
        title="Controllers",
        script="scripts/compare.py",
        about=about_job(settings, job, race, more=_about(settings, race)),
        sections=sections,
        tables={"standings": rows, "curves": points, "covering": covering},
        figures=figures,
        metrics=metrics | metrics_of("covering", covering, "method", "disturbance"),
        notes=notes,
        in_short=in_short(rows),
    )


def in_short(rows: Sequence[RaceRow]) -> list[tuple[str, dict[str, list[str]]]]:
    """The standings for a terminal: a table an objective and group of images, without what only the page explains."""
    tables = []
    for key in dict.fromkeys((row.objective, row.disturbance) for row in rows):
        own = [row for row in rows if (row.objective, row.disturbance) == key]
        columns = {
            "method": [row.method for row in own],
            "fall [95 %]": [str(row.fall) for row in own],
            "evaluations": [f"{row.evaluations:.0f}" for row in own],
            "seconds": [f"{row.seconds:.2g}" for row in own],
        }
        tables.append((f"{key[0]}, {key[1]}: fall of the loss, higher is better", columns))
    return tables


def _section(rows: Sequence[RaceRow], points: Sequence[CurvePoint], *, title: str) -> str:
    hidden = ["objective", "disturbance", "n_images", *empty_columns(rows)]
    text = f"{heading(title, rows[0].n_images)}\n\n" + rows_to_markdown(rows, without=hidden)
    return text + "\nFall of the loss after so many evaluations:\n\n" + rows_to_markdown(fall_rows(points)) + "\n"


def _covering(job: Job, race: ResponseTable) -> tuple[list[ContestRow], list[str]]:
    """What people say; nothing where nobody drew the images."""
    if COVERING not in race.columns:
        return [], ["nobody drew these images: controllers are compared by the loss alone"]
    contest = seed_means(race)
    oracle, notes = oracle_and_note(contest, job.table_of(race))
    return contest_rows(contest, oracle=oracle), notes


def _about(settings: CompareSettings, race: ResponseTable) -> dict[str, str]:
    labels = list(race.meta["methods"])
    counts = {label: labels.count(label) for label in dict.fromkeys(labels)}
    most, n_threads = max(counts.values()), 1 if settings.n_workers > 1 else torch.get_num_threads()
    return {
        "seeds": f"{most}; one where neither objective nor controller draws anything: "
        + (", ".join(label for label, n in counts.items() if n == 1 < most) or "none"),
        "seconds": f"{settings.n_workers} episode{'s' if settings.n_workers > 1 else ''} at a time, {n_threads} thread"
        f"{'s' if n_threads > 1 else ''} each; what the calibrated objective perceives of an image at the start "
        "was perceived once and counts in full for everyone",
    }
