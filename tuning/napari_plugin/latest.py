"""Work off the thread of the window: one at a time, and of what is asked meanwhile only the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer

_THROTTLE_MS = 30  # a slider on its way tells more often than anything can be seen


@dataclass(frozen=True)
class Job:
    """Something to do in a thread, and who is told of it in the window's.

    Attributes:
        work: what is done; what it returns goes to ``then``, what it raises to ``fail``.
        then: told the answer.
        fail: told the error.
    """

    work: Callable[[], Any]
    then: Callable[[Any], object]
    fail: Callable[[Exception], object]


class Latest(QObject):
    """Does jobs in a thread of napari's, one after the other; a job that waits gives way to a newer one.

    Args:
        parent: with which it ends; nobody is told of anything after that.
        on_change: told when work begins and when there is none left.
    """

    def __init__(self, parent: Any, on_change: Callable[[], object] = lambda: None) -> None:
        super().__init__(parent)
        self._waiting: Job | None = None
        self._running: Job | None = None
        self._is_wanted = True  # what runs
        self._worker: Any = None  # held: Python would forget it
        self._on_change = on_change
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_THROTTLE_MS)
        self._timer.timeout.connect(self._start)

    @property
    def is_busy(self) -> bool:
        """Whether something is done, or waits."""
        return self._running is not None or self._waiting is not None

    def ask(self, job: Job) -> None:
        """Do this next, in place of what waits."""
        was_busy, self._waiting = self.is_busy, job
        if self._running is None and not self._timer.isActive():
            self._timer.start()
        if not was_busy:
            self._on_change()

    def forget(self) -> None:
        """Let what waits be, and tell nobody of what runs."""
        self._waiting = None
        self._is_wanted = False

    def _start(self) -> None:
        if self._running is not None or self._waiting is None:
            return
        self._running, self._waiting, self._is_wanted = self._waiting, None, True
        self._worker = create_worker(_outcome, self._running.work, _start_thread=False)
        self._worker.returned.connect(self._done)
        self._worker.start()

    def _done(self, outcome: tuple[Any, Exception | None]) -> None:
        job, self._running = self._running, None
        answer, error = outcome
        try:
            if job is None or not self._is_wanted:
                return
            if error is None:
                job.then(answer)
            else:
                job.fail(error)
        finally:
            if self._waiting is not None:
                self._start()
            else:
                self._on_change()


def _outcome(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What came of it: an error is told by who asked, in words, and not by napari as a traceback."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 -- of a user's own function, too; it is told
        return None, error
