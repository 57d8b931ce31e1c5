"""A session from its opening to its end, whatever its job: each episode tracked, recorded, and drawn if it is to be."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import check_writable, write_atomically
from ciliary.tuning.runs.store import Store, StoreError, masked, open_store
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.crew import Alone, Crew, Workers
from ciliary.tuning.sessions.job import I, Job, L
from ciliary.tuning.sessions.loop import Loop
from ciliary.tuning.sessions.outcome import Display, Outcome, Told, first_line
from ciliary.tuning.sessions.ray_cluster import EngineError
from ciliary.tuning.sessions.resume import Named, Session, check_name, open_session
from ciliary.tuning.sessions.summary import keep_summary, note_of

PLAN = "plan.json"  # of a session: the inputs of all shards, so that what is missing can be named


def conduct(job: Job[I, L], inputs: Sequence[I], display: Display) -> Outcome:
    """Run a session to its end, or to the signal which stops it. Every run it opens is closed.

    Args:
        job: what is done.
        inputs: with unique names.
        display: is told of progress and problems.

    Raises:
        ValueError: if the session's name is none.
        NotWritable: results cannot be written where they are to go.
        StoreError: if the tracking store cannot be opened.
        EngineError: whoever was to do the episodes cannot, and none is done.
    """
    settings = job.settings
    check_name(settings.session_base)  # before anything is written
    for folder in settings.places:
        check_writable(folder)  # before the work, not after it
    job.prepare()
    with Stopper() as stopper:
        store = open_store(settings.out, experiment=job.experiment)
        session = begin(store, settings)
        outcome = Outcome(session.name, session.folder, store.command)
        status = "KILLED"  # until it is known better
        crew: Crew | None = None
        try:
            display.begin(session, len(settings.own_part(inputs)) * len(job.disturbances))
            _write_plan(session, job, inputs)
            crew = _crew(job, session, display, stopper)
            loop = Loop(job, session, outcome, display, stopper)
            try:
                loop.all(inputs, crew)
            except Stopped:
                outcome.is_stopped = True
            job.after(loop, crew)
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
            end(session, outcome, status, command=job.again())
    return outcome


def _crew(job: Job[I, L], session: Session, display: Display, stopper: Stopper) -> Crew:
    settings = job.settings
    if settings.engine == "ray":
        from ciliary.tuning.sessions.ray_crew import RayCrew  # the rest needs no cluster

        return RayCrew(job.equip(session), stopper, display.note)
    if settings.n_workers > 1:
        return Workers(settings.n_workers, job.equip(session), stopper, display.note)
    return Alone(job.bench(session), display.batch, stopper)


def _write_plan(session: Session, job: Job[I, L], inputs: Sequence[I]) -> None:
    plan = {
        "experiment": job.experiment,
        "shard": job.settings.shard,
        "images": [item.name for item in inputs],
        "own": [item.name for item in job.settings.own_part(inputs)],
        "disturbances": list(job.disturbances),
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


def end(session: Session, outcome: Told, status: str, *, command: str = "") -> None:
    """End the session's run with its summary. What cannot be tracked any more is a problem, not the end of results."""
    metrics = tracking.session_metrics(outcome.records, outcome.problems)
    about = note_of(session, outcome, command)
    try:
        with session.store.outage.briefly():
            try:
                keep_summary(session, outcome)
            finally:  # which frees the session's name, whatever the store says
                session.close(status, metrics=metrics, files=(session.folder / records.FILE,), description=about)
    except Exception as error:  # noqa: BLE001 -- MLflow lets its drivers' errors through
        outcome.problems.append(f"the session's run could not be ended: {first_line(error)}")
