"""The results page: what was measured, as Markdown for people and as CSV for programs. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ciliary.envs.objective.calibration import Calibration
from ciliary.tuning.evaluation.selectors import ProtocolRow, fixed, oracle, pick, random, select_all, summarise
from ciliary.tuning.evaluation.summary import ContestRow, pooled_groups
from ciliary.tuning.evaluation.systems import PortraitRow
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.evaluation.validity import ValidityRow, validity_markdown
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import empty_columns, pairs_to_markdown, rows_to_csv, rows_to_markdown

PREDICTED = "term.calibrated"
NO_READING = "(Nothing yet: write it in {name} and run the script again.)"


@dataclass(frozen=True)
class Results:
    """All that the page shows; empty parts are left out.

    Attributes:
        about: how it was measured, name -> text.
        portraits: every system on clean images.
        contest: every method on every group of cases.
        protocols: choices among the candidates of a response table.
        validity: what each label-free number knows, on that table.
        calibration: provenance of the calibrated objective.
        reading: Markdown of a person who has looked at the numbers.
        figures: title -> file beside the page.
        notes: what went wrong or is missing, one line each.
    """

    about: Mapping[str, str]
    portraits: Sequence[PortraitRow] = ()
    contest: Sequence[ContestRow] = ()
    protocols: Sequence[ProtocolRow] = ()
    validity: Sequence[ValidityRow] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    reading: str = ""
    figures: Mapping[str, Path] = field(default_factory=dict)
    notes: Sequence[str] = ()


def results_page(results: Results, *, folder: Path, reading_name: str = "results_reading.md") -> str:
    """The page as Markdown.

    Args:
        results: to show.
        folder: of the page: figures are linked relative to it.
        reading_name: file that the reading comes from, named where it is missing.
    """
    parts = ["# Results\n\nMade by `scripts/evaluate.py`; only the reading is written by hand.\n"]
    parts.append("## Reading\n\n" + (results.reading.strip() or NO_READING.format(name=reading_name)) + "\n")
    parts.append("## How it was measured\n\n" + pairs_to_markdown(results.about))
    if results.notes:
        parts.append("\n".join(f"- {note}" for note in results.notes) + "\n")
    if results.portraits:
        parts.append(
            "## Systems on clean images\n\nRegions: mean over images [95 %]; VoI in bits, lower is better. Boundaries: "
            "F of all images together, at one threshold (ODS), at each image's own (OIS), area under the curve (AP). "
            "People: each against the others.\n\n" + rows_to_markdown(results.portraits)
        )
    if results.contest:
        parts.append(contest_markdown(results.contest))
    if results.protocols:
        parts.append(
            "## Choosing among the same candidates\n\nOffline, from the response table: what each rule of choice would "
            "have scored.\n\n" + by_group(results.protocols)
        )
    if results.validity:
        parts.append("## What the label-free numbers know\n\n" + validity_markdown(results.validity))
    if results.calibration:
        parts.append("## The calibrated objective\n\n" + pairs_to_markdown(results.calibration))
    if results.figures:
        links = [f"![{title}]({path.relative_to(folder).as_posix()})" for title, path in results.figures.items()]
        parts.append("## Figures\n\n" + "\n\n".join(links) + "\n")
    return "\n".join(parts)


def write_results(path: Path, results: Results, *, reading_name: str = "results_reading.md") -> list[Path]:
    """Write the page, and each of its tables as ``<stem>/<table>.csv`` beside it; returns what was written."""
    written = [write_atomically(path, results_page(results, folder=path.parent, reading_name=reading_name).encode())]
    for name in ("portraits", "contest", "protocols", "validity"):
        rows = getattr(results, name)
        if rows:
            written.append(write_atomically(path.parent / path.stem / f"{name}.csv", rows_to_csv(rows).encode()))
    return written


def with_predictions(table: ResponseTable, calibration: Calibration) -> ResponseTable:
    """The table with ``term.calibrated``, 1 - the score that the calibration predicts of each percept.

    Raises:
        KeyError: the table lacks what the calibration needs.
        ValueError: the table's percepts were compared with another panel.
    """
    n_panel = len(calibration.panel)
    if n_panel and not (
        table.u[:n_panel].shape == calibration.panel.shape
        and np.allclose(table.u[:n_panel], calibration.panel, atol=1e-5)
    ):
        raise ValueError(
            f"the table's first {n_panel} settings are not the calibration's panel: measure it with that panel first"
        )
    inputs = {name: torch.from_numpy(values.ravel()) for name, values in table.columns.items()}
    score = calibration.predict(inputs).numpy().reshape(len(table.cases), table.n_settings)
    return table.with_columns({PREDICTED: 1 - score})


def protocol_rows(table: ResponseTable, train: ResponseTable | None = None) -> list[ProtocolRow]:
    """Every protocol on a response table, the raw and the calibrated objective among them where it has them.

    Without ``train`` nothing can choose a best fixed setting: the defaults are the reference.
    """
    losses = {
        name: column for name, column in (("raw", "term.total"), ("calibrated", PREDICTED)) if column in table.columns
    }
    if train is not None:
        return summarise(table, select_all(table, train=train, losses=losses))
    chosen = [pick(table, column, protocol=name) for name, column in losses.items()]
    return summarise(table, [random(table), fixed(table), *chosen, oracle(table)], reference="fixed")


def contest_markdown(rows: Sequence[ContestRow], *, title: str = "Accommodation") -> str:
    """Pooled groups in full, each disturbance alone in short."""
    text = (
        f"## {title}\n\nRegion covering, mean over images [95 %]. `gain`: over the fixed setting, paired. "
        "`gap closed`: share of the way from fixed to the oracle. `harm rate`: share of the cases made worse than "
        "fixed by more than 0.005. `recovered`: share won back of what the disturbance costs the fixed setting.\n\n"
    )
    shown = pooled_groups(rows)
    text += by_group([row for row in rows if row.disturbance in shown])
    rest = [row for row in rows if row.disturbance not in shown]
    if rest:
        text += "\n### Each disturbance alone\n\n" + rows_to_markdown(
            rest, without=["n_evaluations", "seconds", *empty_columns(rest)]
        )
    return text


def by_group(rows: Sequence[Any]) -> str:
    """A table for each ``disturbance`` of the rows, under a heading."""
    parts = []
    for group in dict.fromkeys(row.disturbance for row in rows):
        own = [row for row in rows if row.disturbance == group]
        heading = f"### {group[0].upper()}{group[1:]} ({own[0].n_images} images)"
        parts.append(f"{heading}\n\n" + rows_to_markdown(own, without=["disturbance", "n_images", *empty_columns(own)]))
    return "\n".join(parts)
