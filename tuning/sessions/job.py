"""What differs between sessions: how inputs are read and known again (:class:`Job`), and how an episode is made.

An episode is made at a :class:`Workbench`, in this process or in a worker, which builds its own from
:class:`Equipment`. All else is the same for every job: :mod:`ciliary.tuning.sessions.loop`, ``crew``, ``conduct``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ciliary.agents.episode import EpisodeInterrupted, Progress
from ciliary.envs.data.sources import BUNDLED, bundled_files
from ciliary.tuning.cli.command_line import command_of
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.sessions.made import Keep, Made
from ciliary.tuning.sessions.options import SessionOptions
from ciliary.tuning.sessions.task import Cut, Result, Task

if TYPE_CHECKING:
    from typing_extensions import Self

    from ciliary.tuning.sessions.crew import Crew
    from ciliary.tuning.sessions.loop import Loop
    from ciliary.tuning.sessions.resume import Session

_SESSION = "session"  # the session's folder, among places
# options that do nothing for what comes of a session, or of one episode
_ONCE = ("is_resumed", "is_quiet", "is_bare")
_PLACED = ("out", "save", "session", "storage", "shard", "figures", "is_animated", "n_workers", "engine", "address",
           "n_threads", "device")  # fmt: skip


class Item(Protocol):
    """An input to come."""

    @property
    def name(self) -> str:
        """Unique; names files and runs."""

    @property
    def label(self) -> str:
        """What the user called it."""


I = TypeVar("I", bound=Item)  # noqa: E741 -- the field's letter for an input
L = TypeVar("L", bound=records.Shown)
S = TypeVar("S", bound=SessionOptions)


class Workbench(ABC):
    """All that an episode is made with; one a process.

    Attributes:
        folder: of the session.
    """

    folder: Path

    @abstractmethod
    def make(self, task: Task, on_batch: Callable[[Progress], object], keep: Keep) -> Made:
        """Play, keep, draw.

        Args:
            task: what to do.
            on_batch: told of every batch; may raise ``KeyboardInterrupt`` to stop.
            keep: writes a record down, before anything is drawn.
        """

    def do(self, task: Task, *, on_batch: Callable[[Progress], object], keep: Keep) -> Result:
        """:meth:`make` it. Of an interrupted episode what there is; an error is returned, not raised."""

        def keep_new(record: Mapping[str, Any]) -> None:
            if task.is_news(record):
                keep(record)

        try:
            return self.make(task, on_batch, keep_new)
        except EpisodeInterrupted as stop:
            so_far = records.build(task.key, stop.trace, task.shown, status="KILLED")
            return Cut(so_far, stop.trace.theta_moved)
        except Exception as error:  # noqa: BLE001 -- one input's failure is recorded, the others are played
            return error


@dataclass(frozen=True)
class Equipment(Generic[S]):
    """What a worker builds its bench from; pickled once a worker.

    Attributes:
        settings: of the session.
        folder: of the session.
        make_bench: makes a bench of these two; pickled by its name.
    """

    settings: S
    folder: Path
    make_bench: Callable[[S, Path], Workbench]

    def build(self) -> Workbench:
        """A bench of one's own."""
        return self.make_bench(self.settings, self.folder)

    @property
    def places(self) -> dict[str, Path]:
        """Folders that episodes may write to: that of the session, and those that the settings name."""
        named = {name: getattr(self.settings, name, None) for name in ("out", "save")}
        return {_SESSION: self.folder} | {name: path for name, path in named.items() if path is not None}

    def moved(self, root: Path) -> Self:
        """The same for a worker of another machine: places lie in ``root``; of the GPUs it sees it has its own."""
        places: dict[str, Any] = {name: root / name for name in self.places}
        folder = places.pop(_SESSION)
        device = "cpu" if self.settings.device == "cpu" else "auto"
        return replace(self, settings=replace(self.settings, device=device, **places), folder=folder)


def _can_be_named(task: Task) -> bool:
    """Whether an input is a file or a bundled photograph, not an image in memory."""
    return getattr(task.shown, "path", None) is not None or task.label in BUNDLED


class Job(ABC, Generic[I, L]):
    """A job, as a session knows it.

    Attributes:
        experiment: that the runs belong to (:mod:`ciliary.tuning.runs.store`).
        command: by which ``ciliary`` does it; nothing for a job that has none.
        is_disturbed: whether inputs are shown disturbed, so that an episode is called by its disturbance, too.
        settings: of the session.
        disturbances: in how many ways each input is shown.
        draws_all: whether each episode is drawn as soon as it was played.
        n_ahead: how many inputs are read while one is worked on.
    """

    experiment: str
    command: str = ""
    is_disturbed: bool = False
    disturbances: tuple[str, ...] = ("none",)
    draws_all: bool = True
    n_ahead: int = 2

    def __init__(self, settings: SessionOptions) -> None:
        self.settings = settings

    def prepare(self) -> None:
        """Open what is needed; what is missing is said before there is a session."""

    def rows(self, inputs: Sequence[I], say: Callable[[str], object]) -> list[tuple[I, Mapping[str, str]]]:
        """The shard's inputs, each with what names its files, by disturbance; ``say`` is told of other names."""
        del say
        return [(item, {"none": item.name}) for item in self.settings.own_part(inputs)]

    @abstractmethod
    def load(self, item: I) -> tuple[L, EpisodeKey]:
        """Read an input, and by what it is known again, undisturbed; in a thread beside the work.

        Raises:
            Exception: it cannot be read; it is named, and the others are played.
        """

    def has_all(self, record: Mapping[str, Any], stem: str) -> bool:
        """Whether all that is asked for of an episode that was done before is still there."""
        del record, stem
        return True

    @abstractmethod
    def run_name(self, key: EpisodeKey) -> str:
        """What an episode's run is called."""

    def params(self, key: EpisodeKey) -> dict[str, str]:
        """Parameters of an episode's run: what shaped its numbers."""
        return {"image": key.image, "seed": str(key.seed), **self.settings.numbers()}

    def again(self, task: Task | None = None) -> str:
        """The shell command that does an episode again, or all of them; nothing where none can."""
        given = [task.label] if task is not None else [*getattr(self.settings, "images", ())]
        is_there = all(isinstance(one, (str, Path)) for one in given)
        if not self.command or not is_there or (task is not None and not _can_be_named(task)):
            return ""
        left_out = _ONCE if task is None else (*_ONCE, *_PLACED)
        other: dict[str, Any] = dict.fromkeys(left_out)
        if hasattr(self.settings, "spread"):  # None is a distance, too
            other["spread"] = self.settings.spread or 0
        if task is not None and self.is_disturbed:
            other["disturbances"] = None if task.key.disturbance == "none" else (task.key.disturbance,)
        elif self.is_disturbed and self.disturbances == ("none",):
            other["disturbances"] = None
        names = {str(path): name for name, path in bundled_files().items()}
        return command_of(self.command, self.settings, [names.get(str(one), str(one)) for one in given], **other)

    @abstractmethod
    def equip(self, session: Session) -> Equipment[Any]:
        """What workers build their benches from."""

    def bench(self, session: Session) -> Workbench:
        """The bench of this process."""
        return self.equip(session).build()

    def after(self, loop: Loop[I, L], crew: Crew) -> None:
        """What is left to do when every episode is done, or a signal has come."""
