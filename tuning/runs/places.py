"""Whether results can be written where they are to go: tried before the work. Imports nothing heavy."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_TRIED_BYTES = 4096


class NotWritable(OSError):
    """Results cannot be written where they are to go."""


def check_writable(folder: Path) -> None:
    """Make a folder and try to write into it.

    Raises:
        NotWritable: it cannot be had; says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED_BYTES))  # a full disk takes names, and no more
            file.flush()
    except OSError as error:
        raise NotWritable(f"cannot write into {folder}: {error.strerror or error}; give another folder") from error


def try_place(folder: Path) -> None:
    """Try whether a folder can be written into, or made; makes none.

    Raises:
        NotWritable: it cannot be had; says why.
    """
    there = existing(folder)
    try:
        check_writable(there)
    except NotWritable as error:
        reason = str(error).removeprefix(f"cannot write into {there}: ")
        raise NotWritable(f"cannot write into {folder}: {reason}") from error


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((one for one in (folder, *folder.absolute().parents) if os.path.lexists(one)), folder)
