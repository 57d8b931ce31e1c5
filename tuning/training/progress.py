"""One line that moves while a policy is trained."""

from __future__ import annotations

import math
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Steps done of steps to do, the gain of the last evaluation, the time left. On stderr; silent if quiet."""

    def __init__(self, n_steps: int, n_done: int, *, is_quiet: bool, title: str = "training") -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[gain]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=is_quiet,
        )
        self._task = self._progress.add_task(title, total=n_steps, completed=n_done, gain="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def move(self, n_done: int, gain: float) -> None:
        """So many steps are done; ``gain`` is the last evaluation's, not finite before the first."""
        text = f"gain {gain:+.4f}" if math.isfinite(gain) else ""
        self._progress.update(self._task, completed=n_done, gain=text)

    def advance(self) -> None:
        """One more is done."""
        self._progress.advance(self._task)
