"""A results page: what was measured, as Markdown for people, as CSV for programs and as metrics for the tracked run.

One builder for all pages: title, the reading that a person wrote, how it was measured, sections. Nothing is measured
here.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.tuning.evaluation.measure import MeasureSettings
from ciliary.tuning.evaluation.summary import ContestRow, oracle_scores, pooled
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import described, versions
from ciliary.tuning.runs.tables import empty_columns, numbers_in, pairs_to_markdown, rows_to_csv, rows_to_markdown


@dataclass(frozen=True, eq=False)
class Report:
    """All of a page.

    Attributes:
        title: of the page.
        script: that makes it.
        about: how it was measured, name -> text.
        sections: Markdown with its headings.
        tables: name of a file -> rows of dataclasses; those without rows are left out.
        figures: files of figures, which the sections link.
        metrics: of the tracked run.
        notes: what went wrong or is missing, one line each.
        in_short: for the terminal: a heading, and the columns of a table.
    """

    title: str
    script: str
    about: Mapping[str, str]
    sections: Sequence[str]
    tables: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    figures: Sequence[Path] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    in_short: Sequence[tuple[str, Mapping[str, Sequence[str]]]] = ()

    def markdown(self, reading: Path) -> str:
        """The page, with the text of ``reading`` where there is such a file."""
        text = reading.read_text(encoding="utf-8").strip() if reading.is_file() else ""
        by_hand = "; only the reading is written by hand" if text else ""
        parts = [f"# {self.title}\n\nMade by `{self.script}`{by_hand}.\n"]
        parts += [f"## Reading\n\n{text}\n"] if text else []
        parts.append("## How it was measured\n\n" + pairs_to_markdown(self.about))
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes) + "\n")
        return "\n".join([*parts, *self.sections])

    def write(self, page: Path, *, reading: Path) -> list[Path]:
        """Write the page, and each table as ``<stem>/<name>.csv`` beside it; returns all files, figures too."""
        written = [write_atomically(page, self.markdown(reading).encode())]
        for name, rows in self.tables.items():
            if rows:
                written.append(write_atomically(page.parent / page.stem / f"{name}.csv", rows_to_csv(rows).encode()))
        return [*written, *self.figures]


def metrics_of(kind: str, rows: Sequence[Any], *keys: str) -> dict[str, float]:
    """``<kind>/<key of a row>/.../<column>`` for every number of the rows; of an interval its mean."""
    metrics: dict[str, float] = {}
    for row in rows:
        place = "/".join([kind, *(str(getattr(row, key)) for key in keys)])
        metrics |= {f"{place}/{name}": value for name, value in numbers_in(row).items()}
    return metrics


def about(
    played: ResponseTable,
    *,
    source: str,
    how: MeasureSettings,
    code: str,
    seconds: float,
    n_workers: int,
    processor: str,
    more: Mapping[str, str],
) -> dict[str, str]:
    """How it was measured, in words; ``more`` is what a page has of its own."""
    cases = played.cases
    seen = described(how.cortex) if how.perceiver is None else "the perceiver's defaults"
    return {
        "images": f"{len(set(played.images))} of {source}",
        "cases": f"{len(cases)}: {counted([case.disturbance for case in cases])}",
        "methods": ", ".join(dict.fromkeys(played.meta["methods"])),
        f"{how.perceiver or 'cortex'} looks at": f"{how.size_px} px (long side); {seen}",
        **more,
        "commit": f"{versions().get('commit', 'unknown')} (code mark {code})",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "computing": f"{played.column('seconds').sum():.0f} s of episodes, this call {seconds:.0f} s, "
        f"{n_workers} worker{'s' if n_workers > 1 else ''}, {processor}",
    }


def oracle_and_note(contest: ResponseTable, table: ResponseTable | None) -> tuple[np.ndarray, list[str]]:
    """The oracle of each case, (C,), and what is to be said of it."""
    oracle = oracle_scores(contest, table)
    if table is None:
        return oracle, ["oracle: the best of the methods of this page, a lower bound of what could be done"]
    n_without = int(np.isnan(oracle).sum())
    return oracle, [f"no oracle of {n_without} cases: the response table does not have them"] if n_without else []


def covering_section(rows: Sequence[ContestRow], *, title: str) -> str:
    """Against people: pooled groups in full, each disturbance alone in short."""
    text = (
        f"## {title}\n\nRegion covering, mean over images [95 %]. `gain`: over the fixed setting, paired. "
        "`gap closed`: share of the way from fixed to the oracle. `harm rate`: share of the cases made worse than "
        "fixed by more than 0.005. `recovered`: share won back of what the disturbance costs the fixed setting.\n\n"
    )
    shown = pooled([row.disturbance for row in rows])
    text += by_group([row for row in rows if row.disturbance in shown])
    rest = [row for row in rows if row.disturbance not in shown]
    if rest:
        hidden = ["n_evaluations", "seconds", *empty_columns(rest)]
        text += "\n### Each disturbance alone\n\n" + rows_to_markdown(rest, without=hidden)
    return text


def by_group(rows: Sequence[Any]) -> str:
    """A table for each ``disturbance`` of the rows, under a heading."""
    parts = []
    for group in dict.fromkeys(row.disturbance for row in rows):
        own = [row for row in rows if row.disturbance == group]
        hidden = ["disturbance", "n_images", *empty_columns(own)]
        parts.append(f"{heading(group, own[0].n_images)}\n\n" + rows_to_markdown(own, without=hidden))
    return "\n".join(parts)


def heading(title: str, n_images: int) -> str:
    """Of a table of a group of cases."""
    return f"### {title[0].upper()}{title[1:]} ({n_images} images)"


def linked(title: str, figure: Path, page: Path) -> str:
    """A figure in a page."""
    return f"![{title}]({figure.relative_to(page.parent).as_posix()})"


def without_folders(line: str) -> str:
    """A page is read on other machines: files by name only."""
    return " ".join(Path(word).name if "/" in word and Path(word).is_absolute() else word for word in line.split(" "))


def counted(words: Sequence[str]) -> str:
    """How often each word is there, in words."""
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    return ", ".join(f"{count} {word}" for word, count in counts.items())
