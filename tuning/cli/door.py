"""The last door of every command: places are tried before the work, and whatever goes wrong is one line and a code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeVar

from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, STOPPED
from ciliary.tuning.cli.settings import Settings
from ciliary.tuning.runs.places import NotWritable, try_place

S = TypeVar("S", bound=Settings)
#: Set to anything, an error is shown with where it happened: for whoever looks for a fault of ours.
TRACEBACK = "CILIARY_TRACEBACK"


def run_job(name: str, job: Callable[[S], int], settings: S) -> int:
    """Run a job; returns its exit code, whatever happens in it.

    Args:
        name: of the command, before each complaint.
        job: of :data:`ciliary.tuning.cli.app.COMMANDS`.
        settings: what it is told; the places in it are tried first.
    """
    if settings.computes:
        from ciliary.cortex.floats import single_precision  # brings torch

        job = single_precision(job)
    try:
        with _told(name):
            for folder in settings.places:
                try_place(folder)
            return job(settings)
    except KeyboardInterrupt:
        complain(name, "stopped; what was written stays")
        return STOPPED
    except NotWritable as error:
        complain(name, error)
        return NOTHING
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        kind = type(error).__name__
        complain(name, f"{kind}: {error}" if str(error) else kind)
        return NOTHING


def be_lenient() -> None:
    """Let stdout and stderr take any text, whatever the locale says, and go on where nobody reads them any more."""
    if not isinstance(sys.stdout, _Lenient):
        sys.stdout, sys.stderr = _Lenient(sys.stdout), _Lenient(sys.stderr)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Our own warnings as complaints, in one line; others as ever."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__module__.startswith("ciliary."):
            complain(name, message)
        else:
            before(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.showwarning = show
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box in a title is sign enough
        yield


class _Lenient:
    """A stream as it was, but for what it cannot spell, and for a reader that has gone."""

    def __init__(self, stream: Any) -> None:
        self._stream: IO[str] = stream
        spells_all = str(getattr(stream, "encoding", "")).lower().startswith("utf")
        if hasattr(stream, "reconfigure") and not (spells_all and stream.errors != "strict"):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or say that it was written."""
        try:
            return self._stream.write(text)
        except (BrokenPipeError, ValueError):  # closed at the other end, or at ours
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Flush, if there is where to."""
        try:
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._drop()

    def _drop(self) -> None:
        """Nobody reads: the rest goes nowhere, also what Python flushes when it ends."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass
