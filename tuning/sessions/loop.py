"""The loop of a session over its inputs: what is to be done, and what is told of what was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic

from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.run import Run, let_go
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.ahead import read_ahead
from ciliary.tuning.sessions.crew import Crew
from ciliary.tuning.sessions.job import I, Item, Job, L
from ciliary.tuning.sessions.outcome import MOST_WHOLE, Display, Outcome, first_line
from ciliary.tuning.sessions.resume import Session
from ciliary.tuning.sessions.task import Cut, Result, Task


@dataclass(frozen=True)
class Place(Generic[I]):
    """Where an episode stands among the others, and what it is of."""

    i: int
    item: I
    stem: str


class Loop(Generic[I, L]):
    """The loop, with what it needs at hand."""

    def __init__(self, job: Job[I, L], session: Session, outcome: Outcome, display: Display, stopper: Stopper) -> None:
        self.job, self.session, self.outcome = job, session, outcome
        self.display, self.stopper = display, stopper
        self.file, self.outage = session.folder / records.FILE, session.store.outage
        self.known: dict[str, dict[str, Any]] = {}
        for record in records.stream(self.file):
            if record.get("status") == "FINISHED":
                is_long = len(self.known) >= MOST_WHOLE
                self.known[record["key"]] = records.without_history(record) if is_long else record
        self.places: dict[str, Place[I]] = {}
        self._runs: dict[str, Run] = {}
        self._is_cut = False

    def all(self, inputs: Sequence[I], crew: Crew) -> None:
        """Every episode of this session that is not done yet. Every run that is opened is closed.

        Raises:
            Stopped: a signal has come; what was done till then is told.
        """
        try:
            for task, result in crew.run(self._tasks(inputs)):
                self._over(task, result)
        finally:
            with self.outage.briefly():
                for run in self._runs.values():  # whatever brought us here is the news, not that the store is gone too
                    let_go(run)
            self._tell_untracked()
            self.outcome.records.sort(key=lambda record: self.places[record["key"]].i)
        if self._is_cut:
            raise Stopped

    def title(self, item: Item, key: EpisodeKey) -> str:
        """An episode as the display shows it."""
        return f"{item.name}, {key.disturbance}" if self.job.is_disturbed else item.name

    def called(self, task: Task) -> str:
        """An episode as problems name it."""
        return task.label if task.key.disturbance == "none" else f"{task.label} ({task.key.disturbance})"

    def problem(self, text: str) -> None:
        """One line about what failed: shown now, and counted in the end."""
        line = " ".join(text.split())
        self.outcome.problems.append(line)
        self.display.problem(line)

    def _tasks(self, inputs: Sequence[I]) -> Iterator[Task]:
        """Episodes to be played, each with its run open; what is done, cannot be read or is of another shard is not."""
        rows = self.job.rows(inputs, self.display.note)
        for (item, row), reading in read_ahead(rows, lambda one: self.job.load(one[0]), n=self.job.n_ahead):
            if self._is_over():
                return
            loaded = self._loaded(item, row, reading)
            for disturbance, stem in row.items() if loaded is not None else ():
                if self._is_over():
                    return
                shown, undisturbed = loaded  # type: ignore[misc]
                key = replace(undisturbed, disturbance=disturbance)
                self.places[str(key)] = Place(len(self.places), item, stem)
                self.display.episode(self.title(item, key))
                if not self._was_done_before(key, stem):
                    task = Task(item.label, shown, key, stem, self.job.draws_all, self.known.get(str(key)))
                    self._runs |= self._begun(task)
                    yield task

    def _is_over(self) -> bool:
        self._is_cut = self._is_cut or self.stopper.is_asked
        return self._is_cut

    def _loaded(
        self, item: I, row: Mapping[str, str], reading: Future[tuple[L, EpisodeKey]]
    ) -> tuple[L, EpisodeKey] | None:
        try:
            loaded = reading.result()
        except Exception as error:  # noqa: BLE001 -- one that cannot be read is named, the others are played
            is_named = isinstance(error, UnreadableImage) or str(error).startswith(item.label)
            self.problem(str(error) if is_named else f"{item.label}: {error}")
            with suppress(Exception):  # of a full disk
                records.append(self.file, records.build_unread(item.name, item.label, error))
            for _ in row:
                self.display.done(was_done_before=False)
            return None
        for note in loaded[0].notes:
            self.display.note(f"{item.label}: {note}")
        return loaded

    def _begun(self, task: Task) -> dict[str, Run]:
        """The open run of an episode by its key; nothing if the store has none for us: the result is worth more."""
        key = task.key
        name, params = self.job.run_name(key), self.job.params(key)
        try:
            with self.outage.watched():
                return {str(key): self.session.episode(name=name, tags={"key": key, **asdict(key)}, params=params)}
        except Exception as error:  # noqa: BLE001 -- MLflow lets its drivers' errors through
            self._untracked(task, error)
            return {}

    def _over(self, task: Task, result: Result) -> None:
        run = self._runs.pop(str(task.key), None)
        try:
            if isinstance(result, Cut):
                self._is_cut = True
                if run is not None and result.record is not None:
                    with self.outage.watched():
                        tracking.track_stopped(run, result.record, result.theta or {})
            elif isinstance(result, Exception):
                self._failed(task, result, run)
            else:
                self.outcome.add(result.record)
                for problem in result.problems:
                    self.problem(f"{self.called(task)}: {problem}")
                if run is not None:
                    self.outcome.run_ids[str(task.key)] = run.run_id
                    with self.outage.watched():
                        tracking.track_episode(run, result, command=self.job.again(task))
        except Exception as error:  # noqa: BLE001 -- of a store that is gone; the record is kept
            self._untracked(task, error)
            with self.outage.briefly():
                let_go(run, error)
        finally:
            with self.outage.briefly():
                let_go(run)
        if not isinstance(result, Cut):
            self.display.done(was_done_before=False)

    def _failed(self, task: Task, error: Exception, run: Run | None) -> None:
        self.problem(f"{self.called(task)}: {first_line(error)}")
        with suppress(Exception):  # of a full disk: said above
            records.append(self.file, records.build_failed(task.key, error, task.shown))
        with self.outage.briefly():
            let_go(run, error)

    def _was_done_before(self, key: EpisodeKey, stem: str) -> bool:
        """Whether an episode ended well in an earlier start, and all that is asked for is still there."""
        run_id = self.session.done.get(str(key))
        if run_id is None:
            return False
        record = self.known.get(str(key)) or self.session.record_of(run_id)
        if record is None or not self.job.has_all(record, stem):
            return False
        self.outcome.add(record)
        self.outcome.run_ids[str(key)] = run_id
        self.outcome.n_before += 1
        self.display.done(was_done_before=True)
        return True

    def _untracked(self, task: Task, error: Exception) -> None:
        if self.outage.is_news():
            self.problem(f"{self.called(task)}: not tracked: {first_line(error)}")

    def _tell_untracked(self) -> None:
        n, self.outage.n_untold = self.outage.n_untold, 0
        if n:
            what = "1 more episode was" if n == 1 else f"{n} more episodes were"
            self.problem(f"{what} not tracked; what is done is in {self.file}, and --resume tracks it")
