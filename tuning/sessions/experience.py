"""What past episodes leave to the memory controller: built from their records, and grown episode by episode.

Any controller's episodes are remembered: what a search found on one image is tried first on those like it. Records are
read from the ``episodes.jsonl`` of the sessions under an output folder; where such a file is gone, from the runs of the
tracking store.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.memory import Memories, MemoryController, aligned
from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.table import ParameterTable
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.store import Store
from ciliary.tuning.sessions.resume import finished_episodes
from ciliary.tuning.sessions.settings import SessionSettings

Row = tuple[np.ndarray, np.ndarray, float, str, str]  # as the fields of Memories


def recollect(
    folder: Path,
    *,
    mark: str | None = None,
    without: Container[str] = (),
    store: Store | None = None,
    table: ParameterTable = PARAMETERS,
) -> Memories:
    """The memories of all episodes under an output folder that ended well, the oldest first.

    Records without statistics (of an older version), of another perceiver, or with numbers missing are passed over, as
    are torn lines. A parameter that a record does not have has its default. The newest record says how many statistics
    there are; those with another number are of another version and are passed over too.

    Args:
        folder: of the sessions, each in its own folder, or of one session.
        mark: only episodes measured by this (``SessionSettings.mark``); None: by anything.
        without: images to leave out, by name or by fingerprint; for honest evaluation.
        store: where to look for episodes whose file is gone; None: nowhere.
        table: the columns of the settings.
    """
    files = sorted({*folder.glob(records.FILE), *folder.glob(f"*/{records.FILE}")}, key=lambda f: f.stat().st_mtime)
    read = (record for file in files for record in records.read(file))
    tracked = finished_episodes(store, lambda session: not (folder / session / records.FILE).exists()) if store else ()
    rows = [row for record in (*tracked, *read) if _is_wanted(record, mark, without) for row in _rows_of(record, table)]
    return _stack(rows, table)


def add(memories: Memories | None, record: Mapping[str, Any], table: ParameterTable = PARAMETERS) -> Memories:
    """The memories with one more episode; with no more if its record has nothing to remember."""
    before = [] if memories is None else list(_rows(aligned(memories, table)))
    return _stack([*before, *_rows_of(record, table)], table)


def with_memories(
    controller: ControllerBase,
    settings: SessionSettings,
    store: Store | None = None,
    table: ParameterTable = PARAMETERS,
) -> ControllerBase:
    """A memory controller that remembers what lies in the session's output folder; any other as it is."""
    if not isinstance(controller, MemoryController) or controller.memories is not None:
        return controller
    found = recollect(settings.out, mark=settings.mark, store=store, table=table)
    return dataclasses.replace(controller, memories=found)


def with_memory(
    controller: ControllerBase, record: Mapping[str, Any], table: ParameterTable = PARAMETERS
) -> ControllerBase:
    """A memory controller that remembers one more episode; any other as it is."""
    if not isinstance(controller, MemoryController) or isinstance(controller.memories, (str, Path)):
        return controller
    return dataclasses.replace(controller, memories=add(controller.memories, record, table))


def save_memories(path: Path, memories: Memories) -> Path:
    """Write memories as ``.npz``; :func:`ciliary.agents.controllers.memory.load_memories` reads them."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        statistics=memories.statistics.astype(np.float32),
        u=memories.u.astype(np.float32),
        gain=memories.gain,
        mark=np.array(memories.mark, dtype=np.str_),
        names=np.array(memories.names, dtype=np.str_),
        parameters=np.array(memories.parameters, dtype=np.str_),
    )
    return write_atomically(path, buffer.getvalue())


def _is_wanted(record: Mapping[str, Any], mark: str | None, without: Container[str]) -> bool:
    is_of_the_objective = mark is None or record.get("objective") == mark
    return is_of_the_objective and record.get("image") not in without and record.get("fingerprint") not in without


def _rows_of(record: Mapping[str, Any], table: ParameterTable) -> Iterator[Row]:
    """One row, or none if the record has nothing to remember: it was written by people's programs, so doubt it."""
    try:
        names = tuple(record["parameters"])
        if record["status"] != "FINISHED" or not any(name in table for name in names):
            return
        statistics = np.array(record["statistics"], dtype=np.float64)
        u = table.align(names, np.array([record["history"]["u"][record["i_chosen"]]], dtype=np.float64))[0][0]
        gain = float(record["before"]["total"]) - float(record["after"]["total"])
    except (KeyError, IndexError, TypeError, ValueError):
        return
    is_whole = statistics.ndim == 1 and np.abs(u).max() <= 1 + 1e-6
    if is_whole and np.isfinite([*statistics, gain]).all():  # the setting's own nan fails the bound above
        name = f"{record.get('fingerprint')}|{record.get('disturbance')}"
        yield statistics, u, gain, str(record.get("objective")), name


def _rows(memories: Memories) -> Iterator[Row]:
    return zip(memories.statistics, memories.u, memories.gain, memories.mark, memories.names, strict=True)


def _stack(rows: Iterable[Row], table: ParameterTable) -> Memories:
    rows = list(rows)
    rows = [row for row in rows if len(row[0]) == len(rows[-1][0])]
    if not rows:
        return Memories(np.zeros((0, 0)), np.zeros((0, len(table))), np.zeros(0), (), (), table.names)
    statistics, u, gain, mark, names = zip(*rows, strict=True)
    return Memories(np.stack(statistics), np.stack(u), np.array(gain), mark, names, table.names)
