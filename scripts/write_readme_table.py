#!/usr/bin/env python
"""Write the parameter table between the two markers of its page anew, from ``ciliary.cortex.parameters``."""

from __future__ import annotations

import sys
from pathlib import Path

from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.table import ParameterTable
from ciliary.tuning.runs.tables import markdown_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "stages.md"
BEGIN = "<!-- parameters:begin -->"
END = "<!-- parameters:end -->"


def parameter_table(table: ParameterTable) -> str:
    """The table as Markdown."""
    columns = ("parameter", "stage", "range", "default", "unit", "scale", "source", "what it does")
    rows = [
        (f"`{p.name}`", p.stage, f"{p.low:g} – {p.high:g}", f"{p.default:g}", p.unit, p.scale, p.source, p.doc)
        for p in table
    ]
    return markdown_table(columns, rows).rstrip()


def with_table(page: str, table: str) -> str:
    """The page's text with ``table`` between its markers; ``ValueError`` unless each is there once, in order."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"expected one {BEGIN} and below it one {END}; put them where the table belongs")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(path: Path = PAGE) -> int:
    """Rewrite the file if its table is not up to date; the exit code says whether that was possible."""
    old = path.read_text(encoding="utf-8")
    try:
        new = with_table(old, parameter_table(PARAMETERS))
    except ValueError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    path.write_text(new, encoding="utf-8")
    print(f"{path}: {'unchanged' if new == old else 'table written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
