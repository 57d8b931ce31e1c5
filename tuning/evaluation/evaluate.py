"""Does accommodation see better? Labelled images in; a results page, tables, figures and a tracked run out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.cortex.options import CORTEX, GLANCES
from ciliary.envs.metrics.regions import METRICS
from ciliary.envs.objective.calibration import Calibration, load_calibration
from ciliary.envs.objective.make import UNCALIBRATED
from ciliary.tuning.evaluation.contact_sheet import contact_sheet, sheets
from ciliary.tuning.evaluation.job import Job, Played, about_job, run_job
from ciliary.tuning.evaluation.methods import Method, make_methods
from ciliary.tuning.evaluation.play import play_methods
from ciliary.tuning.evaluation.plots import gap_plot, precision_recall
from ciliary.tuning.evaluation.report import (
    Report,
    by_group,
    covering_section,
    linked,
    metrics_of,
    oracle_and_note,
)
from ciliary.tuning.evaluation.selectors import CLEAN, COVERING
from ciliary.tuning.evaluation.settings import EvaluateSettings
from ciliary.tuning.evaluation.summary import FIXED, contest_rows
from ciliary.tuning.evaluation.systems import PEOPLE, boundary_summary, compute_portraits, portrait_rows
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.evaluation.validity import protocol_rows, validity_markdown, validity_report, with_predictions
from ciliary.tuning.runs.fingerprints import code_mark
from ciliary.tuning.runs.tables import pairs_to_markdown, rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure

DEFAULT_METHODS = ("normalise", "policy:calibrated:2", "tpe:raw:16", "tpe:calibrated:64")
PUBLISHED = (
    "Published, not measured here, on BSDS500's test images at full size, one setting for all: gPb-owt-ucm covers "
    "0.588 (Arbelaez et al. 2011), MCG 0.61 (Pont-Tuset et al. 2017)."
)
OTHER_METHODS = ("normalise", "tpe:raw:16", "tpe:agreement:64", "tpe:calibrated:64")  # no policy knows them
LOOK_METHODS = ("panel:looks:32:single", "disagreement:looks:8", "panel:looks:8", "panel:looks:32")  # of glances


def run(settings: EvaluateSettings) -> int:
    """Evaluate, report, and say on stderr what failed; returns the exit code of :func:`run_job`."""

    def choose(train: ResponseTable | None, disturbances: Sequence[str]) -> list[Method]:
        if settings.images:
            raise ValueError("what is seen is judged by people's maps: give labelled images, or compare controllers")
        default = DEFAULT_METHODS if settings.name == CORTEX else OTHER_METHODS
        default = LOOK_METHODS if settings.name.partition(":")[0] == GLANCES else default
        methods = make_methods(
            settings.methods, train, disturbances, default=default, seer=settings.make_other() or settings.name
        )
        _shown(settings, methods)  # a mistake is better known now
        return methods

    def play(job: Job) -> Played:
        return _play(settings, job)

    def report(job: Job, played: Played, page: Path) -> Report:
        return make_report(settings, job, played, page)

    return run_job(settings, name="evaluate", page="results.md", choose=choose, play=play, report=report)


def _play(settings: EvaluateSettings, job: Job) -> Played:
    shown = _shown(settings, job.methods)
    options: dict[str, Any] = {"n_workers": settings.n_workers, "progress": not settings.is_quiet}
    contest = play_methods(
        settings.out / "contest", job.data, job.cases, settings.how, job.methods, meta=settings.marks, **options
    )
    if not settings.with_portraits:
        return Played(contest)
    seeds = {case.image: case.seed for case in job.cases if case.disturbance == CLEAN}
    portraits = compute_portraits(
        settings.out / "portraits", job.data, settings.how, methods=() if shown.label == FIXED else (shown,),
        seeds=seeds, meta={"code": code_mark(), **settings.marks}, **options,
    )  # fmt: skip
    return Played(contest, portraits)


def make_report(settings: EvaluateSettings, job: Job, played: Played, page: Path) -> Report:
    """From what was played to the page; figures are written here."""
    contest, table = played.table, job.table_of(played.table)
    calibration, table, notes = _calibrated(job.methods, table, settings.name)
    oracle, oracle_notes = oracle_and_note(contest, table)
    rows = contest_rows(contest, oracle=oracle)
    portraits = portrait_rows(played.portraits)
    protocols = [] if table is None else protocol_rows(table, job.train)
    validity = []
    if table is not None and job.train is not None:
        columns = _common_columns(table, job.train)
        validity = validity_report(table, train=job.train, scores=[COVERING], columns=columns)
    figures = draw(settings, job, played, rows, page.parent / page.stem)
    sections = []
    if portraits:
        lower = "; ".join(metric.described for metric in METRICS.values() if not metric.higher_is_better)
        sections.append(
            f"## Systems on clean images\n\nRegions: mean over images [95 %]; {lower}. Boundaries: "
            "F of all images together, at one threshold (ODS), at each image's own (OIS), area under the curve (AP). "
            "People: each against the others.\n\n"
            + rows_to_markdown(portraits)
            + (f"\n\n{PUBLISHED}" if settings.bsds is not None else "")
        )
    sections.append(covering_section(rows, title="Accommodation"))
    if protocols:
        sections.append(
            "## Choosing among the same candidates\n\nOffline, from the response table: what each rule of choice would "
            "have scored.\n\n" + by_group(protocols)
        )
    if validity:
        sections.append("## What the label-free numbers know\n\n" + validity_markdown(validity))
    if calibration is not None:
        sections.append("## The calibrated objective\n\n" + pairs_to_markdown(_provenance(calibration)))
    links = [linked(title, path, page) for title, path in figures.items()]
    sections.append("## Figures\n\n" + "\n\n".join(links) + "\n")
    more = {"scores": f"at the image's own size, on every pixel of a grid of {settings.how.score_stride} px"}
    if table is not None:
        more["response table"] = f"{len(table.cases)} cases, {table.n_settings} settings, {table.meta.get('date', '')}"
    return Report(
        title="Results",
        script="scripts/evaluate.py",
        about=about_job(settings, job, contest, more=more),
        sections=sections,
        tables={"portraits": portraits, "contest": rows, "protocols": protocols, "validity": validity},
        figures=list(figures.values()),
        metrics={
            **metrics_of("portraits", portraits, "system"),
            **metrics_of("contest", rows, "method", "disturbance"),
            **metrics_of("protocols", protocols, "protocol", "disturbance"),
            **metrics_of("validity", validity, "column"),
        },
        notes=[*notes, *oracle_notes],
    )


def draw(settings: EvaluateSettings, job: Job, played: Played, rows: Sequence[Any], folder: Path) -> dict[str, Path]:
    """The figures there is something to draw for: title -> file."""
    figures, shown = {}, _shown(settings, job.methods)
    if played.portraits:
        summaries = {
            name: boundary_summary(table)
            for name, table in played.portraits.items()
            if np.isfinite(table.column("count.n_recall.00")).any()
        }
        people = summaries.pop(PEOPLE, None)
        figure = precision_recall(summaries, people=people)
        figures["Precision and recall of boundaries"] = write_figure(figure, folder / "precision_recall.png")
    figures["Fixed, accommodated, oracle"] = write_figure(gap_plot(rows, shown.label), folder / "gap.png")
    if shown.label != FIXED:
        best, worst = sheets(played.table, job.data, settings.how, shown)
        if best:
            figure = contact_sheet(best, worst, method=shown.label)
            figures["Images gained and lost most"] = write_figure(figure, folder / "contact_sheet.png")
    return figures


def _shown(settings: EvaluateSettings, methods: Sequence[Method]) -> Method:
    if settings.shown is None:
        return methods[-1]
    for method in methods:
        if method.label == settings.shown:
            return method
    raise ValueError(f"no method {settings.shown!r} to show; choose from {', '.join(m.label for m in methods)}")


def _calibrated(
    methods: Sequence[Method], table: ResponseTable | None, seer: str
) -> tuple[Calibration | None, ResponseTable | None, list[str]]:
    """The last calibrated objective that played, the table with its predictions, and why there are none."""
    objectives = [m.objective for m in methods if m.objective not in UNCALIBRATED]
    if not objectives:
        return None, table, []
    model = None
    try:
        model = load_calibration(objectives[-1], perceiver=seer)
        return model, None if table is None else with_predictions(table, model), []
    except (KeyError, ValueError) as error:
        return model, table, [f"the response table says nothing of the calibrated objective: {error.args[0]}"]


def _provenance(model: Calibration) -> Mapping[str, str]:
    told = {str(k): v if isinstance(v, str) else repr(v) for k, v in model.about.items()}
    shape = f"{len(model.names)} inputs, {len(model.layers)} layers, panel of {len(model.panel)}"
    shape += f", {len(model.starts)} starts"
    return {"model": shape, "least gain": f"{model.min_gain:.4g}", "views": str(model.n_views), **told}


def _common_columns(table: ResponseTable, train: ResponseTable) -> list[str]:
    """Terms (which need no training) and the features that both tables have."""
    return table.names("term.") + [name for name in table.names("feature.") if name in train.columns]
