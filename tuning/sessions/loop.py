"""The loop of a session over images and disturbances: what is to be done, and what is told of what was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ciliary.envs.data.reading import Photograph, UnreadableImage
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import plan_stems
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.run import Run, let_go
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.ahead import read_ahead
from ciliary.tuning.sessions.bench import Cut, Result, Task
from ciliary.tuning.sessions.crew import Crew
from ciliary.tuning.sessions.episode import Made
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.outcome import MOST_WHOLE, Display, Outcome, first_line
from ciliary.tuning.sessions.resume import Session
from ciliary.tuning.sessions.settings import SessionSettings


@dataclass(frozen=True)
class _Place:
    """Where an episode stands among the others, and what it is of."""

    i: int
    item: Input
    stem: str


class Loop:
    """The loop, with what it needs at hand."""

    def __init__(
        self, settings: SessionSettings, session: Session, outcome: Outcome, display: Display, stopper: Stopper
    ) -> None:
        self.settings, self.session, self.outcome = settings, session, outcome
        self.display, self.stopper = display, stopper
        self.file, self.outage = session.folder / records.FILE, session.store.outage
        self._fingerprint = settings.fingerprint()
        self.known: dict[str, dict[str, Any]] = {}
        for record in records.stream(self.file):
            if record.get("status") == "FINISHED":
                is_long = len(self.known) >= MOST_WHOLE
                self.known[record["key"]] = records.without_history(record) if is_long else record
        self._places: dict[str, _Place] = {}
        self._runs: dict[str, Run] = {}
        self._is_cut = False

    def all(self, inputs: Sequence[Input], crew: Crew) -> None:
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
            self.outcome.records.sort(key=lambda record: self._places[record["key"]].i)
        if self._is_cut:
            raise Stopped

    def draw_best(self, n: int, crew: Crew) -> None:
        """Draw the n episodes that gained most, of those that are done, whoever did them."""
        best = [record["key"] for record in tracking.by_gain(self.outcome.records)[:n]]
        whole = {record["key"]: record for record in self.outcome.records if "history" in record}
        if not whole.keys() >= set(best):
            whole |= {record["key"]: record for record in records.stream(self.file) if record["key"] in set(best)}
        wanted = [whole[key] for key in best if "history" in whole.get(key, {})]
        for task, result in crew.run(self._drawings(wanted), is_stoppable=False):
            if isinstance(result, Made):
                self._drawn(task, result)
            elif isinstance(result, Exception):
                self._problem(f"{task.label} ({task.key.disturbance}): not drawn: {first_line(result)}")

    def _tasks(self, inputs: Sequence[Input]) -> Iterator[Task]:
        """Episodes to be played, each with its run open; what is done, cannot be read or is of another shard is not."""
        names, save = [i.name for i in inputs], self.settings.save
        stems = plan_stems(names, self.settings.shown_as, save)
        planned = list(zip(inputs, plan_stems(names, self.settings.shown_as), stems, strict=True))
        own = self.settings.own_part(planned)
        for _, wanted, got in own:
            for disturbance in (d for d in wanted if wanted[d] != got[d]):
                page = f"{save}/{wanted[disturbance]}.json"
                self.display.note(f"{page} or a map beside it is not ours: saved as {got[disturbance]}.* instead")
        rows = [(item, got) for item, _, got in own]
        for (item, row), reading in read_ahead(rows, lambda one: _load(one[0])):
            if self._is_over():
                return
            loaded = self._loaded(item, row, reading)
            for disturbance, stem in row.items() if loaded is not None else ():
                if self._is_over():
                    return
                photograph, pixels = loaded  # type: ignore[misc]
                key = self.settings.key(item.name, pixels, disturbance, settings=self._fingerprint)
                self._places[str(key)] = _Place(len(self._places), item, stem)
                self.display.episode(f"{item.name}, {disturbance}")
                if not self._was_done_before(key, stem):
                    self._runs |= self._begun(item, key)
                    yield Task(item.label, photograph, key, stem, self.settings.draws_all, self.known.get(str(key)))

    def _is_over(self) -> bool:
        self._is_cut = self._is_cut or self.stopper.is_asked
        return self._is_cut

    def _loaded(
        self, item: Input, row: Mapping[str, str], reading: Future[tuple[Photograph, str]]
    ) -> tuple[Photograph, str] | None:
        try:
            loaded = reading.result()
        except (ValueError, OSError) as error:
            is_named = isinstance(error, UnreadableImage)  # its message begins with the path
            self._problem(str(error) if is_named else f"{item.label}: {error}")
            for _ in row:
                self.display.done(was_done_before=False)
            return None
        for note in loaded[0].notes:
            self.display.note(f"{item.label}: {note}")
        return loaded

    def _begun(self, item: Input, key: EpisodeKey) -> dict[str, Run]:
        """The open run of an episode by its key; nothing if the store has none for us: the result is worth more."""
        name = f"{item.name} {key.disturbance} {self.settings.controller}"
        params = tracking.episode_params(self.settings, key)
        try:
            with self.outage.watched():
                return {str(key): self.session.episode(name=name, tags={"key": key, **asdict(key)}, params=params)}
        except Exception as error:  # noqa: BLE001 -- MLflow lets its drivers' errors through
            self._untracked(f"{item.label} ({key.disturbance})", error)
            return {}

    def _over(self, task: Task, result: Result) -> None:
        run, label = self._runs.pop(str(task.key), None), f"{task.label} ({task.key.disturbance})"
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
                    self._problem(f"{label}: {problem}")
                if run is not None:
                    self.outcome.run_ids[str(task.key)] = run.run_id
                    with self.outage.watched():
                        tracking.track_episode(run, result)
        except Exception as error:  # noqa: BLE001 -- of a store that is gone; the record is kept
            self._untracked(label, error)
            with self.outage.briefly():
                let_go(run, error)
        finally:
            with self.outage.briefly():
                let_go(run)
        if not isinstance(result, Cut):
            self.display.done(was_done_before=False)

    def _failed(self, task: Task, error: Exception, run: Run | None) -> None:
        self._problem(f"{task.label} ({task.key.disturbance}): {first_line(error)}")
        with suppress(Exception):  # of a full disk: said above
            records.append(self.file, records.build_failed(task.key, error, task.photograph))
        with self.outage.briefly():
            let_go(run, error)

    def _was_done_before(self, key: EpisodeKey, stem: str) -> bool:
        """Whether an episode ended well in an earlier start, and all that is asked for is still there."""
        run_id = self.session.done.get(str(key))
        if run_id is None:
            return False
        record = self.known.get(str(key)) or self.session.record_of(run_id)
        if record is None:
            return False
        if self.settings.save is not None:
            page = self.settings.save / f"{stem}.json"
            if record.get("files", {}).get("json") != str(page) or not page.exists():
                return False
        self.outcome.add(record)
        self.outcome.run_ids[str(key)] = run_id
        self.outcome.n_before += 1
        self.display.done(was_done_before=True)
        return True

    def _drawings(self, wanted: Sequence[Mapping[str, Any]]) -> Iterator[Task]:
        for record in wanted:
            place = self._places[record["key"]]
            key = EpisodeKey(**{name: record[name] for name in EpisodeKey.__dataclass_fields__})
            self.display.episode(f"drawing {place.item.name}, {key.disturbance}")
            try:
                photograph = place.item.load()
            except (ValueError, OSError) as error:
                self._problem(f"{place.item.label}: not drawn: {error}")
                continue
            yield Task(place.item.label, photograph, key, place.stem, known=record, is_played=False)

    def _drawn(self, task: Task, made: Made) -> None:
        for problem in made.problems:
            self._problem(f"{task.label} ({task.key.disturbance}): {problem}")
        record = next(r for r in self.outcome.records if r["key"] == str(task.key))
        record["files"] = made.record["files"]
        run_id = self.outcome.run_ids.get(str(task.key))
        try:
            if run_id is not None:
                with self.outage.watched():
                    tracking.track_figures(Run.of(self.session.store, run_id), made)
        except Exception as error:  # noqa: BLE001 -- of a store that is gone; the figures are there
            self._problem(f"{task.label} ({task.key.disturbance}): figures not tracked: {first_line(error)}")

    def _untracked(self, label: str, error: Exception) -> None:
        if self.outage.is_news():
            self._problem(f"{label}: not tracked: {first_line(error)}")

    def _tell_untracked(self) -> None:
        n, self.outage.n_untold = self.outage.n_untold, 0
        if n:
            what = "1 more episode was" if n == 1 else f"{n} more episodes were"
            self._problem(f"{what} not tracked; what is done is in {self.file}, and --resume tracks it")

    def _problem(self, text: str) -> None:
        line = " ".join(text.split())
        self.outcome.problems.append(line)
        self.display.problem(line)


def _load(item: Input) -> tuple[Photograph, str]:
    """The photograph, and the fingerprint of its pixels."""
    photograph = item.load()
    return photograph, digest(np.ascontiguousarray(photograph.image).tobytes())
