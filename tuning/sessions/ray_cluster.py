"""A Ray cluster, joined and left: Ray is imported when it is asked for, quietly, and nothing here waits for ever."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ciliary.cortex.installing import install_extra
from ciliary.tuning.cli.processor import n_cores

ADDRESS = "RAY_ADDRESS"  # Ray's own variable: where the cluster is if nobody says
LOCAL = "local"
_ANSWER_S = 5.0  # for a head node to take a connection; Ray itself tries on for minutes, and then ends the process
_START_S = 180.0  # for a cluster of our own to start, or one that takes connections to let us in
_LOOK_S = 0.2
_STORE_BYTES = 256 * 2**20  # of a cluster of our own: an image is 0.3 MB, what an episode leaves a few


class EngineError(RuntimeError):
    """Whoever was to do the episodes cannot."""


def import_ray() -> Any:
    """The package, which tells nobody that it is used.

    Raises:
        EngineError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of what it will do one day
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise EngineError(f"--engine ray needs Ray ({error}); install it with: {install_extra('ray')}") from error


def find_address(asked: str | None) -> str:
    """Where the cluster is: as asked for, as ``RAY_ADDRESS`` says, or ``local``, one of our own on this machine."""
    return asked or os.environ.get(ADDRESS) or LOCAL


class Membership:
    """This process as a driver of a cluster: one that is there, or one of its own on this machine.

    Ray connects in a thread of its own: in the main thread it would take the handler of SIGTERM from whoever has it,
    and no signal would end the wait. The thread stays: the processes of a cluster of our own end with the thread that
    started them, so that none outlives us.

    Args:
        ray: the package.
        address: ``HOST:PORT``, ``auto`` for the one that runs on this machine, or ``local`` to start one.
        n_cpus: workers times threads, which a cluster of our own offers at least.
        check: called now and then while we wait; may raise to stop.

    Raises:
        EngineError: there is none, or it does not answer; in one line.
    """

    def __init__(self, ray: Any, address: str, *, n_cpus: int, check: Callable[[], object]) -> None:
        self._ray, self._is_over = ray, threading.Event()
        self._error: BaseException | None = None
        self._is_settled = threading.Event()
        self._is_ours = not ray.is_initialized()  # else a program joined before it called us, and stays
        if self._is_ours:
            _reach(address)
            self._join(address, n_cpus, check)

    def leave(self) -> None:
        """Disconnect; a cluster of our own ends."""
        if self._is_ours and not self._is_over.is_set():
            self._ray.shutdown()
            self._is_over.set()

    def _join(self, address: str, n_cpus: int, check: Callable[[], object]) -> None:
        options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
        if address == LOCAL:
            options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
            options["num_cpus"] = max(n_cpus, n_cores())
        logging.getLogger("ray").setLevel(logging.ERROR)  # that it has no handler of signals there is what we want
        threading.Thread(target=self._stay, args=(options,), name="ray", daemon=True).start()
        end_s = time.monotonic() + _START_S
        while not self._is_settled.wait(_LOOK_S):
            check()
            if time.monotonic() > end_s:
                raise EngineError(f"no answer from a Ray cluster at {address} in {_START_S:.0f} s")
        _keep_handlers()
        if self._error is not None:
            reason = (str(self._error).strip().splitlines() or [type(self._error).__name__])[0]
            raise EngineError(f"cannot join the Ray cluster at {address}: {reason}") from self._error

    def _stay(self, options: Mapping[str, Any]) -> None:
        try:
            self._ray.init(**options)
        except BaseException as error:  # noqa: BLE001 -- SystemExit too: told by whoever waits
            self._error = error
            return
        finally:
            self._is_settled.set()
        self._is_over.wait()


def _keep_handlers() -> None:
    """Ray's core has put a handler of its own before Python's, which tells a page of each SIGTERM: ours comes first."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number))


def count_gpus(ray: Any) -> int:
    """GPUs of the whole cluster."""
    return int(ray.cluster_resources().get("GPU", 0))


def _reach(address: str) -> None:
    """Whether anybody listens at ``HOST:PORT``; other addresses are Ray's to find."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"no Ray cluster at {address} ({error}); start one with: ray start --head, or leave --address out for one "
            "on this machine"
        ) from error
