"""A page whose rows of cells are placed in inches, so that pictures keep their size whatever stands beside them.

Drawn with matplotlib's objects on Agg, never through pyplot: no window, no figure left behind, no setting changed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ciliary.cortex.plot import style

DPI = 110
WIDTH_IN, MARGIN_IN, GUTTER_IN = 11.4, 0.22, 0.2
NARROW_IN = 6.66  # two pictures of 3 in: words of 8 points are read on a telephone, too (420 px to a page's width)
_NARROW_DPI = 160
_LINE_IN = 0.165  # of a note
HEADING_IN = 0.38  # the title's strip at the top; the note is below it
_TOP_IN = 0.72
_TALLEST = 1.3  # of a picture's cell, in its own widths
_BOLD_LETTER_IN = 0.118  # mean width of a letter of a title
_TITLE: dict[str, Any] = {"fontsize": 12.5, "color": style.INK, "weight": "bold", "va": "center"}
_NOTE: dict[str, Any] = {"fontsize": 8.5, "color": style.FAINT, "va": "center"}


@dataclass(frozen=True)
class Row:
    """So many equal cells of one height; ``gap_in`` is the room below for notes, and for the next row's titles."""

    n_columns: int
    height_in: float
    gap_in: float = 0.56
    gutter_in: float = GUTTER_IN

    def column_in(self, width_in: float = WIDTH_IN) -> float:
        """Width of a cell on a page of ``width_in``."""
        return (width_in - 2 * MARGIN_IN - (self.n_columns - 1) * self.gutter_in) / self.n_columns


def picture_row(n_columns: int, size: tuple[int, int], *, gap_in: float = 0.56, width_in: float = WIDTH_IN) -> Row:
    """A row that pictures of ``size`` (H, W) fill; very tall ones are kept within reason."""
    column_in = Row(n_columns, 0).column_in(width_in)
    return Row(n_columns, column_in * min(size[0] / size[1], _TALLEST), gap_in)


def narrow_row(size: tuple[int, int], *, n_columns: int = 2) -> Row:
    """A row of two pictures of ``size`` (H, W) on a page of :data:`NARROW_IN`, with room for notes of two lines."""
    return picture_row(n_columns, size, gap_in=0.7, width_in=NARROW_IN)


class Sheet:
    """A titled page of rows. ``figure`` is what it is drawn on."""

    def __init__(
        self, title: str, note: str, rows: Sequence[Row], *, width_in: float = WIDTH_IN, dpi: int | None = None
    ) -> None:
        self._rows, self.width_in = tuple(rows), width_in
        lines = textwrap.wrap(note, style.n_letters(width_in - 2 * MARGIN_IN)) or [""]
        top_in = _TOP_IN + (len(lines) - 1) * _LINE_IN
        self.height_in = top_in + 0.12 + sum(row.height_in + row.gap_in for row in rows)
        dpi = dpi or (_NARROW_DPI if width_in <= NARROW_IN else DPI)
        self.figure = Figure(figsize=(width_in, self.height_in), dpi=dpi, facecolor="white")
        FigureCanvasAgg(self.figure)
        room = (width_in - 2 * MARGIN_IN) / (_BOLD_LETTER_IN * max(len(title), 1))
        look = _TITLE | {"fontsize": _TITLE["fontsize"] * min(1.0, room)}
        self.figure.text(MARGIN_IN / width_in, 1 - 0.24 / self.height_in, title, parse_math=False, **look)
        for i, line in enumerate(lines):
            y_in = 0.5 + i * _LINE_IN
            self.figure.text(MARGIN_IN / width_in, 1 - y_in / self.height_in, line, parse_math=False, **_NOTE)
        above = np.cumsum([top_in + 0.24, *(row.height_in + row.gap_in for row in rows)])[:-1]
        self._bottoms_in = [self.height_in - top - row.height_in for top, row in zip(above, rows, strict=True)]

    def axes(
        self, row: int, column: float, *, n_columns: float = 1, left_in: float = 0.0, right_in: float = 0.0
    ) -> Axes:
        """Axes in a cell (or several side by side, fractions allowed), with room left free for labels."""
        own = self._rows[row]
        pitch_in = own.column_in(self.width_in) + own.gutter_in
        x_in = MARGIN_IN + column * pitch_in + left_in
        width_in = n_columns * pitch_in - own.gutter_in - left_in - right_in
        box = (
            x_in / self.width_in,
            self._bottoms_in[row] / self.height_in,
            width_in / self.width_in,
            own.height_in / self.height_in,
        )
        return self.figure.add_axes(box)

    def words(self, row: int, column: float, text: str) -> None:
        """Plain words in a cell, at its middle, instead of axes."""
        own = self._rows[row]
        x_in = MARGIN_IN + column * (own.column_in(self.width_in) + own.gutter_in)
        y_in = self._bottoms_in[row] + own.height_in / 2
        self.figure.text(x_in / self.width_in, y_in / self.height_in, text, fontsize=8.5, color=style.INK, va="center")
