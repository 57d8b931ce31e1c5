"""One segmentation, checked; and many of them, in this process or shared by several."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # a worker process imports this file, and is not to wait for torch
    from ciliary.cortex.segmenters.percept import Labels

Segment = Callable[..., Any]
"""``segment(image, **parameters)``: an image (H, W, 3) float32 in [0, 1] and a number for each parameter to a label map
(H, W) of integers of any values."""


@dataclass(frozen=True)
class Task:
    """An image and the numbers it is to be segmented with."""

    pixels: np.ndarray[Any, np.dtype[np.float32]]  # (H, W, 3) in [0, 1]
    values: Mapping[str, float]
    place: str  # which image of how many, for messages


def segment_checked(segment: Segment, name: str, task: Task) -> Labels:
    """The function's label map, numbered 0 .. number of segments - 1 in the order of its own numbers.

    Raises:
        RuntimeError: the function failed; says with which numbers on which image, and of what.
        TypeError, ValueError: it returned something else than a label map of the image.
    """
    height, width = task.pixels.shape[:2]
    spelled = ", ".join(f"{key}={value:g}" for key, value in task.values.items())
    asked = f"{name}({spelled}) on {task.place}, {width} x {height} px"
    try:
        # a copy: what the function writes into its image must not reach the next setting
        answer = segment(task.pixels.copy(), **task.values)
    except Exception as error:
        raise RuntimeError(f"{asked}: {type(error).__name__}: {error}") from error
    labels = np.asarray(answer)
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == np.bool_):
        hint = "; if its values are labels, return labels.astype(int)" if labels.dtype.kind == "f" else ""
        raise TypeError(f"{asked}: expected a label map of integers, got {labels.dtype}{hint}")
    if labels.shape != (height, width):
        raise ValueError(f"{asked}: expected a label map of shape ({height}, {width}), got {labels.shape}")
    return np.unique(labels, return_inverse=True)[1].reshape(height, width).astype(np.int64)


class Workers:
    """Processes that segment: started when first needed, kept until :meth:`close` or the end of this object.

    A function that cannot be sent to another process is called in this one, with a warning that says why.
    """

    def __init__(self, segment: Segment, name: str, n_workers: int) -> None:
        if n_workers < 1:
            raise ValueError(f"expected n_workers >= 1, got {n_workers}")
        self.segment, self.name, self.n_workers = segment, name, n_workers
        self._pool: ProcessPoolExecutor | None = None
        self._end: Callable[[], object] | None = None

    def run(self, tasks: Sequence[Task]) -> list[Labels]:
        """The label map of each task, in their order; errors as :func:`segment_checked`."""
        if self.n_workers > 1 and len(tasks) > 1 and self._pool is None:
            self._start()
        if self._pool is None or len(tasks) < 2:
            return [segment_checked(self.segment, self.name, task) for task in tasks]
        n_at_once = -(-len(tasks) // (4 * self.n_workers))
        try:
            return list(self._pool.map(_work, tasks, chunksize=n_at_once))
        except BrokenProcessPool as error:
            self.close()
            raise RuntimeError(
                f"{self.name}: a worker process died on a batch of {len(tasks)} segmentations; n_workers=1 calls the "
                "function in this process, where it can be looked at"
            ) from error

    def close(self) -> None:
        """End the processes, if there are any; they start again when needed."""
        if self._end is not None:
            self._end()
        self._pool = self._end = None

    def _start(self) -> None:
        try:
            sent = pickle.dumps(self.segment)
            # spawned: a fork after torch has started its threads may hang
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(self.n_workers, context, _receive, (sent, self.name))
            end = weakref.finalize(self, pool.shutdown, wait=False, cancel_futures=True)
            try:
                pool.submit(int).result()  # does a worker come up, and does it find the function?
            except BrokenProcessPool:
                end()
                raise
        except Exception as error:  # noqa: BLE001 -- pickle raises what it likes
            reason = "worker processes cannot import it" if isinstance(error, BrokenProcessPool) else str(error)
            warnings.warn(
                f"{self.name} is called in this process alone and not in {self.n_workers} ({reason}); define it in a "
                "module of its own",
                RuntimeWarning,
                stacklevel=5,
            )
            self.n_workers = 1
            return
        self._pool, self._end = pool, end

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None, "_end": None}


_received: tuple[Segment, str] | None = None  # in a worker: what it was started for


def _receive(sent: bytes, name: str) -> None:
    global _received  # noqa: PLW0603 -- how a pool's initialiser leaves something for its tasks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to answer
    _received = pickle.loads(sent), name


def _work(task: Task) -> Labels:
    assert _received is not None
    return segment_checked(*_received, task)
