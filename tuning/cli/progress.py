"""The one progress bar: on stderr, so that stdout holds results alone; at a terminal, or in a notebook with widgets."""

from __future__ import annotations

from importlib.util import find_spec

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SPEED_OVER_S = 600.0  # what is left is told by the speed of the last ten minutes: an episode may take one


class Bar:
    """What is done, done of all, elapsed, left. A context manager.

    Args:
        total: steps to do; None if that is not known yet.
        title: what is being done.
        n_done: steps done before.
        unit: what is counted, such as ``trials``.
        is_quiet: show nothing.
    """

    def __init__(
        self, total: int | None, *, title: str = "", n_done: int = 0, unit: str = "", is_quiet: bool = False
    ) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            speed_estimate_period=_SPEED_OVER_S,
            disable=is_quiet or not _can_move(self.console),
            transient=True,
        )
        self._task = self._progress.add_task(title, total=total, completed=n_done, unit=unit, note="")
        self._inner: TaskID | None = None

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._progress.disable:  # an older rich ends a bar that nobody sees with an empty line
            self._progress.stop()

    def advance(self, n: int = 1) -> None:
        """So many more are done."""
        self._progress.advance(self._task, n)

    def move(
        self, n_done: int | None = None, *, title: str | None = None, total: int | None = None, note: str | None = None
    ) -> None:
        """Set what is given: steps done, what is being done, steps to do, and a word behind the count."""
        more = {} if note is None else {"note": note}
        self._progress.update(self._task, completed=n_done, description=title, total=total, **more)  # type: ignore[arg-type]

    def within(self, n_done: int, n_all: int) -> None:
        """Steps of the step that is being done, in a row below that goes when they are done."""
        if self._inner is None:
            self._inner = self._progress.add_task("", total=n_all, unit="steps", note="")
        self._progress.update(self._inner, completed=n_done, total=n_all)
        if n_done >= n_all:
            self._progress.remove_task(self._inner)
            self._inner = None

    def next(self, title: str, total: int | None) -> None:
        """Begin another row below: ``title``, ``total`` steps."""
        self._task = self._progress.add_task(title, total=total, unit="", note="")


def _can_move(console: Console) -> bool:
    """Whether a bar can be drawn over itself there: at a terminal, or in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


def pace(n_done: int, seconds: float, *, unit: str) -> str:
    """``1.43 images/s``; nothing while none is done."""
    if n_done == 0 or seconds <= 0:
        return ""
    rate = n_done / seconds
    return f"{rate:.2f} {unit}/s" if rate >= 1 else f"{rate:.2g} {unit}/s"
