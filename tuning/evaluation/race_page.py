"""The page of a race: from what was played to tables, figures and the metrics of the run."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.evaluation.measure import MeasureSettings
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.race_plots import race_plot, strokes
from ciliary.tuning.evaluation.race_rows import (
    CurvePoint,
    RaceRow,
    fall_rows,
    objective_name,
    race_rows,
    reference_of,
    seed_means,
    shown_name,
)
from ciliary.tuning.evaluation.reporting import counted, without_folders
from ciliary.tuning.evaluation.results import NO_READING, contest_markdown
from ciliary.tuning.evaluation.summary import FIXED, ContestRow, contest_rows, oracle_scores
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import described, versions
from ciliary.tuning.runs.tables import empty_columns, pairs_to_markdown, rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure

_TABLES = (
    "`fall`: of the loss from the defaults to the best trial, mean over images [95 %], seeds averaged within the "
    "image; higher is better. `share`: of what {reference} gains. `over reference`: fall less its fall, paired. "
    "`applied`: guard included. `on fresh views`: of the best trial, on views the search did not see. `seeds sd`: "
    "standard deviation of the mean fall over seeds. `evaluations`, `seconds`: of an episode, guard included. Against "
    "seconds a batch of trials counts when it is done, all of it at once.\n"
)


@dataclass(frozen=True, eq=False)
class Raced:
    """What was played, and how it was measured."""

    race: ResponseTable
    methods: tuple[Method, ...]
    how: MeasureSettings
    source: str
    reference: str | None
    table: ResponseTable | None
    n_workers: int
    n_threads: int
    processor: str
    code: str
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


def report_race(raced: Raced, page: Path, *, reading: Path) -> tuple[Path, list[Path], dict[str, float]]:
    """Write page, tables and figures; returns the page, all files and the metrics."""
    rows, points = race_rows(raced.race, raced.methods, reference=raced.reference)
    notes = [f"left out: {without_folders(line)}" for line in raced.problems]
    covering = _covering(raced, notes)
    folder, drawn = page.parent / page.stem, strokes([point.method for point in points])
    parts = ["# Controllers\n\nMade by `scripts/compare.py`; only the reading is written by hand.\n"]
    text = reading.read_text(encoding="utf-8").strip() if reading.is_file() else ""
    parts.append("## Reading\n\n" + (text or NO_READING.format(name=reading.name)) + "\n")
    parts.append("## How it was measured\n\n" + pairs_to_markdown(_about(raced)))
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes) + "\n")
    figures: list[Path] = []
    # under an objective that only fixed settings play, for their covering, there is no race to show
    whole = {objective_name(m.objective): m.objective for m in raced.methods if m.controller != FIXED}
    for objective in dict.fromkeys(row.objective for row in rows if row.objective in whole):
        reference = reference_of(raced.methods, whole[objective], raced.reference)
        parts.append(f"## Objective {objective}\n")
        parts.append(_TABLES.format(reference="the reference" if reference is None else shown_name(reference)))
        for group in _pooled([row.disturbance for row in rows]):
            own = [row for row in rows if (row.objective, row.disturbance) == (objective, group)]
            curve = [point for point in points if (point.objective, point.disturbance) == (objective, group)]
            heading = f"{objective}, {group}"
            files = {}
            for against in ("evaluations", "seconds"):
                name = "".join(letter if letter.isalnum() else "_" for letter in f"{objective}_{group}_{against}")
                figure = race_plot(curve, against=against, drawn=drawn, title=f"Loss against {against}: {heading}")
                files[against] = write_figure(figure, folder / f"{name}.png")
            figures += files.values()
            parts.append(_section(own, curve, files, folder=page.parent, title=heading))
    parts.append(contest_markdown(covering, title="Against people, seeds averaged within the image"))
    written = [write_atomically(page, "\n".join(parts).encode())]
    for name, kind in (("standings", rows), ("curves", points), ("covering", covering)):
        written.append(write_atomically(folder / f"{name}.csv", rows_to_csv(kind).encode()))
    return page, [*written, *figures], metrics_of(rows, points, covering)


def metrics_of(
    rows: Sequence[RaceRow], points: Sequence[CurvePoint], covering: Sequence[ContestRow]
) -> dict[str, float]:
    """``race/<objective>/<method>/<group>/<field>``, the falls at the marks, and the covering; an interval's mean."""
    metrics: dict[str, float] = {}
    places: list[tuple[str, RaceRow | ContestRow]] = [(f"race/{row.objective}", row) for row in rows]
    for above, row in [*places, *(("covering", row) for row in covering)]:
        place = f"{above}/{row.method}/{row.disturbance}"
        for field in fields(row):
            value = getattr(row, field.name)
            value = value.mean if isinstance(value, Interval) else value
            if isinstance(value, (int, float)):
                metrics[f"{place}/{field.name}"] = float(value)
    for point in points:
        place = f"race/{point.objective}/{point.method}/{point.disturbance}"
        metrics[f"{place}/fall_{point.evaluations:02d}"] = point.fall.mean
    return metrics


def _section(
    rows: Sequence[RaceRow], points: Sequence[CurvePoint], figures: dict[str, Path], *, folder: Path, title: str
) -> str:
    hidden = ["objective", "disturbance", "n_images", *empty_columns(rows)]
    text = f"### {title[0].upper()}{title[1:]} ({rows[0].n_images} images)\n\n" + rows_to_markdown(rows, without=hidden)
    text += "\nFall of the loss after so many evaluations:\n\n" + rows_to_markdown(fall_rows(points)) + "\n"
    links = [f"![{title}: loss against {k}]({path.relative_to(folder).as_posix()})" for k, path in figures.items()]
    return text + "\n\n".join(links) + "\n"


def _covering(raced: Raced, notes: list[str]) -> list[ContestRow]:
    table = raced.table
    if table is not None:
        table = table.where(images=set(raced.race.images) & set(table.images))
    contest = seed_means(raced.race)
    oracle = oracle_scores(contest, table)
    if table is None:
        notes.append("oracle: the best of the methods of this page, a lower bound of what the cortex could do")
    elif np.isnan(oracle).any():
        notes.append(f"no oracle of {int(np.isnan(oracle).sum())} cases: the response table does not have them")
    return contest_rows(contest, oracle=oracle)


def _pooled(groups: Sequence[str]) -> list[str]:
    """Clean, and those that pool disturbances; all when nothing is pooled."""
    labels = list(dict.fromkeys(groups))
    pooled = [label for label in labels if ":" not in label]
    return pooled if len(pooled) > 1 or pooled == labels else labels


def _about(raced: Raced) -> dict[str, str]:
    race, cases = raced.race, raced.race.cases
    labels = list(race.meta["methods"])
    counts = {method.label: labels.count(method.label) for method in raced.methods}
    return {
        "images": f"{len(set(race.images))} of {raced.source}",
        "cases": f"{len(cases)}: {counted([case.disturbance for case in cases])}",
        "methods": ", ".join(counts),
        "seeds": f"{max(counts.values())}; one where neither objective nor controller draws anything: "
        + (", ".join(label for label, n in counts.items() if n == 1 < max(counts.values())) or "none"),
        "cortex looks at": f"{raced.how.size_px} px (long side); {described(raced.how.cortex)}",
        "seconds": f"{raced.n_workers} episode{'s' if raced.n_workers > 1 else ''} at a time, {raced.n_threads} thread"
        f"{'s' if raced.n_threads > 1 else ''} each; what the calibrated objective perceives of an image at the start "
        "was perceived once and counts in full for everyone",
        "commit": f"{versions().get('commit', 'unknown')} (code mark {raced.code})",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "computing": f"{race.column('seconds').sum():.0f} s of episodes, this call {raced.seconds:.0f} s, "
        f"{raced.processor}",
    }
