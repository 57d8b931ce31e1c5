"""The session as a tracked parent run: which name it gets, what of it is already done, and how it ends."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from ciliary.tuning.runs.record import FILE
from ciliary.tuning.runs.run import TAG, Run, at
from ciliary.tuning.runs.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run as Stored

_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOCK = ".lock"
_FROZEN = f"{TAG}inert_is_frozen"  # sessions of version 0.1 searched parameters that can do nothing, and go on so
_KIND, _NAME, _KEY, _PROCESS = f"{TAG}kind", f"{TAG}session", f"{TAG}key", f"{TAG}process"
_ASKED = f"{TAG}asked"  # sessions of version 0.2.0 and before have none


class Named(Protocol):
    """What of a job's settings names a session and says where it goes."""

    @property
    def session_base(self) -> str:
        """The name asked for, or one of the job's own."""

    @property
    def out(self) -> Path:
        """Folder of all sessions."""

    @property
    def mark_of_asked(self) -> str:
        """Marks what is asked for, where the name is the job's own: no other command goes on. "" where any may."""

    @property
    def is_resumed(self) -> bool:
        """Whether a complete session is opened again."""

    def as_params(self) -> dict[str, str]:
        """The settings as strings."""


def check_name(name: str) -> str:
    """The name, or ``ValueError``: it names a folder, a tag and a lock, so it must be plain."""
    if not _LEGAL.fullmatch(name):
        raise ValueError(f"expected a session name of letters, digits, '.', '_', '-' (at most 100), got {name!r}")
    return name


class Session:
    """An open session. Make it with :func:`open_session`; end it with :meth:`close`.

    Attributes:
        name: the name it got; the folder ``out/<name>`` belongs to it.
        run: its run, the parent of its episodes.
        done: keys of the episodes that ended well before (key -> run id).
        n_killed: runs that a killed process had left RUNNING, closed as KILLED by us.
        is_continued: whether it goes on with an earlier, unfinished session.
        searches_all: whether it was begun by version 0.1, which searched parameters that can do nothing too: what is
            left of it is played like the rest.
    """

    def __init__(self, run: Run, name: str, locks: _Locks, *, folder: Path, is_continued: bool):
        self.run, self.name, self.folder, self.is_continued = run, name, folder, is_continued
        self.searches_all = False
        self.n_killed = 0
        self.done: dict[str, str] = {}
        self._locks = locks

    @property
    def store(self) -> Store:
        """Where it is tracked."""
        return self.run.store

    def episode(self, *, name: str, tags: Mapping[str, Any], params: Mapping[str, Any]) -> Run:
        """Open the run of one episode under this session."""
        tags = {"session": self.name, **tags}
        return Run.begin(self.store, name=name, kind="episode", tags=tags, params=params, parent_id=self.run.run_id)

    def record_of(self, run_id: str) -> dict[str, Any] | None:
        """The record kept with an episode's run, or None when it cannot be had."""
        return record_of(self.store, run_id)

    def close(
        self, status: str, *, metrics: Mapping[str, float], files: tuple[Path, ...] = (), description: str = ""
    ) -> None:
        """End the session's run (FINISHED, FAILED or KILLED), with its summary, and free its name."""
        try:
            self.run.write(at(metrics))
            for path in files:
                if path.exists():
                    self.run.keep(path)
            self.run.describe(description)
        finally:
            try:
                self.run.end(status)
            finally:
                self._locks.release()


class _Locks:
    """A session is one process's: of those that write into its folder, and of those that write to its runs.

    Two processes may share a tracking store and not a folder, or a folder and not a store.
    """

    def __init__(self, store: Store, name: str, folder: Path):
        place = hashlib.sha256(f"{store.uri} {name}".encode()).hexdigest()[:24]
        self._locks = [FileLock(folder / _LOCK), FileLock(_lock_folder() / f"{place}.lock")]

    def take(self) -> bool:
        """Take both, or neither."""
        try:
            for lock in self._locks:
                Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
                lock.acquire(blocking=False)
        except Timeout:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let go; harmless when they are not held."""
        for lock in self._locks:
            lock.release()


def _lock_folder() -> Path:
    """Where processes of one user on one machine find each other, whatever their folders are."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "user"
    return Path(tempfile.gettempdir()) / f"ciliary-{user}"


def open_session(store: Store, settings: Named) -> Session:
    """Open the session of this name, or the next free name.

    * The name is new: a new session.
    * Its last run was stopped (KILLED, FAILED, or left RUNNING by a process that is no more): the session goes on; runs
      left RUNNING are closed as KILLED and episodes which ended well are not done again. Where the name was not asked
      for and the command was another one, it is somebody else's: the next name.
    * It is complete: a new session ``<name>-2`` (``-3``, ...), unless ``settings.is_resumed``.
    * Its folder holds files of somebody else's: likewise the next name.
    * Another living process works on it: likewise the next name, since two writers would spoil one session. Whether one
      on another machine still lives cannot be told; it is taken to, unless ``settings.is_resumed``.

    Raises:
        ValueError: if the name cannot name a folder.
    """
    base = check_name(settings.session_base)
    n = 1
    while True:
        name = base if n == 1 else f"{base}-{n}"
        n += 1
        folder = settings.out / name
        if _is_foreign(folder):
            continue
        locks = _Locks(store, name, folder)
        if not locks.take():
            continue
        earlier = _search(store, f"tags.`{_NAME}` = '{name}' and tags.`{_KIND}` = 'session'")
        if not earlier:
            return _begin(store, name, locks, settings=settings, folder=folder)
        run = earlier[0]
        is_other = (
            settings.mark_of_asked and run.data.tags.get(_ASKED, settings.mark_of_asked) != settings.mark_of_asked
        )
        if not settings.is_resumed and (is_other or run.info.status == "FINISHED" or _is_elsewhere(store, run)):
            locks.release()
            continue
        return _continue(store, name, run, locks, folder=folder)


def _is_foreign(folder: Path) -> bool:
    """Whether a folder was there before any session of ours."""
    if not folder.is_dir():
        return os.path.lexists(folder)
    names = {path.name for path in folder.iterdir()}
    return bool(names) and not names & {FILE, _LOCK}


def record_of(store: Store, run_id: str) -> dict[str, Any] | None:
    """The record kept with an episode's run, or None when it cannot be had."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = store.client.download_artifacts(run_id, "episode.json", folder)
            record = json.loads(Path(path).read_text(encoding="utf-8"))
    except Exception:  # noqa: BLE001 -- MLflow lets its drivers' errors through; the episode is played again
        return None
    return record if isinstance(record, dict) else None


def finished_episodes(store: Store, is_wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """The records of all episodes in the store that ended well, of the sessions wanted by name, oldest first."""
    for run in reversed(_search(store, f"tags.`{_KIND}` = 'episode' and attributes.status = 'FINISHED'")):
        if is_wanted(run.data.tags.get(_NAME, "")) and (record := record_of(store, run.info.run_id)) is not None:
            yield record


def _begin(store: Store, name: str, locks: _Locks, *, settings: Named, folder: Path) -> Session:
    tags = {"session": name, "inert_is_frozen": "yes", "process": f"{platform.node()}:{os.getpid()}"}
    if settings.mark_of_asked:
        tags["asked"] = settings.mark_of_asked
    run = Run.begin(store, name=name, kind="session", tags=tags, params=settings.as_params())
    return Session(run, name, locks, folder=folder, is_continued=False)


def _continue(store: Store, name: str, stored: Stored, locks: _Locks, *, folder: Path) -> Session:
    run_id = stored.info.run_id
    n_killed = 0
    done: dict[str, str] = {}
    for child in _pages(store, f"tags.`mlflow.parentRunId` = '{run_id}'"):
        if child.info.status in ("RUNNING", "SCHEDULED"):
            store.client.set_terminated(child.info.run_id, "KILLED")
            n_killed += 1
        elif child.info.status == "FINISHED" and _KEY in child.data.tags:
            done.setdefault(child.data.tags[_KEY], child.info.run_id)
    if stored.info.status == "RUNNING":  # say what became of the killed process before we go on under its run
        store.client.set_terminated(run_id, "KILLED")
        n_killed += 1
    run = Run.go_on(store, run_id)
    run.tag(process=f"{platform.node()}:{os.getpid()}")
    session = Session(run, name, locks, folder=folder, is_continued=True)
    session.done, session.n_killed = done, n_killed
    session.searches_all = _FROZEN not in stored.data.tags
    return session


def _is_elsewhere(store: Store, run: Stored) -> bool:
    """Whether a process of another machine may be at work on a session; with a local database none is."""
    node = run.data.tags.get(_PROCESS, "").rpartition(":")[0]
    return run.info.status == "RUNNING" and not store.is_local and node not in ("", platform.node())


def _search(store: Store, condition: str) -> list[Stored]:
    """All runs which meet a condition, newest first."""
    return list(_pages(store, condition))


def _pages(store: Store, condition: str) -> Iterator[Stored]:
    """The same one by one, a page in memory: a long session has many."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            condition,
            order_by=["attributes.start_time DESC"],
            max_results=200,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return
