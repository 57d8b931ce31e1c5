"""What a notebook shows of a percept or a table of parameters where it is the last line of a cell: HTML, all escaped.

A thing has ``_repr_html_`` and calls these; they are imported when a notebook asks, and no sooner. No style sheet, no
script, no colour of their own: they look right on dark pages too.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape
from PIL import Image
from torch import Tensor

from ciliary.cortex.device import has_numbers

if TYPE_CHECKING:
    from ciliary.cortex.perceiver import AbstractPercept
    from ciliary.cortex.table import ParameterTable

_MOST_IMAGES = 4  # of a batch
_WIDTH_PX = 180
_LEFT = Markup(' style="text-align: left"')


class Shown:
    """A percept that a notebook shows as pictures."""

    def _repr_html_(self: AbstractPercept) -> str:
        return percept_html(self)


def html_table(head: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str = "") -> Markup:
    """A table; whatever is no ``Markup`` is escaped.

    Args:
        head: of the columns.
        rows: a cell a column.
        caption: a line above.
    """
    title = Markup("<caption{}>{}</caption>").format(_LEFT, caption) if caption else Markup()
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return Markup("<table>{}{}</table>").format(title, Markup("\n").join(lines))


def picture(pixels: np.ndarray, words: str = "") -> Markup:
    """An image (H, W) or (H, W, 3) in [0, 1] as a PNG in the page itself; ``words`` are for who cannot see it."""
    buffer = io.BytesIO()
    Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return Markup('<img alt="{}" width="{}" src="data:image/png;base64,{}">').format(words, _WIDTH_PX, data)


def percept_html(percept: AbstractPercept) -> str:
    """Of each image of a batch, the first few: its segments, its boundary, and where looks disagree if they do.

    What is only a shape (in compiling, on ``meta``) is named and not drawn.
    """
    from ciliary.cortex.plot.paint import count_regions, paint_labels  # brings matplotlib

    boundary = percept.boundary
    n, _, height, width = boundary.shape
    caption = f"{type(percept).__name__}: {n} image{'s' if n != 1 else ''} of {width} x {height} px"
    if not has_numbers(boundary):
        return str(Markup("<p>{}</p>").format(caption))
    shown = percept[:_MOST_IMAGES]
    labels = shown.labels().cpu().numpy()
    maps = {"boundary": _maps(shown.boundary)}
    uncertainty = getattr(shown, "uncertainty", None)
    if isinstance(uncertainty, Tensor):
        maps["uncertainty"] = _maps(uncertainty)
    rows = []
    for i, one in enumerate(labels):
        segments = paint_labels(np.full((*one.shape, 3), 0.7), one)
        cells = [picture(segments, "segments"), *(picture(1 - field[i], name) for name, field in maps.items())]
        rows.append([Markup("<br>").join([cells[0], escape(count_regions(one))]), *cells[1:]])
    if n > len(labels):
        caption += f", the first {len(labels)} here"
    return str(html_table(["segments", *maps], rows, caption=caption))


def parameters_html(table: ParameterTable) -> str:
    """A row a parameter."""
    head = ("parameter", "stage", "range", "default", "unit", "scale", "source", "what it does")
    rows = [
        (p.name, p.stage, f"{p.low:g}\xa0–\xa0{p.high:g}", f"{p.default:g}", p.unit, p.scale, p.source, p.doc)
        for p in table
    ]
    return str(html_table(head, rows, caption=f"{len(table)} parameters"))


def _row(tag: str, cells: Sequence[object]) -> Markup:
    # vertical-align: pictures of one row stand in line whatever is written below one of them
    return Markup("<tr{}>{}</tr>").format(
        Markup(' style="vertical-align: top"'),
        Markup().join(Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), _LEFT, cell) for cell in cells),
    )


def _maps(field: Tensor) -> np.ndarray:
    """(B, 1, H, W) -> (B, H, W)."""
    return np.asarray(field.detach()[:, 0].float().cpu().numpy())
