"""Where runs are kept: the MLflow tracking store, opened quietly and only when needed (the import takes seconds)."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ciliary.cortex.installing import install_extra, pip_install
from ciliary.tuning.runs.moved import repair_addresses
from ciliary.tuning.runs.outage import Outage, few_tries
from ciliary.tuning.runs.secrets import masked as masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Experiments, by what their runs are, and what stands above them in the browser.
SESSIONS, EVALUATIONS, TRAININGS = "ciliary-accommodate", "ciliary-evaluate", "ciliary-policies"
FOCUSING, GAZING, LOOKING = "ciliary-focus", "ciliary-gaze", "ciliary-look"
_NOTES = {
    SESSIONS: "Sessions, and in each its episodes: one image under one disturbance, accommodated to by one controller. "
    "`gain/*` is what it gained (above 0 is better), `after/*` and `before/*` the terms of the setting applied and of "
    "the defaults, `loss/*`, `best/*`, `theta/*` the trials and at last the result, `final/*` where parameters went.",
    EVALUATIONS: "Methods compared on labelled images, one run an evaluation; its page is among the artifacts.",
    FOCUSING: "Sessions of an eye's lens or pupil, and in each its episodes: one scene, one controller. `theta/*` is "
    "where the muscle stood at each look, `loss/*` what the look was worth.",
    GAZING: "Sessions of an eye's gaze, and in each its episodes: one photograph. `theta/*` is where it looked, "
    "`loss/total` the priority that is not resolved yet, `gaze/*` acuity, degrees and samples after each glance.",
    LOOKING: "Pages of what a cortex makes of photographs, and tables of how far its explanations are to be believed.",
    TRAININGS: "Policies learned, one run a training, and policies registered.",
}
_TALKER = "mlflow.store.db.utils"
_NOISY = (_TALKER, "mlflow.tracking.fluent", "mlflow.utils.environment", "alembic")
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Store:
    """An open tracking store: its address, the client, the experiment which holds our sessions, whether it answers."""

    uri: str
    client: MlflowClient
    experiment_id: str
    outage: Outage = field(default_factory=Outage, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a file, rather than a server."""
        return database_file(self.uri) is not None

    @property
    def command(self) -> str:
        """The shell command which shows the runs."""
        if self.uri.startswith(("http://", "https://", "databricks")):
            return f"open {masked(self.uri)}"
        database = database_file(self.uri)
        if database is None or database.name != "mlflow.db":
            return f"{_program()} ui --store {_quoted(masked(self.uri))}"
        folder = database.parent
        here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        return f"{_program()} ui --store {_quoted(str(here))}"


def tracking_uri(out: Path) -> str:
    """``MLFLOW_TRACKING_URI`` when it is set, else the SQLite file ``mlflow.db`` in ``out``, by its absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{(out.resolve() / 'mlflow.db').as_posix()}"


def look_into(uri: str) -> MlflowClient:
    """A client of a store that is there; makes no experiment, and no database.

    Raises:
        StoreError: there is none, or it cannot be opened.
    """
    database = database_file(uri)
    if database is not None and not database.is_file():
        raise StoreError(f"no tracking store at {database}; a session makes one, or say where it is with --store")
    _hush()
    with _quiet(), few_tries():
        try:
            from mlflow import MlflowClient

            _knock(uri)
            client = MlflowClient(tracking_uri=uri)
            client.get_experiment_by_name(SESSIONS)
        except Exception as error:  # as in open_store
            raise _not_opened(uri, error) from error
    return client


def open_store(out: Path, *, experiment: str = SESSIONS) -> Store:
    """Open the store, making database and experiment when they are missing.

    Artifacts of a local database lie in ``artifacts/`` beside it, also after the folder was moved; any other store
    decides for itself. The first use is guarded by a lock, because two processes which migrate one new database at the
    same time break it.

    Raises:
        StoreError: when the store cannot be opened; the message names the address.
    """
    _hush()
    uri = tracking_uri(out)
    database = database_file(uri)
    lock = FileLock((database or out / "store").with_suffix(".lock"))
    try:
        for folder in (out, Path(lock.lock_file).parent):
            folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise StoreError(f"cannot open the tracking store {masked(uri)}: {error}") from error
    with lock, _quiet(), few_tries():
        lock.release()  # held twice by now
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise StoreError(
                f"MLflow cannot be imported ({error}); install it with: {pip_install('mlflow>=3.10')}"
            ) from error
        try:
            _knock(uri)
            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(experiment)
            if found is None:
                location = None if database is None else (database.parent / "artifacts").as_uri()
                identifier = client.create_experiment(experiment, location, tags=_labels(experiment))
            else:
                identifier = found.experiment_id
                if found.lifecycle_stage == "deleted":
                    client.restore_experiment(identifier)
                for name, text in _labels(experiment).items():
                    if name not in found.tags:  # made by an older version
                        client.set_experiment_tag(identifier, name, text)
                if database is not None:
                    repair_addresses(database, identifier, found.artifact_location)
        except Exception as error:  # MLflow lets its drivers' errors through: SQLAlchemy's, OSError, ...
            raise _not_opened(uri, error) from error
    logging.getLogger(_TALKER).setLevel(logging.CRITICAL)  # pages, of errors that we tell in a line
    return Store(uri, client, identifier)


class StoreError(RuntimeError):
    """The tracking store cannot be used."""


def _hush() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing about the user's images leaves the machine
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for each picture of a contact sheet
    # else it prints a line at each run that ends, with the password that the address of a server may have
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def _not_opened(uri: str, error: Exception) -> StoreError:
    reason = masked((str(error).splitlines() or [type(error).__name__])[0])
    return StoreError(f"cannot open the tracking store {masked(uri)}: {reason}{driver_hint(uri, error)}")


def driver_hint(address: str, error: Exception) -> str:
    """What to install where a database's driver is missing, as the end of a sentence; nothing for other errors."""
    is_missing = isinstance(error, ImportError) and address.startswith("postgresql")
    return f"; for PostgreSQL: {install_extra('postgres')}" if is_missing else ""


def _knock(uri: str) -> None:
    """Raise at once what is wrong with a database: MLflow would try ten times, for 100 s in all."""
    if uri.startswith(("postgresql", "mysql", "mssql")):
        from sqlalchemy import create_engine

        engine = create_engine(uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


def _labels(experiment: str) -> dict[str, str]:
    """What tells the browser how to show an experiment: as runs of a model in development, not as a chat's traces."""
    return {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": _NOTES.get(experiment, "")}


def database_file(uri: str) -> Path | None:
    """The file behind a SQLite address, or None for any other store."""
    if not uri.startswith(_SQLITE) or uri == _SQLITE:
        return None
    return Path(uri[len(_SQLITE) :].partition("?")[0]).absolute()


def _program() -> str:
    """``ciliary``, or where it lies when the shell would not find the one we use (an environment not activated)."""
    ours = Path(sys.executable).parent / "ciliary"
    found = shutil.which("ciliary")
    if not ours.exists() or (found and Path(found).resolve() == ours.resolve()):
        return "ciliary"
    return str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours)


def _quoted(uri: str) -> str:
    return uri if not set(uri) & set(" '\"$&;()") else '"' + uri.replace('"', '\\"') + '"'


@contextmanager
def _quiet() -> Iterator[None]:
    """Creating a database is no news to the person who asked for a picture."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
