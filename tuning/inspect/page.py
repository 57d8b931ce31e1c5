"""The page of one look: a single HTML file that holds its pictures, for any browser, without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from ciliary.cortex.parameters import PARAMETERS, ParameterTable, Theta
from ciliary.cortex.plot import style
from ciliary.cortex.plot.sheet import DPI, HEADING_IN
from ciliary.cortex.profile import StageReport, render
from ciliary.tuning.inspect.numbers import ACTIVE_FROM, StageNumbers
from ciliary.tuning.runs.files import GENERATOR, write_atomically

_TEMPLATE = "page.html.j2"
_LEAST_PX = 880  # width of a sheet of panels under which its words cannot be read


@dataclass(frozen=True)
class Section:
    """A heading, what there is to see, and the picture under it."""

    name: str  # of its anchor
    title: str
    words: str
    png: bytes


def write_page(
    path: Path,
    *,
    title: str,
    facts: Sequence[str],
    sections: Sequence[Section],
    numbers: Sequence[StageNumbers],
    reports: Sequence[StageReport],
    theta: Theta,
    table: ParameterTable = PARAMETERS,
) -> Path:
    """Write the page, atomically.

    Args:
        path: of the HTML file.
        title: name of the image.
        facts: lines under the title.
        sections: in their order.
        numbers, reports: of :func:`ciliary.tuning.inspect.numbers.measure`.
        theta: (1,) each, the setting in use.
        table: of the cortex that looked, whose defaults it is told beside.
    """
    values = [(p, float(theta[p.name])) for p in table]
    moved = [(p, value) for p, value in values if abs(value - p.default) > 1e-6 * max(abs(p.default), 1)]
    text = (
        templates(Path(__file__).parent)
        .get_template(_TEMPLATE)
        .render(
            generator=GENERATOR,
            title=title,
            facts=facts,
            sections=sections,
            numbers=rows_of(numbers),
            columns=COLUMNS,
            fields=render(list(reports)),
            changed=[f"{p.name} = {value:.4g} (default {p.default:g})" for p, value in moved],
            parameters=[(p.name, p.stage, f"{value:.4g}", f"{p.default:g}", p.unit) for p, value in values],
            active_percent=f"{100 * ACTIVE_FROM:.0f}",
            style=style,
            least_px=_LEAST_PX,
        )
    )
    return write_atomically(path, text.encode())


def templates(folder: Path) -> Environment:
    """Whatever comes from a file's name or a user's words is escaped, and a value that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return made


def without_heading(path: Path) -> bytes:
    """The PNG file of a sheet without the title that is drawn on it: on a page it stands above already."""
    with Image.open(path) as sheet:
        cut, buffer = sheet.crop((0, round(HEADING_IN * DPI), *sheet.size)), io.BytesIO()
    cut.save(buffer, "PNG")
    return buffer.getvalue()


#: Of the table that :func:`rows_of` fills.
COLUMNS = ("stage", "time (ms)", "output (MiB)", "field judged", "share active", "Gini", "gradient", "not finite")


def rows_of(numbers: Sequence[StageNumbers]) -> list[tuple[str, ...]]:
    """The table of what stages cost and how they answer, and its sum."""
    rows = [
        (
            row.stage,
            f"{row.time_ms:.1f}",
            f"{row.memory_mib:.2f}",
            row.field or "–",
            _number(row.share_active),
            _number(row.gini),
            _number(row.gradient),
            str(row.n_not_finite),
        )
        for row in numbers
    ]
    time_ms, memory_mib = sum(row.time_ms for row in numbers), sum(row.memory_mib for row in numbers)
    return [
        *rows,
        ("all", f"{time_ms:.1f}", f"{memory_mib:.2f}", "", "", "", "", str(sum(r.n_not_finite for r in numbers))),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
