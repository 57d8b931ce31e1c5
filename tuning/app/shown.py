"""The part of the page that is looked at: the image, the percept, and what is chosen to be shown of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from ciliary.tuning.app.pictures import VIEWS, Layers

_CHOICE = "dense no-caps unelevated toggle-color=blue-grey-7 toggle-text-color=white"


class Shown:
    """Draw image, percept and choices where it is made.

    What is perceived at the defaults lies under what is perceived now, and is seen while a key is held.

    Args:
        on_view: told that another view is wanted; which, is :attr:`view`.
        on_side: told whether looks together are wanted.
    """

    def __init__(self, *, on_view: Callable[[], object], on_side: Callable[[bool], object]) -> None:
        self._has_looks = False
        with ui.element("div").classes("watched w-full grid grid-cols-2 gap-2 py-1"):
            with ui.element("div").classes("shown seen"):
                self._photograph = _picture("the image")
                self._lines = {
                    "now": _picture("borders of the regions", "lines at-now"),
                    "first": _picture("borders of the regions at the defaults", "lines at-first"),
                }
            with ui.element("div").classes("shown percept"):
                self._percept = {
                    "now": _picture("the percept", "at-now"),
                    "first": _picture("the percept at the defaults", "at-first"),
                }
        with ui.row().classes("w-full items-center gap-x-4 gap-y-1"):
            ui.switch("borders", value=True, on_change=self._hide_lines).props("dense")
            self._view = ui.toggle(list(VIEWS), value="regions", on_change=lambda: on_view())
            self._view.props(_CHOICE).classes("choice")
            self._side = ui.toggle(
                {True: "looks together", False: "this setting"},
                on_change=lambda event: None if event.value is None else on_side(event.value),
            )
            self._side.props(_CHOICE).classes("choice")
            with ui.button("Hold: defaults", icon="visibility").props("outline dense no-caps").classes("hold px-2"):
                ui.tooltip("Hold it, or the key B, to see what is perceived at the defaults").props("delay=600")
        with ui.element("div").classes("w-full text-sm caption words"):
            self._words = {"now": ui.label().classes("at-now"), "first": ui.label().classes("at-first")}

    @property
    def view(self) -> str:
        """Of :data:`~ciliary.tuning.app.pictures.VIEWS`."""
        return str(self._view.value)

    def show_photograph(self, address: str) -> None:
        """Another image; nothing is shown of its percept yet."""
        self._photograph.props["src"] = address

    def show(self, drawn: Layers, *, which: str) -> None:
        """What is perceived ``now``, or what was at ``first``: at the defaults."""
        self._lines[which].props["src"] = drawn.lines
        self._percept[which].props["src"] = drawn.percept
        self._words[which].text = drawn.words if which == "now" else f"at the defaults: {drawn.words}"

    def offer(self, *, has_looks: bool, is_together: bool) -> None:
        """Offer what can be chosen."""
        self._side.set_visibility(has_looks)
        self._side.value = is_together

    def _hide_lines(self, event: Any) -> None:
        ui.run_javascript(f"document.body.classList.toggle('without-lines', {str(not event.value).lower()})")


def _picture(alt: str, classes: str = "") -> Any:
    return ui.element("img").props(f'alt="{alt}" draggable=false').classes(classes)
