"""Who does the episodes of a session: this process, or workers, each a process that plays and draws whole episodes.

Those of a cluster are in :mod:`ciliary.tuning.sessions.ray_crew`.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from ciliary.agents.episode import Progress
from ciliary.tuning.cli.processor import be_worker, n_cores
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.job import Equipment, Workbench
from ciliary.tuning.sessions.task import Cut, Result, Task

PATIENCE_S = 0.2  # between looks whether somebody asked us to stop


class Crew(Protocol):
    """Does tasks."""

    def run(self, tasks: Iterable[Task], *, is_stoppable: bool = True) -> Iterator[tuple[Task, Result]]:
        """Each task with what came of it, in the order in which they end; no more are taken than can be done.

        Unless ``is_stoppable`` is False, episodes at work are cut when a signal has come.
        """

    def close(self) -> None:
        """Nothing more will be asked."""


class Alone:
    """This process does one task after the other.

    Args:
        bench: what it works with.
        on_batch: told of every batch.
        stopper: knows whether a signal has come.
    """

    def __init__(self, bench: Workbench, on_batch: Callable[[Progress], object], stopper: Stopper) -> None:
        self._bench, self._on_batch, self._stopper = bench, on_batch, stopper

    def run(self, tasks: Iterable[Task], *, is_stoppable: bool = True) -> Iterator[tuple[Task, Result]]:
        """See :class:`Crew`."""

        def watch(progress: Progress) -> None:
            self._on_batch(progress)
            if is_stoppable:
                self._stopper.check()

        file = self._bench.folder / records.FILE
        for task in tasks:
            yield task, self._bench.do(task, on_batch=watch, keep=partial(records.append, file))

    def close(self) -> None:
        """See :class:`Crew`."""


class Workers:
    """Fresh processes, which share the cores among them; a worker that dies costs its own episode, not the rest.

    Who dies takes the pool along. What was at work is done again one at a time, so that it is known whose fault it was.

    Args:
        n: how many.
        equipment: of each.
        stopper: knows whether a signal has come.
        say: is told, in a line, of a worker that died.
    """

    def __init__(self, n: int, equipment: Equipment[Any], stopper: Stopper, say: Callable[[str], object]) -> None:
        self.n, self._equipment, self._stopper, self._say = n, equipment, stopper, say
        self._context = multiprocessing.get_context("spawn")  # a fork after torch has started its threads may hang
        self._pool: ProcessPoolExecutor | None = None
        self._is_cut = False

    def run(self, tasks: Iterable[Task], *, is_stoppable: bool = True) -> Iterator[tuple[Task, Result]]:
        """See :class:`Crew`."""
        left, waiting, broken = iter(tasks), dict[Future[Result], Task](), list[Task]()
        has_more, self._is_cut = True, False
        if self._pool is not None:
            self._stop.clear()
        while has_more or waiting:
            while has_more and not broken and len(waiting) <= self.n:  # one more than workers, so that none waits
                task = next(left, None)
                has_more = task is not None
                if task is not None:
                    waiting[self._submit(task)] = task
            for future in self._ended(waiting, is_stoppable):
                task, result = waiting.pop(future), self._result(future)
                if result is None:
                    broken.append(task)
                else:
                    yield task, result
            if broken and not waiting:
                self._say(f"a worker died; done again, one by one: {', '.join(task.label for task in broken)}")
                yield from self._one_by_one(broken, is_stoppable)
                broken.clear()

    def close(self) -> None:
        """See :class:`Crew`."""
        if self._pool is not None:
            self._stop.set()
            for process in list((self._pool._processes or {}).values()):  # noqa: SLF001 -- public from Python 3.14 on
                process.terminate()  # all that was asked for is there, or nobody waits for it
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _one_by_one(self, tasks: Sequence[Task], is_stoppable: bool) -> Iterator[tuple[Task, Result]]:
        """What was at work when a worker died: what was kept by then is not kept again."""
        keys = {str(task.key) for task in tasks}
        file = self._equipment.folder / records.FILE
        kept = {r["key"]: r for r in records.stream(file) if r["key"] in keys and r.get("status") == "FINISHED"}
        for task in tasks:
            future = self._submit(replace(task, known=kept.get(str(task.key), task.known)))
            while not self._ended([future], is_stoppable):
                pass
            advice = "(often: out of memory); --resume does it again, with fewer --workers"
            yield task, self._result(future) or RuntimeError(f"a worker died {advice}")

    def _ended(self, futures: Collection[Future[Result]], is_stoppable: bool) -> set[Future[Result]]:
        """Those that have ended, after a short wait for one that does."""
        done, _ = wait(futures, timeout=PATIENCE_S, return_when=FIRST_COMPLETED)
        if is_stoppable and self._stopper.is_asked and self._pool is not None:
            self._is_cut = True
            self._stop.set()
        return done

    def _submit(self, task: Task) -> Future[Result]:
        if self._pool is None:
            n_threads = self._equipment.settings.n_threads or max(1, n_cores() // self.n)
            self._stop, lock = self._context.Event(), self._context.Lock()  # whoever died may have held the last ones
            if self._is_cut:
                self._stop.set()
            start = (self._equipment, n_threads, self._stop, lock)
            self._pool = ProcessPoolExecutor(self.n, self._context, initializer=_start, initargs=start)
        try:
            return self._pool.submit(_work, task)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
            return self._submit(task)

    def _result(self, future: Future[Result]) -> Result | None:
        """What came of a task; None if a worker died."""
        try:
            return future.result()
        except BrokenProcessPool:
            return None
        except Exception as error:  # noqa: BLE001 -- what came back could not be read
            return error


class _Worker:
    """What a worker process holds."""

    bench: Workbench | None = None
    error: Exception | None = None
    stop: Any
    lock: Any


def _start(equipment: Equipment[Any], n_threads: int, stop: Any, lock: Any) -> None:
    be_worker(n_threads)
    _Worker.stop, _Worker.lock = stop, lock
    try:
        _Worker.bench = equipment.build()
    except Exception as error:  # noqa: BLE001 -- said of each task: a pool would only be called broken
        _Worker.error = portable(error)


def _work(task: Task) -> Result:
    if _Worker.stop.is_set():
        return Cut()
    if _Worker.bench is None:
        return _Worker.error or RuntimeError("a worker has nothing to work with")
    result = _Worker.bench.do(task, on_batch=_watch, keep=_keep)
    return portable(result) if isinstance(result, Exception) else result


def _watch(progress: Progress) -> None:
    del progress
    if _Worker.stop.is_set():
        raise KeyboardInterrupt


def _keep(record: Mapping[str, Any]) -> None:
    with _Worker.lock:  # one line after the other
        assert _Worker.bench is not None
        records.append(_Worker.bench.folder / records.FILE, record)


def portable(error: Exception) -> Exception:
    """An error that arrives: some cannot be put together again from their parts."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 -- whatever pickle dislikes
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
