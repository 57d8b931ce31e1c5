"""The session as a tracked parent run: which name it gets, what of it is already done, and how it ends."""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.store import Store
from ciliary.tuning.runs.tracking import TAG, EpisodeRun, write_batch
from ciliary.tuning.sessions.settings import SessionSettings

_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KIND, _NAME, _KEY = f"{TAG}kind", f"{TAG}session", f"{TAG}key"


def check_name(name: str) -> str:
    """The name, or ``ValueError``: it names a folder, a tag and a lock, so it must be plain."""
    if not _LEGAL.fullmatch(name):
        raise ValueError(f"expected a session name of letters, digits, '.', '_', '-' (at most 100), got {name!r}")
    return name


class Session:
    """An open session. Make it with :func:`open_session`; end it with :meth:`close`.

    Attributes:
        name: the name it got; the folder ``out/<name>`` belongs to it.
        run_id: its run, the parent of its episodes.
        done: keys of the episodes that ended well before (key -> run id).
        n_killed: runs that a killed process had left RUNNING, closed as KILLED by us.
        is_continued: whether it goes on with an earlier, unfinished session.
    """

    def __init__(self, store: Store, name: str, run_id: str, lock: FileLock, *, folder: Path, is_continued: bool):
        self.store, self.name, self.run_id, self.folder = store, name, run_id, folder
        self.is_continued = is_continued
        self.n_killed = 0
        self.done: dict[str, str] = {}
        self._lock = lock

    def episode(self, *, name: str, tags: Mapping[str, Any]) -> EpisodeRun:
        """Open the run of one episode under this session."""
        return EpisodeRun.open(self.store, self.run_id, name=name, tags={"session": self.name, **tags})

    def record_of(self, run_id: str) -> dict[str, Any] | None:
        """The record kept with an episode's run, or None when it cannot be had."""
        return record_of(self.store, run_id)

    def close(self, status: str, *, metrics: Mapping[str, float], files: tuple[Path, ...] = ()) -> None:
        """End the session's run (FINISHED, FAILED or KILLED), with its summary, and free its name."""
        try:
            write_batch(self.store, self.run_id, ((k, float(v), 0) for k, v in metrics.items()), {})
            for path in files:
                if path.exists():
                    self.store.client.log_artifact(self.run_id, str(path))
        finally:
            self.store.client.set_terminated(self.run_id, status)
            self._lock.release()


def open_session(store: Store, settings: SessionSettings) -> Session:
    """Open the session of this name, or the next free name.

    * The name is new: a new session.
    * Its last run was stopped (KILLED, FAILED, or left RUNNING by a process that is no more): the session goes on; runs
      left RUNNING are closed as KILLED and episodes which ended well are not done again.
    * It is complete: a new session ``<name>-2`` (``-3``, ...), unless ``settings.is_resumed``.
    * Another living process works on it: likewise the next name, since two writers would spoil one session.

    Raises:
        ValueError: if the name cannot name a folder.
    """
    base = check_name(settings.session_base)
    n = 1
    while True:
        name = base if n == 1 else f"{base}-{n}"
        n += 1
        folder = settings.out / name
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        earlier = _search(store, f"tags.`{_NAME}` = '{name}' and tags.`{_KIND}` = 'session'")
        if not earlier:
            return _begin(store, name, lock, settings=settings, folder=folder)
        run = earlier[0]
        if run.info.status == "FINISHED" and not settings.is_resumed:
            lock.release()
            continue
        return _continue(store, name, run, lock, folder=folder)


def record_of(store: Store, run_id: str) -> dict[str, Any] | None:
    """The record kept with an episode's run, or None when it cannot be had."""
    from mlflow.exceptions import MlflowException

    try:
        with tempfile.TemporaryDirectory() as folder:
            path = store.client.download_artifacts(run_id, "episode.json", folder)
            record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (MlflowException, OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def finished_episodes(store: Store, is_wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """The records of all episodes in the store that ended well, of the sessions wanted by name, oldest first."""
    for run in reversed(_search(store, f"tags.`{_KIND}` = 'episode' and attributes.status = 'FINISHED'")):
        if is_wanted(run.data.tags.get(_NAME, "")) and (record := record_of(store, run.info.run_id)) is not None:
            yield record


def _begin(store: Store, name: str, lock: FileLock, *, settings: SessionSettings, folder: Path) -> Session:
    tags = {
        _KIND: "session",
        _NAME: name,
        f"{TAG}process": f"{platform.node()}:{os.getpid()}",
        **{f"{TAG}version.{package}": version for package, version in versions().items()},
    }
    run = store.client.create_run(store.experiment_id, run_name=name, tags=tags)
    write_batch(store, run.info.run_id, [], settings.as_params())
    return Session(store, name, run.info.run_id, lock, folder=folder, is_continued=False)


def _continue(store: Store, name: str, run, lock: FileLock, *, folder: Path) -> Session:
    session = Session(store, name, run.info.run_id, lock, folder=folder, is_continued=True)
    for child in _search(store, f"tags.`mlflow.parentRunId` = '{session.run_id}'"):
        if child.info.status in ("RUNNING", "SCHEDULED"):
            store.client.set_terminated(child.info.run_id, "KILLED")
            session.n_killed += 1
        elif child.info.status == "FINISHED" and _KEY in child.data.tags:
            session.done.setdefault(child.data.tags[_KEY], child.info.run_id)
    if run.info.status == "RUNNING":  # say what became of the killed process before we go on under its run
        store.client.set_terminated(session.run_id, "KILLED")
        session.n_killed += 1
    store.client.update_run(session.run_id, status="RUNNING")
    store.client.set_tag(session.run_id, f"{TAG}process", f"{platform.node()}:{os.getpid()}")
    return session


def _search(store: Store, condition: str) -> list:
    """All runs which meet a condition, newest first, page by page."""
    runs: list = []
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            condition,
            order_by=["attributes.start_time DESC"],
            max_results=1000,
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs
