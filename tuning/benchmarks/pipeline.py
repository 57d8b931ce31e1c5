"""A session as a queue: images go through stages, each served by a crew, and all crews share the cores.

By events, with processor sharing: while more services are under way than there are cores, each goes on at its share of
them. What it is told are service times that were measured; what it says can be held against a session that was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

_DONE_S = 1e-9  # of service left: rounding


@dataclass(frozen=True)
class Stage:
    """What is done to every image.

    Attributes:
        name: of it.
        crew: who does it.
        service_s: what it takes one alone on a core; each image's is drawn from these.
    """

    name: str
    crew: str
    service_s: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.service_s) == 0 or not np.isfinite(self.service_s).all() or min(self.service_s) < 0:
            raise ValueError(f"{self.name}: expected one or more service times >= 0 s, got {self.service_s}")


@dataclass(frozen=True, eq=False)
class Flow:
    """What came of N images.

    Attributes:
        arrived_s, finished_s: (N,) of each.
        served_s: crew -> server seconds that it was busy, slowed by shared cores where they were.
        servers: crew -> how many.
    """

    arrived_s: np.ndarray
    finished_s: np.ndarray
    served_s: Mapping[str, float]
    servers: Mapping[str, int]

    @property
    def span_s(self) -> float:
        """From the first arrival to the last end."""
        return float(self.finished_s.max() - self.arrived_s.min())

    @property
    def per_s(self) -> float:
        """Images a second, once the queue has filled: from the end of the first to that of the last."""
        ends = np.sort(self.finished_s)
        return float((len(ends) - 1) / (ends[-1] - ends[0])) if len(ends) > 1 else float("nan")

    @property
    def utilisation(self) -> dict[str, float]:
        """Crew -> share of its servers' time that they were busy."""
        return {name: busy / (self.servers[name] * self.span_s) for name, busy in self.served_s.items()}

    @property
    def sojourn_s(self) -> float:
        """Mean time of an image from its arrival to its end, waits included."""
        return float((self.finished_s - self.arrived_s).mean())

    @property
    def n_inside(self) -> float:
        """Mean number of images that had come and not ended."""
        return float((self.finished_s - self.arrived_s).sum() / self.span_s)


def simulate(
    stages: Sequence[Stage],
    crews: Mapping[str, int],
    n_images: int,
    *,
    n_cores: float = np.inf,
    arrived_s: Sequence[float] | None = None,
    most_open: int | None = None,
    seed: int = 0,
) -> Flow:
    """Send ``n_images`` through the stages in their order.

    A crew may serve several stages, as a session's main process does; it takes the image that has come farthest, of
    equals the first.

    Args:
        stages: one or more.
        crews: servers of each crew.
        n_images: >= 1.
        n_cores: that all services share.
        arrived_s: rising; all at 0 when None, as a folder's do.
        most_open: images between first stage and end at any time, as a session reads only so many ahead.
        seed: of the draws of service times.

    Raises:
        ValueError: no stage, a crew that is not there, a number that is none.
    """
    if not stages or n_images < 1 or n_cores <= 0 or (most_open is not None and most_open < 1):
        raise ValueError(f"expected stages, n_images >= 1 and n_cores > 0, got {len(stages)}, {n_images}, {n_cores}")
    if missing := {stage.crew for stage in stages} - {name for name, n in crews.items() if n >= 1}:
        raise ValueError(f"expected a crew of one or more for each stage, got none of {', '.join(sorted(missing))}")
    rng = np.random.default_rng(seed)
    needed = np.stack([rng.choice(np.asarray(stage.service_s, float), n_images) for stage in stages], 1)
    arrived = np.zeros(n_images) if arrived_s is None else np.asarray(arrived_s, float)
    return _Run(stages, crews, needed, arrived, n_cores, most_open or n_images).flow()


class _Run:
    def __init__(
        self,
        stages: Sequence[Stage],
        crews: Mapping[str, int],
        needed: np.ndarray,
        arrived: np.ndarray,
        n_cores: float,
        most_open: int,
    ) -> None:
        self.stages, self.crews, self.needed, self.arrived = stages, crews, needed, arrived
        self.n_cores, self.most_open = n_cores, most_open
        self.now, self.n_open, self.n_come, self.n_ended = 0.0, 0, 0, 0
        self.outside: deque[int] = deque()
        self.queues: dict[str, list[tuple[int, int]]] = {name: [] for name in crews}  # heaps of (-stage, image)
        self.left: dict[tuple[int, int], float] = {}  # (image, stage) under way -> service left
        self.busy = dict.fromkeys(crews, 0)
        self.served = dict.fromkeys(crews, 0.0)
        self.finished = np.full(len(arrived), np.nan)

    def flow(self) -> Flow:
        n = len(self.arrived)
        while self.n_ended < n:
            self._admit()
            if not self.left and self.n_come < n:
                self.now = max(self.now, float(self.arrived[self.n_come]))
                continue
            rate = min(1.0, self.n_cores / len(self.left))
            step = min(self.left.values()) / rate
            if self.n_come < n:
                step = min(step, max(0.0, float(self.arrived[self.n_come]) - self.now))
            self._pass(step, rate)
        return Flow(self.arrived, self.finished, self.served, dict(self.crews))

    def _admit(self) -> None:
        """Who has come goes in, and who can be served is."""
        while self.n_come < len(self.arrived) and self.arrived[self.n_come] <= self.now:
            self.outside.append(self.n_come)
            self.n_come += 1
        while self.outside and self.n_open < self.most_open:
            self.n_open += 1
            self._queue(self.outside.popleft(), 0)
        for crew, queue in self.queues.items():
            while queue and self.busy[crew] < self.crews[crew]:
                behind, image = heappop(queue)
                self.left[image, -behind] = float(self.needed[image, -behind])
                self.busy[crew] += 1

    def _queue(self, image: int, stage: int) -> None:
        heappush(self.queues[self.stages[stage].crew], (-stage, image))

    def _pass(self, step: float, rate: float) -> None:
        """Time passes; what is done goes on to its next stage."""
        self.now += step
        for crew, n in self.busy.items():
            self.served[crew] += n * step
        for at in list(self.left):
            self.left[at] -= step * rate
            if self.left[at] > _DONE_S:
                continue
            image, stage = at
            del self.left[at]
            self.busy[self.stages[stage].crew] -= 1
            if stage + 1 < len(self.stages):
                self._queue(image, stage + 1)
            else:
                self.finished[image] = self.now
                self.n_open -= 1
                self.n_ended += 1
