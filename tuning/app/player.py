"""An episode that is being played on the page: how far it is, and Stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from nicegui import run, ui

from ciliary.agents.episode import Progress
from ciliary.tuning.app.eye import Episode, Eye, Scene
from ciliary.tuning.cli.complain import failure


class StoppedByHand(Exception):
    """The episode is not wanted any more."""


class Player:
    """Draw the bar where it is made; it is seen while an episode is played.

    Args:
        eye: who plays.
        on_change: told whether one is being played.
        complain: told in a line what went wrong.
    """

    def __init__(self, eye: Eye, *, on_change: Callable[[bool], object], complain: Callable[[str], object]) -> None:
        self._eye, self._on_change, self._complain = eye, on_change, complain
        self._stop: threading.Event | None = None
        self._progress = (0, 1)
        with ui.row().classes("w-full items-center no-wrap gap-2") as self._row:
            self._bar = ui.linear_progress(0, show_value=False, size="8px")
            self._bar.props('color=deep-orange-8 aria-label="progress of the episode"')
            self._count = ui.label().classes("text-sm whitespace-nowrap")
            ui.button("Stop", on_click=self.halt).props("flat dense no-caps")
        self._row.set_visibility(False)
        self._timer = ui.timer(0.2, self._tick, active=False)

    async def play(self, scene: Scene, start: Mapping[str, float] | None) -> Episode | None:
        """Play an episode; None where it was stopped or went wrong, which is told, or one is being played."""
        if self._stop is not None:
            return None
        stop = threading.Event()
        self._stop, self._progress = stop, (0, self._eye.settings.n_trials)
        self._watch()

        def note(progress: Progress) -> None:
            n_looks = len(getattr(progress.state, "candidates", ())) or progress.n_trials  # of a list, all are known
            self._progress = (progress.n_done, min(progress.n_trials, n_looks))
            if stop.is_set():
                raise StoppedByHand

        try:
            episode: Episode | None = await run.io_bound(self._eye.accommodate, scene, note, start)
        except StoppedByHand:
            episode = None
        except Exception as error:  # noqa: BLE001 -- of a perceiver or a controller of the user's own
            episode = None
            if not stop.is_set():
                self._complain(failure(scene.photograph.name, error))
        self._stop = None
        self._watch()
        return None if stop.is_set() else episode

    def halt(self) -> None:
        """Stop it after the trials at hand; what it came to is dropped."""
        if self._stop is not None:
            self._stop.set()

    def _watch(self) -> None:
        is_playing = self._stop is not None
        self._row.set_visibility(is_playing)
        self._timer.active = is_playing
        self._on_change(is_playing)
        self._tick()

    def _tick(self) -> None:
        n_done, n_all = self._progress
        what = "looks" if self._eye.settings.is_integrated else "trials"
        self._bar.value = n_done / n_all
        self._count.text = f"{n_done} of at most {n_all} {what}" if n_done else "looking with the defaults"
