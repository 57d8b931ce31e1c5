"""Stopping on request: the first SIGINT or SIGTERM ends the episode after its present batch, the second at once."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

EXIT_CODE = 130  # 128 + SIGINT, what a shell expects of a stopped command


class Stopped(KeyboardInterrupt):
    """Someone asked us to stop. No ``Exception``: the handling of failed episodes lets it pass."""


class Stopper:
    """Context manager that turns signals into a flag; ``check()`` raises :class:`Stopped` at a safe place.

    Half a batch written to a database is worse than a second of patience, so the handler itself only takes note.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raise :class:`Stopped` if a signal has come."""
        if self.is_asked:
            raise Stopped

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.is_asked:
            raise Stopped
        self.is_asked = True
        name = signal.Signals(number).name
        print(f"\n{name}: stopping after this batch; once more to stop at once", file=sys.stderr, flush=True)
