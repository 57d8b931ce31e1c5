"""The sliders of the panel: one a parameter, by stage, in equal steps of u, with a box for the number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget
from superqt import QCollapsible

if TYPE_CHECKING:
    from ciliary.cortex.table import Parameter, ParameterTable


class Sliders(QWidget):
    """Sliders of a table.

    Args:
        table: of the parameters.
        inert: names of those that do nothing, which get none.
        defaults: by name; a value that is none of them can be brought back alone.
        on_move: told name and value while a slider moves.
        on_rest: told when it has come to rest.
    """

    def __init__(
        self,
        table: ParameterTable,
        inert: frozenset[str],
        defaults: Mapping[str, float],
        *,
        on_move: Callable[[str, float], object],
        on_rest: Callable[[], object],
    ) -> None:
        from ciliary.tuning.app.rows import FOLDED, STAGES  # torch is there by now

        super().__init__()
        self.rows: dict[str, Row] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        alive = [row for row in table if row.name not in inert]
        stages = [(stage, [*rows]) for stage, rows in groupby(alive, key=lambda row: row.stage)]
        for stage, rows in stages:
            page = QWidget()
            lines = QVBoxLayout(page)
            lines.setContentsMargins(0, 0, 0, 0)
            lines.setSpacing(2)
            for row in rows:
                made = Row(row, defaults[row.name], on_move, on_rest)
                self.rows[row.name] = made
                lines.addWidget(made)
            fold = QCollapsible(STAGES.get(stage, stage))
            fold.setDuration(0)
            fold.setContent(page)
            if stage in FOLDED and len(stages) > 1:
                fold.collapse(animate=False)
            else:
                fold.expand(animate=False)
            column.addWidget(fold)
        column.addStretch(1)

    def show_values(self, values: Mapping[str, float], *, idle: frozenset[str], but: str | None = None) -> None:
        """Bring the sliders to the values; ``but``: the one that a hand is on. ``idle`` ones are not shown."""
        for name, row in self.rows.items():
            row.setVisible(name not in idle)
            row.show_value(values[name], moves=name != but)


class Row(QWidget):
    """Name, slider, number and the way back of one parameter."""

    def __init__(
        self,
        row: Parameter,
        default: float,
        on_move: Callable[[str, float], object],
        on_rest: Callable[[], object],
    ) -> None:
        from ciliary.tuning.app import rows

        super().__init__()
        self._row, self._default, self._rows = row, default, rows
        self._on_move, self._on_rest = on_move, on_rest
        self.setToolTip(rows.hint(row))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, rows.n_steps(row))
        self.slider.setAccessibleName(row.name)
        self.box = QDoubleSpinBox()
        self.box.setRange(row.low, row.high)
        self.box.setKeyboardTracking(False)
        self.box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.box.setFixedWidth(124)  # napari's buttons are wide
        self.back = QToolButton()
        self.back.setText("↺")
        self.back.setToolTip(f"the default, {default:g}")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        called, unit = rows.called(row), rows.unit_of(row)
        grid.addWidget(QLabel(called if not unit or unit in called else f"{called}, {unit}"), 0, 0)
        grid.addWidget(self.box, 0, 1)
        grid.addWidget(self.back, 0, 2)
        grid.addWidget(self.slider, 1, 0, 1, 3)
        grid.setColumnStretch(0, 1)
        self.slider.valueChanged.connect(self._slide)
        self.slider.sliderReleased.connect(self._rest)
        self.box.valueChanged.connect(self._set)
        self.back.clicked.connect(self._go_back)

    def show_value(self, value: float, *, moves: bool = True) -> None:
        """Bring slider and number to a value, telling nobody; ``moves``: the slider too."""
        is_fraction = value != round(value) and self._row.scale == "int"  # of which the last unit is partly present
        _quietly(self.box, lambda: self.box.setDecimals(2 if is_fraction else self._rows.n_decimals(self._row)))
        _quietly(self.box, lambda: self.box.setValue(value))
        if moves:
            _quietly(self.slider, lambda: self.slider.setValue(self._rows.step_of(self._row, value)))
        self.back.setEnabled(value != self._default)

    def _slide(self, step: int) -> None:
        self._on_move(self._row.name, self._rows.value_at(self._row, step))
        if not self.slider.isSliderDown():  # by wheel, key or a click beside the handle
            self._on_rest()

    def _rest(self) -> None:
        self._on_rest()

    def _set(self, value: float) -> None:
        self._on_move(self._row.name, value)
        self.show_value(value)
        self._on_rest()

    def _go_back(self) -> None:
        self._on_move(self._row.name, self._default)
        self.show_value(self._default)
        self._on_rest()


def _quietly(widget: Any, act: Callable[[], object]) -> None:
    """Do something to a widget that tells nobody of it."""
    was = widget.blockSignals(True)
    act()
    widget.blockSignals(was)
