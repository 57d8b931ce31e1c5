"""A PostgreSQL of the tests' own: a folder, a port of this machine, a user with a password. It ends with the block."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "ciliary", "correct-horse"


class Server:
    """A running server."""

    def __init__(self, port: int):
        self.port, self.n = port, 0

    def address(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, command: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a query answers; nothing for other commands."""
        import psycopg

        address = self.address(database).replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            found = connection.execute(command)
            return found.fetchall() if found.description else []

    def new_database(self) -> str:
        """The name of an empty one."""
        self.n += 1
        self.run(f"CREATE DATABASE test{self.n}")
        return f"test{self.n}"


@contextmanager
def server() -> Iterator[Server]:
    """Started; skips the test where there is no PostgreSQL, or no driver for it."""
    pytest.importorskip("psycopg", reason="no psycopg; pip install 'ciliary[postgres]'")
    programs = _programs()
    as_other = _somebody_else()
    folder = Path(tempfile.mkdtemp(prefix="ciliary-postgres-"))  # pytest's own folders are closed to other users
    try:
        (folder / "password").write_text(PASSWORD)
        if as_other:
            for path in (folder, folder / "password"):
                os.chown(path, as_other["user"], as_other["group"])
        options: dict[str, Any] = {"cwd": folder, "capture_output": True, "timeout": 300, **as_other}
        make = [programs / "initdb", "-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", "password"]
        subprocess.run([*make, "-N", "--locale=C", "-E", "UTF8"], check=True, **options)
        port = free_port()
        start = [programs / "pg_ctl", "-D", "data", "-w", "-t", "240", "-l", "log"]
        subprocess.run([*start, "-o", f"-F -p {port} -h 127.0.0.1 -k {folder}", "start"], check=True, **options)
        try:
            yield Server(port)
        finally:
            subprocess.run([programs / "pg_ctl", "-D", "data", "-m", "immediate", "stop"], check=True, **options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def _programs() -> Path:
    """Where initdb and pg_ctl lie: on the path, or where Debian has them."""
    on_path = [Path(found).parent for found in [shutil.which("initdb")] if found]
    for folder in (*on_path, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.skip("no PostgreSQL; install it (apt-get install postgresql), or put its initdb and pg_ctl on the path")


def _somebody_else() -> dict[str, Any]:
    """Who to run it as: PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    pytest.skip(f"PostgreSQL refuses to run as {getpass.getuser()}, and there is nobody else")
