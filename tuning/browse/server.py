"""MLflow's server as a process of ours: on a port that is free, waited for, and ended with us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_PORTS = 50
_MOST_S = 300.0  # till it answers: its imports take 5 s on an idle machine, a minute on one that is not
_LOG_BYTES = 4000


class NoServer(RuntimeError):
    """The server cannot be had; says why."""


def free_port(host: str, wanted: int | None, first: int) -> int:
    """A port that nobody listens on: the one wanted, or the first from ``first`` on.

    Raises:
        NoServer: the one wanted is taken, or all that were tried.
    """
    tried = range(first, first + _MOST_PORTS) if wanted is None else (wanted,)
    for port in tried:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
            return port
    which = f"port {wanted}" if wanted is not None else f"ports {first} to {first + _MOST_PORTS - 1}"
    raise NoServer(f"{which} of {host} cannot be had: {reason}; name another with --port")


class Server:
    """A server that runs while the block does.

    Args:
        uri: of the tracking store.
        host: that it listens on.
        port: likewise.
    """

    def __init__(self, uri: str, host: str, port: int) -> None:
        self._uri, self._host, self._port = uri, host, port
        self.address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as this
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "mlflow", "server", "--host", self._host, "--port", str(self._port)]
        told = {
            "MLFLOW_BACKEND_STORE_URI": self._uri,  # which may hold a password: not where `ps` shows it
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # of language models; a process more
        }
        self._process = subprocess.Popen(
            [*command, "--workers", "1"],
            env={**os.environ, **told},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it and its workers end together
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._log.close()

    def wait_ready(self) -> None:
        """Return when it answers.

        Raises:
            NoServer: it ended, or did not answer in time.
        """
        end_s = time.monotonic() + _MOST_S
        while time.monotonic() < end_s:
            self._check()
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise NoServer(f"MLflow did not answer at {self.address} in {_MOST_S:.0f} s")

    def wait_end(self) -> None:
        """Return never, unless it ends, which is an error."""
        while True:
            self._check()
            time.sleep(0.2)

    def _check(self) -> None:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LOG_BYTES))
            lines = self._log.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            raise NoServer(f"MLflow ended with code {code}: {lines[-1]}")
