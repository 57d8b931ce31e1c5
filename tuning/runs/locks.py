"""Locks between processes, which the system itself lets go when a process is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: one process at a time is then the user's own care
    fcntl = None  # type: ignore[assignment]


class Lock:
    """A lock on a file, held from :meth:`take` to :meth:`release` or to the end of the process."""

    def __init__(self, path: Path):
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, wait: bool = False) -> bool:
        """Take the lock; False when another process holds it and ``wait`` is False."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go; harmless when the lock is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path`` for a block, waiting for it if need be."""
    lock = Lock(path)
    lock.take(wait=True)
    try:
        yield
    finally:
        lock.release()
