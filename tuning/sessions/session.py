"""A session: many images under many disturbances, one controller, each episode tracked, recorded, drawn and saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
from optuna.storages import BaseStorage

from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import check_writable, write_atomically
from ciliary.tuning.runs.store import Store, StoreError, masked, open_store
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.bench import Bench
from ciliary.tuning.sessions.crew import Alone, Crew, Equipment, Workers
from ciliary.tuning.sessions.experience import with_memories
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.loop import Loop
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.outcome import Display, Outcome, first_line
from ciliary.tuning.sessions.ray_cluster import EngineError
from ciliary.tuning.sessions.resume import Named, Session, open_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import open_storage

PLAN = "plan.json"  # of a session: the images of all shards, so that what is missing can be named


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
        EngineError: whoever was to do the episodes cannot, and none is done.
    """
    make_controller(settings)  # says now what is wrong with it
    for folder in (settings.out, settings.save):
        if folder is not None:
            check_writable(folder)  # before the work, not after it
    storage = None if settings.storage is None else open_storage(settings.storage)
    with Stopper() as stopper:
        store = open_store(settings.out)
        session = begin(store, settings)
        outcome = Outcome(session.name, session.folder, store.command)
        status = "KILLED"  # until it is known better
        crew: Crew | None = None
        try:
            display.begin(session, len(settings.own_part(inputs)) * len(settings.shown_as))
            _write_plan(session, settings, inputs)
            equipment = Equipment(settings, make_env, session.folder, session.searches_all)
            crew = _crew(equipment, storage, store, display, stopper)
            loop = Loop(settings, session, outcome, display, stopper)
            try:
                loop.all(inputs, crew)
            except Stopped:
                outcome.is_stopped = True
                if not settings.n_best:
                    raise
            if settings.n_best:
                loop.draw_best(settings.n_best, crew)
            if not outcome.is_stopped:
                status = "FINISHED" if outcome.records else "FAILED"
        except Stopped:
            outcome.is_stopped = True
        except EngineError as error:  # what is done is done; the session goes on when the command is given again
            status = "FAILED"
            if not outcome.records:
                raise
            outcome.problems.append(str(error))
            display.problem(str(error))
        except Exception:
            status = "FAILED"
            raise
        finally:
            if crew is not None:
                crew.close()
            end(session, outcome, status)
    return outcome


def _crew(equipment: Equipment, storage: BaseStorage | None, store: Store, display: Display, stopper: Stopper) -> Crew:
    settings = equipment.settings
    if settings.engine == "ray":
        from ciliary.tuning.sessions.ray_crew import RayCrew  # the rest needs no cluster

        return RayCrew(equipment, stopper, display.note)
    if settings.n_workers > 1:
        return Workers(settings.n_workers, equipment, stopper)
    return Alone(_bench(equipment, storage, store), display.batch, stopper)


def _bench(equipment: Equipment, storage: BaseStorage | None, store: Store) -> Bench:
    """The bench of this process, whose controller remembers what lies in the session's output folder."""
    bench = equipment.build(storage)
    bench.controller = with_memories(bench.controller, equipment.settings, store, bench.table)
    return bench


def _write_plan(session: Session, settings: SessionSettings, inputs: Sequence[Input]) -> None:
    plan = {
        "shard": settings.shard,
        "images": [item.name for item in inputs],
        "own": [item.name for item in settings.own_part(inputs)],
        "disturbances": list(settings.shown_as),
    }
    write_atomically(session.folder / PLAN, json.dumps(plan, indent=1, ensure_ascii=False).encode() + b"\n")


def begin(store: Store, settings: Named) -> Session:
    """Open the session, or ``StoreError`` in one line; ``ValueError`` where its name is none."""
    try:
        return open_session(store, settings)
    except ValueError:
        raise
    except Exception as error:
        raise StoreError(f"cannot open a session in {masked(store.uri)}: {first_line(error)}") from error


def end(session: Session, outcome: Outcome, status: str) -> None:
    """End the session's run with its summary. What cannot be tracked any more is a problem, not the end of results."""
    best = tracking.by_gain(outcome.records)
    about = tracking.describe_session(outcome.records, outcome.run_ids, outcome.problems, session.store.experiment_id)
    metrics = tracking.session_metrics(outcome.records, outcome.problems)
    try:
        with session.store.outage.briefly():
            try:
                if len(best) > 1:
                    ids = [outcome.run_ids.get(record["key"], "") for record in (best[0], best[-1])]
                    session.run.tag(best_episode=ids[0], worst_episode=ids[1])
            finally:  # which frees the session's name, whatever the store says
                session.close(status, metrics=metrics, files=(session.folder / records.FILE,), description=about)
    except Exception as error:  # noqa: BLE001 -- MLflow lets its drivers' errors through
        outcome.problems.append(f"the session's run could not be ended: {first_line(error)}")
