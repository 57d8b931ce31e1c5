"""Measuring many cases side by side, one file a case, so that an interrupted measurement goes on where it stood."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import re
import time
import traceback
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.tuning.cli.processor import be_worker
from ciliary.tuning.runs.files import write_atomically


@dataclass(frozen=True)
class Case:
    """What is looked at: an image by name, how it is disturbed ("none", or kind and severity: "fog:3"), a seed."""

    image: str
    disturbance: str = "none"
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.image} {self.disturbance} seed {self.seed}"


# (image of the data, case, settings u (S, P)) -> column name -> (S,)
Measure = Callable[[Any, Case, np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Shard:
    """What was measured on one case: column name -> (S,) float32, and the seconds it took."""

    case: Case
    columns: dict[str, np.ndarray]
    seconds: float


def fingerprint(u: np.ndarray, meta: Mapping[str, Any]) -> str:
    """16 hex digits that change with any setting and anything in ``meta``."""
    described = json.dumps({"shape": u.shape, "meta": meta}, sort_keys=True, default=str)
    return hashlib.sha256(described.encode() + np.ascontiguousarray(u, dtype="<f4").tobytes()).hexdigest()[:16]


def case_mark(mark: str, digest: str | None) -> str:
    """The fingerprint of a table with what is in the image's files: of other files of one name nothing is taken."""
    return f"{mark} {digest}" if digest else mark


def shard_path(folder: Path, case: Case) -> Path:
    """File of a case: readable, and different for different cases whatever their names hold."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{case.image}_{case.disturbance}_{case.seed}")[-80:]
    return folder / f"{readable}_{hashlib.sha256(json.dumps(asdict(case)).encode()).hexdigest()[:8]}.npz"


def write_shard(folder: Path, shard: Shard, *, mark: str) -> Path:
    """Write a shard whole or not at all; ``mark`` is the fingerprint of its table."""
    buffer = io.BytesIO()
    names = sorted(shard.columns)
    about = json.dumps({"case": asdict(shard.case), "mark": mark, "names": names, "seconds": shard.seconds})
    np.savez(buffer, about=np.array(about), values=np.stack([shard.columns[name] for name in names]))
    return write_atomically(shard_path(folder, shard.case), buffer.getvalue())


def read_shard(folder: Path, case: Case, *, mark: str) -> Shard | None:
    """The shard of a case; None when there is none, when it is damaged or when it belongs to another table."""
    try:
        with np.load(shard_path(folder, case), allow_pickle=False) as file:
            about, values = json.loads(str(file["about"])), file["values"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if about["mark"] != mark or about["case"] != asdict(case):
        return None
    return Shard(case, dict(zip(about["names"], values, strict=True)), about["seconds"])


def measure_case(data: Sequence[Any], i_image: int, case: Case, u: np.ndarray, measure: Measure) -> Shard:
    """Measure one case and check what came back.

    Raises:
        ValueError: no column, or a column that is not one number a setting.
    """
    start = time.perf_counter()
    columns = {name: np.asarray(values, np.float32) for name, values in measure(data[i_image], case, u).items()}
    wrong = {name: values.shape for name, values in columns.items() if values.shape != (len(u),)}
    if wrong or not columns:
        raise ValueError(f"the measure must return columns of shape ({len(u)},), one number a setting; got {wrong}")
    return Shard(case, columns, time.perf_counter() - start)


@dataclass(frozen=True)
class _Work:
    """What a worker needs for any case; pickled once a worker."""

    data: Sequence[Any]
    u: np.ndarray
    measure: Measure
    folder: Path
    marks: Mapping[str, str]

    def __call__(self, i_image: int, case: Case) -> None:
        mark = self.marks[case.image]
        write_shard(self.folder, measure_case(self.data, i_image, case, self.u, self.measure), mark=mark)


def measure_cases(
    data: Sequence[Any],
    cases: Sequence[tuple[int, Case]],
    u: np.ndarray,
    measure: Measure,
    *,
    folder: Path,
    marks: Mapping[str, str],
    n_workers: int,
) -> Generator[tuple[Case, str], None, None]:
    """Measure the cases, each with the index of its image; yields each as it ends, with what went wrong, if anything.

    With one worker, or one case, this process does the work, as its program has set it up. More workers are fresh
    processes of one thread each, which flush denormals; closing the iterator, or Ctrl-C, ends them. Shards are whole in
    any case. ``marks``: of the shards of each image, see :func:`case_mark`.

    Raises:
        RuntimeError: a worker was killed, most likely for lack of memory.
    """
    work = _Work(data, u, measure, folder, marks)
    if min(n_workers, len(cases)) <= 1:  # a worker takes seconds to start
        for i_image, case in cases:
            yield case, _try(work, i_image, case)
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork after torch has started its threads may hang
    pool = ProcessPoolExecutor(min(n_workers, len(cases)), context, initializer=_start_worker, initargs=(work,))
    try:
        futures = {pool.submit(_in_worker, i_image, case): case for i_image, case in cases}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"a worker died before its case was measured (often: out of memory). What was measured is kept in "
            f"{folder}; run the same again, with fewer than {n_workers} workers"
        ) from error
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _try(work: _Work, i_image: int, case: Case) -> str:
    """Empty, or the error and where it came from; one bad case must not cost the others."""
    try:
        work(i_image, case)
    except Exception as error:  # noqa: BLE001 -- reported with the case
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    return ""


_work: _Work | None = None  # of this worker process


def _start_worker(work: _Work) -> None:
    global _work  # noqa: PLW0603 -- how a pool's initialiser leaves something for its tasks
    _work = work
    be_worker(1)


def _in_worker(i_image: int, case: Case) -> str:
    assert _work is not None
    return _try(_work, i_image, case)
