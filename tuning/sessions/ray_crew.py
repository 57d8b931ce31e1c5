"""Episodes done by the workers of a Ray cluster, each an actor with a device of its own.

The session's process gives out one episode at a time to each, takes back what comes, and alone writes it down. Only a
worker's answer counts: one that is lost is replaced and its episode done again, so that nothing stands twice.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.crew import PATIENCE_S
from ciliary.tuning.sessions.job import Equipment
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.outcome import first_line
from ciliary.tuning.sessions.ray_cluster import EngineError, Membership, count_gpus, find_address, import_ray
from ciliary.tuning.sessions.ray_worker import Delivery, RayWorker, mark
from ciliary.tuning.sessions.task import Cut, Result, Task

MOST_TRIES = 3  # of an episode whose workers die
MOST_STARTS = 3  # of workers that cannot begin, one after the other
_SILENCE_S = 60.0  # without a worker, until it is said


@dataclass(eq=False)
class _Hand:
    """A worker, and what it is at: nothing, its start (no task), or a task."""

    actor: Any
    at: Any = None
    task: Task | None = None
    is_ready: bool = False


class RayCrew:
    """Workers of a cluster; see :class:`~ciliary.tuning.sessions.crew.Crew`. One a GPU, where the cluster has GPUs.

    Args:
        equipment: of each; ``settings`` say how many, with how many threads, and where the cluster is.
        stopper: knows whether a signal has come.
        say: is told, in a line, of workers that are lost and of a cluster that has no room.

    Raises:
        EngineError: Ray is not installed, or there is no such cluster.
        Stopped: a signal has come before it was joined.
    """

    def __init__(self, equipment: Equipment[Any], stopper: Stopper, say: Callable[[str], object]) -> None:
        settings = equipment.settings
        self._equipment, self._stopper, self._say = equipment, stopper, say
        self._n_threads = settings.n_threads or 1
        self._ray = import_ray()
        n_cpus = settings.n_workers * self._n_threads
        self._cluster = Membership(self._ray, find_address(settings.address), n_cpus=n_cpus, check=stopper.check)
        n_gpus = 0 if settings.device == "cpu" else count_gpus(self._ray)
        self.n = n_gpus or settings.n_workers
        #: What an actor asks for; Ray starts none again and does nothing twice of itself: whose image it was counts.
        self._asks = {
            "num_cpus": self._n_threads,
            "num_gpus": 1 if n_gpus else 0,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        known = self._ray.exceptions
        self._lost = (known.RayActorError, known.ObjectLostError, known.OutOfMemoryError, known.WorkerCrashedError)
        self._class = self._ray.remote(concurrency_groups={"control": 1})(RayWorker)
        self._hands: list[_Hand] = []
        self._i_round = 0
        self._n_failed, self._last_ready_s = 0, time.monotonic()
        self._mark = mark(settings)

    def run(self, tasks: Iterable[Task], *, is_stoppable: bool = True) -> Iterator[tuple[Task, Result]]:
        """See :class:`~ciliary.tuning.sessions.crew.Crew`.

        Raises:
            EngineError: no worker can begin.
        """
        left, again, n_tries = iter(tasks), deque[Task](), dict[str, int]()
        self._i_round += 1
        is_stopped, has_more = False, True
        while True:
            if is_stoppable and self._stopper.is_asked and not is_stopped:
                is_stopped = True
                self._cut_all()
            if is_stopped:
                yield from ((task, Cut()) for task in (*again, *left))
                again.clear()
                has_more = False
            if has_more or again:
                n_busy = sum(hand.task is not None for hand in self._hands)
                self._hire(self.n if has_more else min(self.n, n_busy + len(again)))
                has_more = self._give_out(left, again)
            if not has_more and not again and not any(hand.task for hand in self._hands):
                return
            for hand in self._ended():
                if hand.task is None:
                    self._begun(hand)
                    continue
                task, result = hand.task, self._result(hand)
                if result is None:  # its worker is no more
                    n_tries[str(task.key)] = n_tries.get(str(task.key), 0) + 1
                    if is_stopped:
                        result = Cut()
                    elif (n := n_tries[str(task.key)]) < MOST_TRIES:
                        self._say(f"{task.label}: its worker died; done again, {n + 1} of {MOST_TRIES}")
                        again.append(task)
                        continue
                    else:
                        result = RuntimeError(f"its worker died {n} times (often: out of memory)")
                yield task, result

    def close(self) -> None:
        """See :class:`~ciliary.tuning.sessions.crew.Crew`."""
        for hand in self._hands:
            self._dismiss(hand)
        self._hands = []
        self._cluster.leave()

    def _give_out(self, left: Iterator[Task], again: deque[Task]) -> bool:
        """A task to each worker that has none; whether more tasks may come."""
        for hand in self._hands:
            if hand.is_ready and hand.task is None:
                task = again.popleft() if again else next(left, None)
                if task is None:
                    return False
                hand.task, hand.at = task, hand.actor.do.remote(task, self._i_round)
        return True

    def _hire(self, n: int) -> None:
        """Workers until there are n; they begin when the cluster has room."""
        while len(self._hands) < n:
            actor = self._class.options(**self._asks).remote()
            equipment = pickle.dumps(self._equipment)
            self._hands.append(_Hand(actor, actor.begin.remote(equipment, sys.path, str(Path.cwd()), self._n_threads)))

    def _ended(self) -> list[_Hand]:
        """Those that have ended what they were at, after a short wait for one that does."""
        waiting = {hand.at: hand for hand in self._hands if hand.at is not None}
        done, _ = self._ray.wait(list(waiting), num_returns=1, timeout=PATIENCE_S)
        if any(hand.is_ready for hand in self._hands):
            self._last_ready_s = time.monotonic()
        elif time.monotonic() - self._last_ready_s > _SILENCE_S:
            self._last_ready_s = time.monotonic()
            there = self._ray.available_resources()
            free = ", ".join(f"{there.get(kind, 0):g} {kind}" for kind in ("CPU", "GPU"))
            needs = f"{self._n_threads} CPU" + (" and a GPU" if self._asks["num_gpus"] else "")
            self._say(f"no worker has started for {_SILENCE_S:.0f} s: each needs {needs}, free are {free}; waiting")
        return [waiting[ref] for ref in done]

    def _begun(self, hand: _Hand) -> None:
        """A worker is ready, or cannot begin: it is replaced a few times."""
        try:
            found = self._ray.get(hand.at)
        except Exception as error:  # noqa: BLE001 -- Ray's, of an actor that died, or of what cannot be imported there
            found = error
        hand.at = None
        if found == self._mark:
            hand.is_ready, self._n_failed = True, 0
            return
        if not isinstance(found, Exception):
            found = RuntimeError("its machine has another version of Ciliary, or of a file that the settings name")
        self._dismiss(hand)
        self._hands.remove(hand)
        self._n_failed += 1
        if self._n_failed >= MOST_STARTS:
            self.n = len(self._hands)  # with those that are there
            line = f"a worker cannot begin: {first_line(getattr(found, 'cause', None) or found)}"
            if not self._hands:
                raise EngineError(line) from found
            self._say(line)

    def _result(self, hand: _Hand) -> Result | None:
        """What came of a worker's task, written down; None if the worker is lost."""
        assert hand.task is not None
        task, ref = hand.task, hand.at
        hand.task = hand.at = None
        try:
            delivery: Delivery = self._ray.get(ref)
        except self._lost:  # died, or cannot be reached: what it still does counts for nothing
            self._dismiss(hand)
            self._hands.remove(hand)
            return None
        except Exception as error:  # noqa: BLE001 -- what came back could not be read
            return error
        try:
            result = delivery.unpack(self._equipment.places)
            if isinstance(result, Made) and task.is_played and task.is_news(result.record):
                records.append(self._equipment.folder / records.FILE, result.record)
        except Exception as error:  # noqa: BLE001 -- of a full disk: this episode's failure
            return error
        return result

    def _cut_all(self) -> None:
        for hand in self._hands:
            with suppress(Exception):  # of one that is gone: seen when its task ends
                hand.actor.stop.options(concurrency_group="control").remote(self._i_round)

    def _dismiss(self, hand: _Hand) -> None:
        with suppress(Exception):  # of one that is gone
            self._ray.kill(hand.actor, no_restart=True)
