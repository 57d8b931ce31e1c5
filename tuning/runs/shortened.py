"""Records of a long job without their history, in a temporary file: of each, eight bytes are held in memory."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from ciliary.tuning.runs.record import without_history


class Shortened(Sequence[dict[str, Any]]):
    """What tables and summaries need of records, in the order they were added; each is read when it is asked for.

    The file has no name, and is gone with the object.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as this
        self._starts = array("q", [0])

    def add(self, record: Mapping[str, Any]) -> None:
        """One more at the end."""
        self._file.seek(self._starts[-1])
        self._file.write(json.dumps(without_history(record)).encode())
        self._starts.append(self._file.tell())

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, i: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, i: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, i: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        numbers = range(len(self))[i]
        return self._read(numbers) if isinstance(numbers, int) else [self._read(n) for n in numbers]

    def _read(self, i: int) -> dict[str, Any]:
        start, end = self._starts[i], self._starts[i + 1]
        self._file.seek(start)
        record: dict[str, Any] = json.loads(self._file.read(end - start))
        return record
