"""Stopping on request: at a safe place (:class:`Stopper`), or at once (:func:`terminable`)."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class Stopped(KeyboardInterrupt):
    """Someone asked us to stop. No ``Exception``: the handling of failed episodes lets it pass."""


class Stopper:
    """Context manager that turns the first SIGINT or SIGTERM into a flag, and the second into :class:`Stopped`.

    ``check()`` raises :class:`Stopped` at a safe place: half a batch written to a database is worse than a second of
    patience, so the handler itself only takes note.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._handlers = handled(self._note, signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> Stopper:
        self._handlers.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._handlers.__exit__(None, None, None)

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


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that runs are closed and workers end."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt  # itself: shells start background jobs with SIGINT ignored

    with handled(stop, signal.SIGTERM):
        yield


@contextmanager
def handled(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    """Handle signals in the block; nothing happens outside the main thread, where Python allows no handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
