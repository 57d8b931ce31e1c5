"""A session: many images under many disturbances, one controller, each episode tracked, recorded, drawn and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from optuna.storages import BaseStorage

from ciliary.agents.base import ControllerBase
from ciliary.agents.episode import EpisodeInterrupted, Progress
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.cortex.table import ParameterTable
from ciliary.envs.data.reading import Photograph, UnreadableImage
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import check_writable, plan_stems
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.run import Run
from ciliary.tuning.runs.store import Store, StoreError, masked, open_store
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.episode import Made, make
from ciliary.tuning.sessions.experience import with_memories, with_memory
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.playing import play
from ciliary.tuning.sessions.resume import Named, Session, open_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import open_storage, open_study


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


@dataclass
class Outcome:
    """What came of a session.

    Attributes:
        name, folder: of the session; ``folder`` holds its records and figures.
        command: shows its runs.
        records: of the episodes which ended well, in the order of the images; those of an earlier start included.
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

    @property
    def exit_code(self) -> int:
        """0 all well, 1 nothing could be done, 3 some inputs failed, 130 stopped by a signal."""
        if self.is_stopped:
            return STOPPED
        if not self.records:
            return NOTHING
        return SOME_FAILED if self.problems else ALL_WELL


def run_session(
    settings: SessionSettings,
    inputs: Sequence[Input],
    *,
    make_env: Callable[..., gym.Env[Any, Any]],
    display: Display,
) -> Outcome:
    """Run a session to its end, or to the signal which stops it. Every run it opens is closed.

    Args:
        settings: what to do.
        inputs: the images, with unique names.
        make_env: makes the environment of the settings, once; told ``searches_all=True`` for a session of version 0.1.
        display: is told of progress and problems.

    Raises:
        ValueError: if the controller or the session's name is none.
        NotWritable: results cannot be written where they are to go.
        StoreError, StorageError: if tracking store or study storage cannot be opened.
    """
    controller = make_controller(settings)
    for folder in (settings.out, settings.save):
        if folder is not None:
            check_writable(folder)  # before the work, not after it
    storage = None if settings.storage is None else open_storage(settings.storage)
    with Stopper() as stopper:
        store = open_store(settings.out)
        session = begin(store, settings)
        outcome = Outcome(session.name, session.folder, store.command)
        status = "KILLED"  # until it is known better
        try:
            display.begin(session, len(inputs) * len(settings.shown_as))
            env = make_env(settings, searches_all=True) if session.searches_all else make_env(settings)
            controller = with_memories(controller, settings, store, env.get_wrapper_attr("parameters"))
            run = _Loop(settings, session, outcome, display, stopper, env, controller, storage)
            run.all(inputs)
            status = "FINISHED" if outcome.records else "FAILED"
        except Stopped:
            outcome.is_stopped = True
        except Exception:
            status = "FAILED"
            raise
        finally:
            end(session, outcome, status)
    return outcome


def begin(store: Store, settings: Named) -> Session:
    """Open the session, or ``StoreError`` in one line; ``ValueError`` where its name is none."""
    try:
        return open_session(store, settings)
    except ValueError:
        raise
    except Exception as error:
        raise StoreError(f"cannot open a session in {masked(store.uri)}: {_first_line(error)}") from error


def end(session: Session, outcome: Outcome, status: str) -> None:
    """End the session's run with its summary. What cannot be tracked any more is a problem, not the end of results."""
    best = tracking.by_gain(outcome.records)
    try:
        if len(best) > 1:
            ids = [outcome.run_ids.get(record["key"], "") for record in (best[0], best[-1])]
            session.run.tag(best_episode=ids[0], worst_episode=ids[1])
        session.close(
            status,
            metrics=tracking.session_metrics(outcome.records, outcome.problems),
            files=(session.folder / records.FILE,),
            description=tracking.describe_session(
                outcome.records, outcome.run_ids, outcome.problems, session.store.experiment_id
            ),
        )
    except Exception as error:  # noqa: BLE001 -- MLflow lets its drivers' errors through
        outcome.problems.append(f"the session's run could not be ended: {_first_line(error)}")


class _Loop:
    """The loop over images and disturbances, with what it needs at hand."""

    def __init__(
        self,
        settings: SessionSettings,
        session: Session,
        outcome: Outcome,
        display: Display,
        stopper: Stopper,
        env: gym.Env[Any, Any],
        controller: ControllerBase,
        storage: BaseStorage | None,
    ):
        self.settings, self.session, self.outcome = settings, session, outcome
        self.display, self.stopper = display, stopper
        self.env, self.controller, self.storage = env, controller, storage
        self.table: ParameterTable = env.get_wrapper_attr("parameters")  # the cortex's or the perceiver's columns
        self.file = session.folder / records.FILE
        self.known = {r["key"]: r for r in records.read(self.file) if r.get("status") == "FINISHED"}

    def all(self, inputs: Sequence[Input]) -> None:
        names, save = [i.name for i in inputs], self.settings.save
        stems = plan_stems(names, self.settings.shown_as, save)
        for wanted, got in zip(plan_stems(names, self.settings.shown_as), stems, strict=True):
            for disturbance in (d for d in wanted if wanted[d] != got[d]):
                page = f"{save}/{wanted[disturbance]}.json"
                self.display.note(f"{page} or a map beside it is not ours: saved as {got[disturbance]}.* instead")
        for item, row in zip(inputs, stems, strict=True):
            self.stopper.check()
            try:
                photograph = item.load()
            except (ValueError, OSError) as error:
                is_named = isinstance(error, UnreadableImage)  # its message begins with the path
                self._problem(str(error) if is_named else f"{item.label}: {error}")
                for _ in row:
                    self.display.done(was_done_before=False)
                continue
            for note in photograph.notes:
                self.display.note(f"{item.label}: {note}")
            pixels = digest(np.ascontiguousarray(photograph.image).tobytes())
            for disturbance, stem in row.items():
                self.stopper.check()
                self._one(item, photograph, self.settings.key(item.name, pixels, disturbance), stem)

    def _one(self, item: Input, photograph: Photograph, key: EpisodeKey, stem: str) -> None:
        earlier = self._done_before(key, stem)
        self.display.episode(f"{item.name}, {key.disturbance}")
        if earlier is not None:
            self.outcome.records.append(earlier)
            self.outcome.run_ids[str(key)] = self.session.done[str(key)]
            self.outcome.n_before += 1
            self.display.done(was_done_before=True)
            return
        run: Run | None = None
        try:
            name = f"{item.name} {key.disturbance} {self.settings.controller}"
            params = tracking.episode_params(self.settings, key)
            run = self.session.episode(name=name, tags={"key": key, **asdict(key)}, params=params)
            made = self._play(photograph, key, stem)
            records.append(self.file, made.record)
            self.controller = with_memory(self.controller, made.record, self.table)
            self.outcome.records.append(made.record)
            self.outcome.run_ids[str(key)] = run.run_id
            for problem in made.problems:
                self._problem(f"{item.label} ({key.disturbance}): {problem}")
            tracking.track_episode(run, made)
        except EpisodeInterrupted as stop:
            if run is not None:
                made_so_far = records.build(key, stop.trace, photograph, status="KILLED")
                tracking.track_stopped(run, made_so_far, stop.trace.theta_moved)
            raise Stopped from stop
        except Exception as error:  # noqa: BLE001 -- one image's failure is recorded, the others are played
            self._problem(f"{item.label} ({key.disturbance}): {_first_line(error)}")
            with suppress(Exception):  # of a full disk, a store that is gone: said above
                records.append(self.file, records.build_failed(key, error, photograph))
                if run is not None:
                    run.fail(error)
        finally:
            with suppress(Exception):  # whatever brought us here is the news, not that the store is gone as well
                if run is not None:
                    run.kill()
        self.display.done(was_done_before=False)

    def _play(self, photograph: Photograph, key: EpisodeKey, stem: str) -> Made:
        settings = self.settings
        played = play(
            self.env,
            self.controller,
            photograph,
            key.disturbance,
            seed=settings.seed,
            n_trials=settings.n_trials,
            guard=Guard() if settings.use_guard else None,
            looking=Looking() if settings.is_integrated else None,
            with_holding=True,
            study=open_study(self.storage, settings, self.controller, key, self.table),
            on_batch=self._on_batch,
        )
        return make(
            played,
            photograph,
            key,
            settings,
            env=self.env,
            controller=self.controller,
            folder=self.session.folder,
            stem=stem,
        )

    def _on_batch(self, progress: Progress) -> None:
        self.display.batch(progress)
        self.stopper.check()

    def _done_before(self, key: EpisodeKey, stem: str) -> dict[str, Any] | None:
        """The record of an episode that ended well in an earlier start, if all that is asked for is still there."""
        run_id = self.session.done.get(str(key))
        if run_id is None:
            return None
        record = self.known.get(str(key)) or self.session.record_of(run_id)
        if record is not None and self.settings.save is not None:
            page = self.settings.save / f"{stem}.json"
            if record.get("files", {}).get("json") != str(page) or not page.exists():
                return None
        return record

    def _problem(self, text: str) -> None:
        line = " ".join(text.split())
        self.outcome.problems.append(line)
        self.display.problem(line)


def _first_line(error: BaseException) -> str:
    """``Type: first line``; drivers of databases add pages."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
