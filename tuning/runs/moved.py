"""An output folder that was moved or copied: where artifacts lie is written into MLflow's database, so write it anew.

MLflow keeps absolute addresses, of each run. Without this, pictures of earlier runs are gone from the browser, and new
ones go to the old place, which is made again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: table, column: where MLflow keeps addresses of artifacts.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def repair_addresses(database: Path, experiment_id: str, recorded: str) -> bool:
    """Let a local database say that the artifacts of an experiment lie beside it, if that is where they are now.

    Nothing is done where the recorded address is no folder (a bucket, a server), or is one that still stands while no
    run of the experiment has its artifacts beside the database: then somebody wants them there.

    Args:
        database: SQLite file of the tracking store.
        experiment_id: of the experiment.
        recorded: its artifact location, as the database has it.

    Returns:
        whether anything was changed.
    """
    beside = database.parent / "artifacts"
    parts = urlsplit(recorded)
    old = Path(unquote(parts.path))
    if parts.scheme != "file" or old.name != beside.name or old.absolute() == beside:
        return False
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        if old.exists() and not _any_run_in(connection, experiment_id, beside):
            return False
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in _ADDRESSES:
            if table in tables:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?",
                    (beside.as_uri(), len(recorded) + 1, len(recorded) + 1, f"{recorded}/"),
                )
    return True


def _any_run_in(connection: sqlite3.Connection, experiment_id: str, folder: Path) -> bool:
    runs = connection.execute("SELECT run_uuid FROM runs WHERE experiment_id = ?", (int(experiment_id),))
    return any((folder / row[0]).is_dir() for row in runs)
