"""What a session tells while it runs, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ciliary.agents.episode import Progress
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.sessions.resume import Session

CONTACTS = "contact_sheet.png"  # of a session's folder: its best and worst episodes
MOST_WHOLE = 100  # records of a session that are held in memory with all that is in them: some 50 kB each


class Display(Protocol):
    """What a session tells while it runs."""

    def begin(self, session: Session, n_episodes: int) -> None:
        """The session is open."""

    def episode(self, title: str) -> None:
        """An episode begins."""

    def batch(self, progress: Progress) -> None:
        """A batch of trials was made."""

    def done(self, *, was_done_before: bool) -> None:
        """The episode is over, well or badly."""

    def note(self, text: str) -> None:
        """One line about what had to be done to an image to show it."""

    def problem(self, text: str) -> None:
        """One line about an input or an episode that failed."""


class Told(Protocol):
    """What a person is told of at the end of a session, or of a merge of sessions."""

    name: str
    folder: Path
    command: str
    problems: list[str]
    run_ids: dict[str, str]
    n_before: int
    is_stopped: bool

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """Of the episodes that ended well, with or without their history."""


@dataclass
class Outcome:
    """What came of a session.

    Attributes:
        name, folder: of the session; ``folder`` holds its records and figures.
        command: shows its runs.
        records: of the episodes which ended well, in the order of the images; those of an earlier start included.
            From the hundredth on without their history, which is in the file: memory does not grow with a session.
        run_ids: key of an episode that ended well -> its run.
        problems: one line for each input or episode that failed.
        n_before: episodes which an earlier start had done.
        is_stopped: whether a signal ended it.
    """

    name: str
    folder: Path
    command: str
    records: list[dict[str, Any]] = field(default_factory=list)
    run_ids: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    n_before: int = 0
    is_stopped: bool = False

    def add(self, record: dict[str, Any]) -> None:
        """One more episode that ended well."""
        is_long = len(self.records) >= MOST_WHOLE
        self.records.append(records.without_history(record) if is_long else record)

    @property
    def exit_code(self) -> int:
        """0 all well, 1 nothing could be done, 3 some inputs failed, 130 stopped by a signal."""
        return exit_code(self)


def exit_code(told: Told) -> int:
    """0 all well, 1 nothing could be done, 3 some inputs failed, 130 stopped by a signal."""
    if told.is_stopped:
        return STOPPED
    if not told.records:
        return NOTHING
    return SOME_FAILED if told.problems else ALL_WELL


def first_line(error: BaseException) -> str:
    """``Type: first line``, without passwords; drivers of databases add pages, and address and all."""
    text = masked(str(error).strip())
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
