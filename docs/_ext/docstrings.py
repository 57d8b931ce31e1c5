"""Docstrings for Sphinx: those of environments are Markdown, as Gymnasium's are, and become reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

RULE = re.compile(r"^\|[\s:|-]+\|$")


def cells(row: str) -> list[str]:
    """Of one row of a Markdown table."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def list_table(rows: list[str]) -> Iterator[str]:
    """Rows of a Markdown table, its second the rule, as a ``list-table``."""
    yield from ("", ".. list-table::", "   :header-rows: 1", "")
    for row in (rows[0], *rows[2:]):
        for i, cell in enumerate(cells(row)):
            yield f"   {'*' if i == 0 else ' '} - {cell}"
    yield ""


def to_rst(lines: list[str]) -> list[str]:
    """Headings, tables and fenced code of Markdown translated; every other line as it is."""
    answer: list[str] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.startswith("## "):
            answer += ["", f".. rubric:: {line[3:]}", ""]
        elif line.startswith("```"):
            end = next(j for j in range(i + 1, len(lines)) if lines[j].startswith("```"))
            answer += ["", f".. code-block:: {line[3:] or 'python'}", ""]
            answer += [f"   {code}" if code else "" for code in lines[i + 1 : end]] + [""]
            i = end
        elif line.startswith("|") and i + 1 < len(lines) and RULE.match(lines[i + 1].strip()):
            end = next((j for j in range(i, len(lines)) if not lines[j].startswith("|")), len(lines))
            answer += list_table(lines[i:end])
            i = end - 1
        else:
            answer.append(line)
        i += 1
    return answer


def _translate(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = to_rst(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Before napoleon (priority 500), which reads what is left of Google's style; what it calls variables we do not."""
    from sphinx.domains.python import PyObject

    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-process-docstring", _translate, priority=400)
    return {"parallel_read_safe": True}
