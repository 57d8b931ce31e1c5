"""Rows of a result, each a dataclass, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ciliary.envs.metrics.statistics import Interval


def rows_to_markdown(rows: Sequence[Any], *, without: Sequence[str] = ()) -> str:
    """A Markdown table of dataclass rows of one type; numbers to the right, "–" for None and NaN.

    Args:
        rows: instances of one dataclass.
        without: fields to leave out.
    """
    names = [name for name in _names(rows) if name not in without]
    is_number = [all(not isinstance(getattr(row, name), str) for row in rows) for name in names]
    lines = [_line([name.replace("_", " ") for name in names])]
    lines.append(_line(["---:" if right else "---" for right in is_number]))
    lines += [_line([_cell(getattr(row, name)) for name in names]) for row in rows]
    return "\n".join(lines) + "\n"


def rows_to_csv(rows: Sequence[Any]) -> str:
    """CSV of dataclass rows of one type; an interval x becomes x, x_low, x_high; None and NaN are empty."""
    names = _names(rows)
    is_interval = {name: any(isinstance(getattr(row, name), Interval) for row in rows) for name in names}
    header: list[str] = []
    for name in names:
        header += [name, f"{name}_low", f"{name}_high"] if is_interval[name] else [name]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        cells: list[Any] = []
        for name in names:
            value = getattr(row, name)
            if not is_interval[name]:
                cells.append(value)
            elif value is None:
                cells += [None] * 3
            else:
                cells += [value.mean, value.low, value.high]
        writer.writerow(["" if value is None or value != value else value for value in cells])  # NaN != NaN
    return text.getvalue()


def _names(rows: Sequence[Any]) -> list[str]:
    if not rows or len({type(row) for row in rows}) > 1:
        raise ValueError(f"expected one or more rows of one dataclass, got {sorted({type(r).__name__ for r in rows})}")
    return [item.name for item in fields(rows[0])]


def _line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cell(value: Any) -> str:
    if isinstance(value, Interval):
        if not math.isfinite(value.mean):
            return "–"
        if not (math.isfinite(value.low) and math.isfinite(value.high)):
            return _rounded(value.mean)  # too few images to say how sure
        return f"{_rounded(value.mean)} [{_rounded(value.low)}, {_rounded(value.high)}]"
    if value is None or value != value:  # NaN
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.2g}"  # two digits of what would vanish


def _rounded(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # no minus before nothing
