"""The store of runs: which kind it is, whether it answers, what is in it. Nothing is made there."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ciliary.tuning.doctor.finding import Finding, Level
from ciliary.tuning.doctor.settings import DoctorSettings
from ciliary.tuning.runs.outage import few_tries
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.runs.store import database_file, driver_hint, tracking_uri

ADDRESS = "MLFLOW_TRACKING_URI"
_WAIT_S = 3.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_MOST_RUNS = 1000  # that a server is asked for


def store(settings: DoctorSettings) -> Iterator[Finding]:
    """The store that a session would open."""
    uri = _newest(settings.out)
    is_asked = ADDRESS in os.environ
    path = database_file(uri)
    kind = "SQLite" if path else uri.partition(":")[0].partition("+")[0]
    values = {"address": masked(uri), "kind": kind, "is_asked_for": is_asked}
    try:
        if path is None:
            _knock(uri)
            n_experiments, runs = _ask(uri)
        elif not path.exists():
            yield Finding("store", f"{kind}, none in {settings.out} yet: made by the first session", values=values)
            return
        else:
            n_experiments, n_runs = count(path)
            runs = str(n_runs)
    except Exception as error:  # noqa: BLE001 -- MLflow lets its drivers' errors through
        reason = masked((str(error).splitlines() or [type(error).__name__])[0])
        text = f"{masked(uri)} does not answer: {reason}{driver_hint(uri, error)}"
        do = f"start it, or unset {ADDRESS}" if is_asked else "move the file away: a session makes a new one"
        yield Finding("store", text, Level.MISSING if is_asked else Level.BROKEN, do, values)
        return
    where = f" (from {ADDRESS})" if is_asked else ""
    text = f"{kind}, {masked(uri) if path is None else path}{where}: {n_experiments} experiments, {runs} runs"
    yield Finding("store", text, values={**values, "experiments": n_experiments, "runs": runs})


def _newest(out: Path) -> str:
    """The store asked for, or the folder's own, or, as ``ciliary ui`` has it, the newest of those one folder below."""
    uri = tracking_uri(out)
    path = database_file(uri)
    below = () if ADDRESS in os.environ or path is None or path.exists() else out.glob("*/mlflow.db")
    newest = max(below, key=lambda one: one.stat().st_mtime, default=None)
    return uri if newest is None else tracking_uri(newest.parent)


def count(path: Path) -> tuple[int, int]:
    """Experiments and runs in a database of MLflow's, those that were deleted left out.

    Raises:
        sqlite3.Error: it is no database, or not of MLflow's.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)
    try:
        counts = [
            int(connection.execute(f"SELECT COUNT(*) FROM {table} WHERE lifecycle_stage = 'active'").fetchone()[0])
            for table in ("experiments", "runs")
        ]
    finally:
        connection.close()
    return counts[0], counts[1]


def _knock(uri: str) -> None:
    """Raise ``OSError`` if nobody listens there: a driver would try for minutes."""
    parts = urlsplit(uri)
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=_WAIT_S).close()


def _ask(uri: str) -> tuple[int, str]:
    """Experiments and runs of a server, a database or a folder, by MLflow: its import takes seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    with few_tries():
        client = MlflowClient(tracking_uri=uri)
        experiments = client.search_experiments()
        runs = client.search_runs([one.experiment_id for one in experiments], max_results=_MOST_RUNS)
    return len(experiments), f"{len(runs)}" if len(runs) < _MOST_RUNS else f"{_MOST_RUNS} or more"
