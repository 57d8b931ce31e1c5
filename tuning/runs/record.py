"""The record of one episode: readable without MLflow, one JSON object a line in ``episodes.jsonl``.

A record is a plain dictionary, since other programs read it. Its keys:

``key`` (what identifies the episode), ``status`` (``FINISHED`` | ``FAILED``), ``image``, ``path``, ``original_size``
([height, width]), ``notes`` (what had to be done to show it), ``fingerprint``, ``disturbance``, ``controller``,
``seed``, ``settings`` (hash), ``objective`` (its mark), ``seen_with`` (settings by which it can be seen again),
``n_trials``, ``n_evaluations``, ``seconds``, ``parameters`` (name -> physical value applied, in the order of the
columns of ``u``), ``frozen`` (names that could do nothing),
``answer`` (``integrated``: what all trials saw together; or ``best``), ``i_chosen`` (the best single one), ``before``
and ``after`` (terms; ``stability`` and ``consistency`` among them on views that nobody searched on), ``fluency``
(``before`` and ``after``, if it was asked for), ``guard``, ``ending``, ``history`` (terms and best-so-far per trial,
and ``u``), ``statistics`` (of the percept at the defaults), ``files``, ``versions``, ``error``.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.secrets import masked

if TYPE_CHECKING:
    from ciliary.agents.trace import Trace

FILE = "episodes.jsonl"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # new lines and escape sequences among them


@dataclass(frozen=True)
class EpisodeKey:
    """What makes an episode the same episode: these, as tags, are how a finished one is recognised."""

    image: str
    fingerprint: str
    disturbance: str
    controller: str
    seed: int
    settings: str

    def __str__(self) -> str:
        return "|".join(str(value) for value in asdict(self).values())


class Shown(Protocol):
    """What a record tells of an input: a photograph's, or a scene's."""

    @property
    def path(self) -> Path | None:
        """Where it lies; None for one in memory."""

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width), before any resizing."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be done to show it."""


def build(
    key: EpisodeKey,
    trace: Trace,
    shown: Shown,
    *,
    files: Mapping[str, str] | None = None,
    status: str = "FINISHED",
    objective: str | None = None,
    seen_with: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of an episode from its trace.

    Args:
        key: identity of the episode.
        trace: of the episode.
        shown: what was seen.
        files: what was written for it (role -> path).
        status: how its run ends.
        objective: what the totals were measured by, as ``SessionSettings.mark`` names it.
        seen_with: fields of the session's settings that make its environment again.
    """
    history: dict[str, Any] = {name: values.tolist() for name, values in trace.terms.items()}
    history["best_so_far"] = trace.best_so_far.tolist()
    history["u"] = trace.u.tolist()
    record: dict[str, Any] = plain(
        {
            **_head(key, shown, status),
            "objective": objective,
            **({} if seen_with is None else {"seen_with": seen_with}),
            "n_trials": len(trace.u),
            "n_evaluations": trace.n_evaluations,
            "seconds": trace.seconds,
            "parameters": trace.theta_chosen,
            "frozen": list(trace.frozen),
            "answer": "integrated" if trace.is_integrated else "best",
            "i_chosen": trace.i_chosen,
            "before": trace.before,
            "after": trace.after,
            "guard": trace.guard,
            "ending": {"name": trace.ending.name, "advice": trace.ending.value},
            "history": history,
            "statistics": trace.statistics,
            "files": dict(files or {}),
        }
    )
    return record


def build_failed(key: EpisodeKey, error: BaseException, shown: Shown) -> dict[str, Any]:
    """The record of an episode which an exception ended."""
    record: dict[str, Any] = plain({**_head(key, shown, "FAILED"), "error": f"{type(error).__name__}: {error}"})
    return record


def build_unread(name: str, label: str, error: BaseException) -> dict[str, Any]:
    """The record of an input that could not be read: it has no pixels to be known by."""
    said = f"{type(error).__name__}: {error}"
    unread: dict[str, Any] = plain(
        {
            "key": f"{name}|unread",
            "status": "FAILED",
            "image": name,
            "path": label,
            "error": said,
            "versions": versions(),
        }
    )
    return unread


def _head(key: EpisodeKey, shown: Shown, status: str) -> dict[str, Any]:
    return {
        "key": str(key),
        "status": status,
        **asdict(key),
        "path": None if shown.path is None else str(shown.path),
        "original_size": list(shown.original_size),
        "notes": list(shown.notes),
        "versions": versions(),
    }


def plain(value: Any) -> Any:
    """The value in terms JSON knows; a number which is not finite becomes null, since strict readers refuse NaN."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Enum):
        return value.name
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers, which need not be imported to be known
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return printable(str(value))
    if isinstance(value, str):
        return masked(value.encode("utf-8", "replace").decode("utf-8"))
    return value


def printable(text: str) -> str:
    """A text that can be written anywhere: bytes that are no UTF-8, and what moves a terminal, become ``?``."""
    return _CONTROL.sub("?", text.encode("utf-8", "replace").decode("utf-8"))


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line to a JSONL file and push it to the disk, so that a killed process loses at most its last episode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() and not _ends_with_newline(file):
            file.write(b"\n")  # the writer before us was killed in the middle of a line
        file.write(json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def read(path: Path) -> list[dict[str, Any]]:
    """All whole records of a JSONL file, oldest first; a torn line is passed over; no file is no records."""
    return list(stream(path))


def stream(path: Path) -> Iterator[dict[str, Any]]:
    """The same one by one: a long session's do not fit in memory together."""
    yield from (record for _, record in placed(path))


def placed(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same, each with the byte at which its line begins: :func:`read_at` reads it again."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        start = 0
        for line in lines:
            record = _whole(line)
            if record is not None:
                yield start, record
            start += len(line)


def read_at(path: Path, start: int) -> dict[str, Any]:
    """The record whose line begins at a byte.

    Raises:
        ValueError: there is no record: the file has been written anew.
    """
    with path.open("rb") as lines:
        lines.seek(start)
        record = _whole(lines.readline())
    if record is None:
        raise ValueError(f"{path} was changed while it was read; try again")
    return record


def sessions_in(folder: Path) -> list[Path]:
    """Folders that hold records: this one, or those in it."""
    if (folder / FILE).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{FILE}"))


def finished(session: Path) -> list[dict[str, Any]]:
    """The records of the episodes of a session that ended well, each once, as last written, with their histories."""
    found: dict[str, dict[str, Any]] = {}
    for record in stream(session / FILE):
        if record.get("status") == "FINISHED" and "history" in record:
            found[record["key"]] = record
    return list(found.values())


def without_history(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a session's table and summary need of a record: a tenth of it, and less for long searches."""
    return {name: value for name, value in record.items() if name not in _IN_THE_FILE}


_IN_THE_FILE = ("history", "statistics", "parameters", "seen_with", "fluency", "versions", "ending", "frozen", "notes")


def _whole(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "key" in record else None
