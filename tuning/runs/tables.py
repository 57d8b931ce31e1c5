"""Tables as Markdown, as CSV and on the screen: of text, or of rows that are dataclasses. All pages make theirs here.

Not by a library: tabulate's pipe tables leave a "|" in a cell as it is and pad every cell, and what it would take over
is one join. The screen's tables are rich's, CSV is Python's.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rich import box
from rich.table import Table as Grid

from ciliary.envs.metrics.statistics import Interval

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: above it.
        columns: names; the first ``n_words`` columns are words, the others numbers.
        rows: one text a column.
        n_words: columns that are words.
        note: below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_words: int = 1
    note: str = ""

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"{self.title}: expected {len(self.columns)} cells, got {wrong[0]}")

    def markdown(self) -> str:
        """Heading, table and note."""
        is_number = [i >= self.n_words for i in range(len(self.columns))]
        table = markdown_table(self.columns, self.rows, is_number=is_number)
        return f"## {self.title}\n\n{table}" + (f"\n{self.note}\n" if self.note else "")

    def grid(self) -> Grid:
        """For the screen."""
        grid = Grid(title=self.title, box=box.SIMPLE_HEAD, title_justify="left", caption=self.note or None,
                    caption_justify="left")  # fmt: skip
        for i, name in enumerate(self.columns):
            grid.add_column(name, justify="left" if i < self.n_words else "right")
        for row in self.rows:
            grid.add_row(*row)
        return grid


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, is_number: Sequence[bool] = ()) -> str:
    """A Markdown table of text; the columns that ``is_number`` marks stand to the right."""
    right = [*is_number, *([False] * (len(columns) - len(is_number)))]
    lines = [[_escaped(cell) for cell in line] for line in (columns, *rows)]
    lines.insert(1, ["---:" if one else "---" for one in right])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def pairs_to_markdown(pairs: Mapping[str, Any]) -> str:
    """Name and text, a line each, below an empty heading."""
    cells = [(str(name).replace("_", " "), str(value).replace("\n", " ")) for name, value in pairs.items()]
    return "| | |\n" + markdown_table(("", ""), cells).partition("\n")[2]


def rows_to_markdown(rows: Sequence[Any], *, without: Sequence[str] = ()) -> str:
    """A Markdown table of dataclass rows of one type; numbers to the right, "–" for None and NaN.

    Args:
        rows: instances of one dataclass, see :func:`cells_of`.
        without: columns to leave out.
    """
    cells = _cells(rows)
    names = [name for name in cells[0] if name not in without]
    is_number = [all(not isinstance(row[name], str) for row in cells) for name in names]
    titles = [name.replace("_", " ") for name in names]
    return markdown_table(titles, [[shown(row[name]) for name in names] for row in cells], is_number=is_number)


def rows_to_csv(rows: Sequence[Any]) -> str:
    """CSV of dataclass rows of one type; an interval x becomes x, x_low, x_high; None and NaN are empty."""
    cells = _cells(rows)
    intervals = {name for row in cells for name, value in row.items() if isinstance(value, Interval)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header: list[str] = []
    for name in cells[0]:
        header += [name, f"{name}_low", f"{name}_high"] if name in intervals else [name]
    writer.writerow(header)
    for row in cells:
        line: list[Any] = []
        for name, value in row.items():
            if name not in intervals:
                line.append(value)
            else:
                line += [None] * 3 if value is None else [value.mean, value.low, value.high]
        writer.writerow(["" if value is None or value != value else value for value in line])  # noqa: PLR0124 -- NaN; may be text
    return text.getvalue()


def numbers_in(row: Any) -> dict[str, float]:
    """What is a number in a row, by column; of an interval its mean."""
    cells = {k: v.mean if isinstance(v, Interval) else v for k, v in cells_of(row).items()}
    return {name: float(value) for name, value in cells.items() if isinstance(value, (int, float))}


def empty_columns(rows: Sequence[Any]) -> list[str]:
    """Columns that say nothing in any row."""
    cells = _cells(rows)
    return [name for name in cells[0] if all(row[name] is None for row in cells)]


def cells_of(row: Any) -> dict[str, Any]:
    """Column -> value of a dataclass row, in the order of its fields; a field that is a mapping is a column a key."""
    cells: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        cells |= value if isinstance(value, Mapping) else {field.name: value}
    return cells


def shown(value: Any) -> str:
    """A cell's text: three digits, two of what would vanish; an interval where there are images enough for one."""
    if isinstance(value, Interval):
        if not math.isfinite(value.mean):
            return NONE
        if not (math.isfinite(value.low) and math.isfinite(value.high)):
            return _rounded(value.mean)  # too few images to say how sure
        return f"{_rounded(value.mean)} [{_rounded(value.low)}, {_rounded(value.high)}]"
    if value is None or value != value:  # noqa: PLR0124 -- NaN; may be text
        return NONE
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.2g}"


def _cells(rows: Sequence[Any]) -> list[dict[str, Any]]:
    if not rows or len({type(row) for row in rows}) > 1:
        raise ValueError(f"expected one or more rows of one dataclass, got {sorted({type(r).__name__ for r in rows})}")
    return [cells_of(row) for row in rows]


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _rounded(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # no minus before nothing
