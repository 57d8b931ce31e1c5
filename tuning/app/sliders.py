"""The sliders of the page: one a parameter, by stage, in equal steps of u."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

from nicegui import ui

from ciliary.cortex.table import Parameter, ParameterTable
from ciliary.tuning.app.rows import FOLDED, N_STEPS, STAGES, called, hint, physical, position, with_unit

_THROTTLE_S = 0.06
_REST_S = 0.6  # keys pressed in so long are one step


class Sliders:
    """Draw sliders where they are made.

    Args:
        table: of the parameters.
        inert: names of those that do nothing, which get none.
        defaults: by name; a value that is none of them is set off, and can be brought back alone.
        on_move: told name and value while a slider moves.
        on_rest: told when it has come to rest.
        on_default: told the name that is to go back to its default.
    """

    def __init__(
        self,
        table: ParameterTable,
        inert: frozenset[str],
        defaults: Mapping[str, float],
        *,
        on_move: Callable[[str, float], object],
        on_rest: Callable[[], object],
        on_default: Callable[[str], object],
    ) -> None:
        self._table, self._defaults = table, defaults
        self._on_move, self._on_rest, self._on_default = on_move, on_rest, on_default
        self._rows: dict[str, tuple[Any, Any, Any, Any]] = {}
        alive = [row for row in table if row.name not in inert]
        for stage, rows in groupby(alive, key=lambda row: row.stage):
            title = STAGES.get(stage, stage)
            with (
                ui.expansion(title, value=stage not in FOLDED)
                .classes("w-full stage")
                .props("dense header-class=text-bold")
            ):
                for row in rows:
                    self._rows[row.name] = self._draw(row)

    def show(self, values: Mapping[str, float], *, idle: frozenset[str], but: str | None = None) -> None:
        """Bring the sliders to the values; ``but``: the one that a hand is on. ``idle`` ones are not shown."""
        for name, (whole, slider, label, back) in self._rows.items():
            row, value = self._table[name], values[name]
            whole.set_visibility(name not in idle)
            label.text = with_unit(row, value)
            back.set_visibility(value != self._defaults[name])
            if name != but:
                slider.value = position(row, value)

    def _draw(self, row: Parameter) -> tuple[Any, Any, Any, Any]:
        with ui.column().classes("w-full gap-0 mb-1") as whole:
            with ui.row().classes("w-full items-center no-wrap gap-1") as words:
                ui.label(called(row)).classes("text-sm grow")
                back = ui.button(icon="restart_alt", on_click=lambda: self._on_default(row.name))
                back.props(f'flat dense size=sm aria-label="default of {row.name}"')
                label = ui.label().classes("text-sm text-right").style("font-variant-numeric: tabular-nums")
            step = 2 / (row.high - row.low) if row.scale == "int" else 2 / N_STEPS
            slider = ui.slider(min=-1, max=1, step=step).props(f'dense aria-label="{row.name}"').classes("turn")
            slider.mark(row.name)
            for place in (words, slider):
                with place:
                    ui.tooltip(hint(row)).props("delay=600").classes("text-sm").style("white-space: pre-line")

        def move(event: Any) -> None:
            self._on_move(row.name, physical(row, float(event.args)))

        slider.on("update:model-value", move, throttle=_THROTTLE_S)
        slider.on("change", lambda: self._on_rest(), throttle=_REST_S, leading_events=False)
        return whole, slider, label, back
