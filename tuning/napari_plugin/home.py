"""What can be taken home from the panel, and back again: settings as a file, the episode as a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QApplication, QFileDialog

from ciliary.tuning.cli.complain import failure

if TYPE_CHECKING:
    from ciliary.tuning.napari_plugin.desk import Desk
    from ciliary.tuning.napari_plugin.widget import AccommodateWidget

_FILES = "Settings (*.json)"


def ask_for_python(widget: AccommodateWidget) -> str:
    """A file with a segmenter in it, or nothing."""
    path, _ = QFileDialog.getOpenFileName(widget, "A file with a segmenter", "", "Python (*.py)")
    return str(path)


def save(widget: AccommodateWidget) -> None:
    """Ask for a file, and write the settings there."""
    if widget.desk is not None:
        path, _ = QFileDialog.getSaveFileName(widget, "Save settings", widget.desk.settings_name, _FILES)
        if path:
            _try(widget, path, lambda desk: desk.save(path))


def load(widget: AccommodateWidget) -> None:
    """Ask for a file, and bring the sliders to its settings."""
    path, _ = QFileDialog.getOpenFileName(widget, "Load settings", "", _FILES)
    if path:
        _try(widget, path, lambda desk: widget.become(desk.load(path)))


def copy(widget: AccommodateWidget) -> None:
    """The command of the episode that was played, or else of the one that would be, to the clipboard."""

    def act(desk: Desk) -> None:
        words, note = desk.command(desk.played or widget.start(desk))
        QApplication.clipboard().setText(words)
        show_info(f"copied: {words}" + (f" ({note})" if note else ""))

    _try(widget, "command", act)


def _try(widget: AccommodateWidget, label: str, act: Callable[[Desk], Any]) -> None:
    try:
        if widget.desk is not None:
            act(widget.desk)
    except (ValueError, KeyError, OSError) as error:
        show_error(failure(label, error))
