"""What the panel is made of, laid out; what its parts do is the widget's."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ciliary.tuning.napari_plugin.asked import SEERS, WAYS, Asked

_WIDTH_PX = 410  # in which nothing is cut
OWN = "own"  # in the list of perceivers: what is written below it


class Panel(QWidget):
    """The parts of the panel, by name. ``asked()`` is what they stand at."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self.image = _list()
        self.image.setToolTip("the image layer that is looked at; of a stack, the slice in front")
        self.is_shown = QCheckBox("between its contrast limits, as shown")
        self.is_shown.setToolTip("grey values as napari shows them; else as the commands read them from a file")
        self.who = _list()
        for key, (words, _) in SEERS.items():
            self.who.addItem(words, key)
        self.who.addItem("my own function …", OWN)
        self.who.currentIndexChanged.connect(lambda _: self._show_own())
        self.anew = QToolButton()
        self.anew.setText("↻")
        self.anew.setToolTip("look again: image and perceiver are read anew")
        self.own = QLineEdit()
        self.own.setPlaceholderText("module:function, or mine.py:segment")
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip("a Python file")
        self.size_px = _number(32, 4096, asked.size_px, " px")
        self.size_px.setToolTip("long side at which the image is seen; larger shows finer things, and takes longer")
        self.area = scrolled()
        self.area.setMinimumHeight(240)
        self.words = _label()
        self.way = _list()
        for key, (words, _) in WAYS.items():
            self.way.addItem(words, key)
        self.n_trials = _number(1, 10_000, asked.n_trials)
        self.n_trials.setToolTip("settings tried at most, the defaults included; looks end when they change nothing")
        self.seed = _number(0, 2**31 - 1, asked.seed)
        self.from_here = QCheckBox("from the sliders, not the defaults")
        self.act, self.stop = QPushButton("Accommodate"), QPushButton("Cancel")
        self.bar = QProgressBar()
        self.verdict = _label()
        self.together = QCheckBox("looks together, not the sliders' setting")
        self.boundary = QCheckBox("a layer of boundaries")
        self.undo, self.reset = QPushButton("Undo"), QPushButton("Defaults")
        self.save, self.load = QPushButton("Save settings …"), QPushButton("Load settings …")
        self.copy = QPushButton("Copy command")
        self.copy.setToolTip("the words that play the same episode at a terminal")
        self._lay_out()
        self._stand_at(asked)

    def asked(self) -> Asked:
        """What the parts stand at."""
        key = self.who.currentData()
        return Asked(
            perceiver=self.own.text().strip() if key == OWN else key,
            way=self.way.currentData(),
            size_px=self.size_px.value(),
            n_trials=self.n_trials.value(),
            seed=self.seed.value(),
            is_shown=self.is_shown.isChecked(),
        )

    def _show_own(self) -> None:
        """The line for one's own function, where that is chosen."""
        for part in (self.own, self.browse):
            part.setVisible(self.who.currentData() == OWN)

    def _stand_at(self, asked: Asked) -> None:
        key = asked.perceiver if asked.perceiver in SEERS else OWN
        self.who.setCurrentIndex(self.who.findData(key))
        self.own.setText("" if key != OWN else str(asked.perceiver))
        self.way.setCurrentIndex(self.way.findData(asked.way))
        self.is_shown.setChecked(asked.is_shown)
        self._show_own()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("image", self.image)
        form.addRow("", self.is_shown)
        form.addRow("perceiver", _beside(self.who, self.anew))
        form.addRow("", _beside(self.own, self.browse))
        form.addRow("seen at", self.size_px)
        after = QFormLayout()
        after.addRow("accommodate", self.way)
        after.addRow("trials, seed", _beside(self.n_trials, self.seed))
        after.addRow("", self.from_here)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        column.addLayout(form)
        column.addWidget(self.area, 1)
        column.addWidget(self.words)
        column.addLayout(after)
        column.addWidget(_beside(self.act, self.stop))
        for part in (self.bar, self.verdict, self.together, self.boundary):
            column.addWidget(part)
        column.addWidget(_beside(self.undo, self.reset, self.copy))
        column.addWidget(_beside(self.save, self.load))


def scrolled(inside: Any = None) -> Any:
    """A place that scrolls, around a widget."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
    area.setFrameShape(QFrame.Shape.NoFrame)
    if inside is not None:
        area.setWidget(inside)
        area.setMinimumWidth(_WIDTH_PX)
    return area


def _list() -> Any:
    """Long names do not widen the panel."""
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(16)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def _number(low: int, high: int, value: int, suffix: str = "") -> Any:
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setKeyboardTracking(False)
    return box


def _label() -> Any:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _beside(*parts: Any) -> Any:
    holder = QWidget()
    line = QHBoxLayout(holder)
    line.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        line.addWidget(part)
    return holder
