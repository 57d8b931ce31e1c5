"""A session in which each input is one episode: tracked, recorded, taken up again and closed alike, whatever is played.

``focus`` and ``gaze`` are such jobs; a job says how an input is read, known again and made (:class:`Play`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rich.console import Console

from ciliary.agents.episode import EpisodeInterrupted
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import check_writable
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.run import Run, let_go
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.episode import Made
from ciliary.tuning.sessions.outcome import Outcome
from ciliary.tuning.sessions.resume import Named, Session, check_name
from ciliary.tuning.sessions.session import begin, end


class OneEach(Named, Protocol):
    """Settings of such a job: they name a session, and may ask for no bar."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is shown."""


class Item(Protocol):
    """An input to come."""

    @property
    def name(self) -> str:
        """Unique; names files and runs."""

    @property
    def label(self) -> str:
        """What the user called it."""


I = TypeVar("I", bound=Item)  # noqa: E741 -- the field's letter for an input
L = TypeVar("L")


class Play(ABC, Generic[I, L]):
    """A job, as a session knows it.

    Attributes:
        experiment: that the runs belong to (:mod:`ciliary.tuning.runs.store`).
        unit: what the inputs are, for the bar.
        what: in the name of a run, after the input's.
        numbers: settings that shape an episode's numbers, the parameters of its run.
    """

    experiment: str
    unit: str
    what: str
    numbers: Mapping[str, str]

    @abstractmethod
    def load(self, item: I) -> L:
        """Read it; ``ValueError`` or ``OSError`` where it cannot be read."""

    @abstractmethod
    def key(self, item: I, loaded: L) -> EpisodeKey:
        """By what an episode is known again."""

    @abstractmethod
    def make(self, item: I, loaded: L, key: EpisodeKey, *, folder: Path, check: Callable[[], object]) -> Made:
        """Play and draw it; ``check`` is called now and then, and stops it."""


def run_one_each(settings: OneEach, inputs: Sequence[I], play: Play[I, L], *, say: Callable[[str], object]) -> Outcome:
    """Every input in turn; a broken one is named, and the others are played. Every run that is opened is closed.

    Raises:
        ValueError: the session's name is none.
        NotWritable, StoreError: nothing can be kept.
    """
    check_name(settings.session_base)  # before anything is written
    check_writable(settings.out)
    store = open_store(settings.out, experiment=play.experiment)
    session = begin(store, settings)
    outcome = Outcome(session.name, session.folder, store.command)
    status = "FAILED"
    try:
        with Stopper() as stopper, Bar(len(inputs), unit=play.unit, is_quiet=settings.is_quiet) as bar:
            for i, item in enumerate(inputs):
                stopper.check()
                bar.move(i, title=item.name)
                _one(item, play, session, outcome, say, stopper)
            bar.move(len(inputs))
        status = "FINISHED" if outcome.records else "FAILED"
    except Stopped:
        outcome.is_stopped, status = True, "KILLED"
    finally:
        end(session, outcome, status)
    return outcome


def _one(
    item: I, play: Play[I, L], session: Session, outcome: Outcome, say: Callable[[str], object], stopper: Stopper
) -> None:
    try:
        loaded = play.load(item)
        key = play.key(item, loaded)
    except Exception as error:  # noqa: BLE001 -- one that cannot be read is named, the others are played
        _problem(outcome, say, failure(item.label, error))
        return
    if (run_id := session.done.get(str(key))) is not None and (earlier := session.record_of(run_id)) is not None:
        outcome.records.append(earlier)
        outcome.run_ids[str(key)] = run_id
        outcome.n_before += 1
        return
    run: Run | None = None
    try:
        params = {"image": key.image, "seed": str(key.seed), **play.numbers}
        run = session.episode(name=f"{item.name} {play.what}", tags={"key": key, **asdict(key)}, params=params)
        made = play.make(item, loaded, key, folder=session.folder, check=stopper.check)
        records.append(session.folder / records.FILE, made.record)
        outcome.records.append(made.record)
        outcome.run_ids[str(key)] = run.run_id
        for line in made.problems:
            _problem(outcome, say, f"{item.label}: {line}")
        tracking.track_episode(run, made)
    except EpisodeInterrupted as stop:
        raise Stopped from stop
    except Exception as error:  # noqa: BLE001 -- of a store that is gone, a full disk: the others are played
        _problem(outcome, say, failure(item.label, error))
        let_go(run, error)
    finally:
        let_go(run)


def tell_outcome(outcome: Outcome, titles: Mapping[str, str]) -> None:
    """Where the files of these roles are, each under its title, and how the runs are seen; on stdout."""
    stdout = Console(highlight=False, soft_wrap=True)
    width = max(8, *map(len, titles.values())) + 1
    for record in outcome.records:
        for role, title in titles.items():
            if role in record["files"]:
                stdout.print(f"{title:{width}}{record['files'][role]}", markup=False)
    state = "stopped" if outcome.is_stopped else "done"
    stdout.print(f"session {outcome.name} {state}: {len(outcome.records)} episodes, {len(outcome.problems)} failed")
    stdout.print(f"see the runs with:\n  {outcome.command}", markup=False)


def _problem(outcome: Outcome, say: Callable[[str], object], line: str) -> None:
    outcome.problems.append(line)
    say(line)
