"""A worker of a Ray cluster: it plays and draws whole episodes, and sends everything back. It keeps nothing.

The machine may share no disk with the session. So figures and maps are drawn into a folder of the worker's own and
travel as bytes; the session writes them where they belong, and the record, which names them, after them.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ciliary.agents.episode import Progress
from ciliary.cortex.floats import single_precision
from ciliary.tuning.cli.processor import flush_denormals, keep_memory, use_threads
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import code_mark
from ciliary.tuning.runs.record import printable
from ciliary.tuning.sessions.crew import portable
from ciliary.tuning.sessions.job import Equipment, Workbench
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.options import SessionOptions
from ciliary.tuning.sessions.task import Cut, Result, Task


@dataclass(frozen=True, eq=False)
class Delivery:
    """What a worker sends back.

    Attributes:
        result: of the task; paths in it are the worker's.
        files: path in the worker's folder -> content.
        root: the worker's folder.
    """

    result: Result
    files: Mapping[str, bytes]
    root: str

    def unpack(self, places: Mapping[str, Path]) -> Result:
        """Write the files where the session has them; the result with their paths there.

        Args:
            places: of the session's equipment; each is a folder of the worker's.

        Raises:
            OSError: a file cannot be written.
        """
        for name, content in sorted(self.files.items(), key=lambda one: one[0].endswith(".json")):
            kind, _, rest = name.partition("/")
            write_atomically(places[kind] / rest, content)  # a map's JSON comes last: where it is, the maps are
        made = self.result
        if not isinstance(made, Made):
            return made
        heads = {printable(f"{self.root}/{kind}"): printable(str(place)) for kind, place in places.items()}
        files = {role: _moved(text, heads) for role, text in made.record["files"].items()}
        figures = {role: self._there(path, places) for role, path in made.figures.items()}
        return replace(made, record={**made.record, "files": files}, figures=figures)

    def _there(self, path: Path, places: Mapping[str, Path]) -> Path:
        kind, *rest = path.relative_to(self.root).parts
        return places[kind].joinpath(*rest)


class RayWorker:
    """What an actor is. ``stop`` runs beside the others; all else in one thread, which torch's settings belong to."""

    def __init__(self) -> None:
        self._stopped = 0  # the last round whose episodes are to be cut
        self._root = Path(tempfile.gettempdir()) / f"ciliary-{uuid.uuid4().hex}"
        self._bench: Workbench | None = None

    @single_precision
    def begin(self, equipment: bytes, paths: Sequence[str], place: str, n_threads: int) -> str | Exception:
        """Build the bench.

        Args:
            equipment: of the session, pickled: it may name what only ``paths`` lead to.
            paths: where the session's process finds modules, a user's own among them.
            place: working folder of that process, for relative paths; on another machine it may be missing.
            n_threads: of computation.

        Returns:
            What numbers depend on besides the images, see :func:`mark`; or why there is no bench.
        """
        try:
            if Path(place).is_dir():
                os.chdir(place)
            sys.path += [path for path in paths if path not in sys.path]
            use_threads(n_threads)
            flush_denormals()
            keep_memory()
            asked: Equipment[SessionOptions] = pickle.loads(equipment)
            own = asked.moved(self._root)
            self._bench = own.build()
            return mark(own.settings)
        except Exception as error:  # noqa: BLE001 -- told by the session
            return portable(error)

    @single_precision
    def do(self, task: Task, i_round: int) -> Delivery:
        """Play and draw an episode, of the session's i-th round of tasks."""
        assert self._bench is not None
        if self._stopped >= i_round:
            return Delivery(Cut(), {}, str(self._root))
        try:
            # whether its record is kept again is for the session to say, which knows the paths
            asked = replace(task, known=None) if task.is_played else task
            result = self._bench.do(asked, on_batch=partial(self._watch, i_round), keep=lambda record: None)
            result = portable(result) if isinstance(result, Exception) else result
            files = {path.relative_to(self._root).as_posix(): path.read_bytes() for path in self._written()}
            return Delivery(result, files, str(self._root))
        except Exception as error:  # noqa: BLE001 -- a full disk: this episode's failure
            return Delivery(portable(error), {}, str(self._root))
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def stop(self, i_round: int) -> None:
        """Cut the episode at work after its batch, and those to come in this round."""
        self._stopped = i_round

    def _written(self) -> list[Path]:
        return [path for path in sorted(self._root.rglob("*")) if path.is_file()]

    def _watch(self, i_round: int, progress: Progress) -> None:
        del progress
        if self._stopped >= i_round:
            raise KeyboardInterrupt


def mark(settings: SessionOptions) -> str:
    """What a machine computes with: the code, and the files that the settings name. Numbers of others are others."""
    return f"{code_mark()} {settings.fingerprint()}"


def _moved(text: str, heads: Mapping[str, str]) -> str:
    for head, place in heads.items():
        if text.startswith(head + "/"):
            return place + text[len(head) :]
    return text
