"""Repeated calls, timed twice: by the clock on the wall, and by the processor, which other jobs leave alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

try:
    import resource
except ImportError:  # of Windows
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Quartiles:
    """Of repeated measurements, in ms."""

    median_ms: float
    q25_ms: float
    q75_ms: float

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Quartiles:
        """Summarise a list of times."""
        q25, q50, q75 = np.percentile(times_ms, [25, 50, 75])
        return cls(float(q50), float(q25), float(q75))


@dataclass(frozen=True)
class Timing(Quartiles):
    """Median and quartiles of repeated calls, in ms.

    Attributes:
        n: calls that count.
        processor: time of all threads of this process and of the processes it waited for; None where only the wall's
            was taken. It hardly grows when the machine is shared, the wall's does.
    """

    n: int = 0
    processor: Quartiles | None = None

    @classmethod
    def of(cls, times_ms: Sequence[float], processor_ms: Sequence[float] | None = None) -> Timing:
        """Summarise times by the wall, and by the processor if they were taken."""
        wall = Quartiles.of(times_ms)
        processor = None if processor_ms is None else Quartiles.of(processor_ms)
        return cls(wall.median_ms, wall.q25_ms, wall.q75_ms, len(times_ms), processor)


About = dict[str, str | int | float]
"""What else shapes a time."""


@dataclass(frozen=True)
class Measured:
    """One line of a record.

    Attributes:
        part: of the benchmark.
        name: what was done.
        unit: what one time is of, such as ``image`` or ``step``.
        timing: per unit.
        about: size, population, device and the like.
    """

    part: str
    name: str
    unit: str
    timing: Timing
    about: About

    @property
    def per_s(self) -> float:
        """Units in a second, by the median."""
        return 1000 / self.timing.median_ms


class Watch:
    """Times calls by both clocks.

    Args:
        synchronise: called before each look at the clock; an accelerator works on after a call has returned.
    """

    def __init__(self, synchronise: Callable[[], object] | None = None) -> None:
        self._synchronise = synchronise or (lambda: None)
        self.wall_ms: list[float] = []
        self.processor_ms: list[float] = []

    def time(self, call: Callable[[], object], *, n_units: int = 1) -> None:
        """Call once; a unit is one of ``n_units`` equal parts of it."""
        self._synchronise()
        wall, processor = time.perf_counter(), processor_s()
        call()
        self._synchronise()
        self.processor_ms.append(1000 * (processor_s() - processor) / n_units)
        self.wall_ms.append(1000 * (time.perf_counter() - wall) / n_units)

    def add(self, other: Watch) -> None:
        """What another has timed, too."""
        self.wall_ms += other.wall_ms
        self.processor_ms += other.processor_ms

    @property
    def timing(self) -> Timing:
        """Of all calls so far."""
        return Timing.of(self.wall_ms, self.processor_ms)


def repeat(
    call: Callable[[], object],
    *,
    n_repeats: int,
    n_warmup: int = 1,
    n_units: int = 1,
    synchronise: Callable[[], object] | None = None,
) -> Timing:
    """Call ``n_warmup`` times for nothing, then ``n_repeats`` times by the clock."""
    for _ in range(n_warmup):
        call()
    watch = Watch(synchronise)
    for _ in range(n_repeats):
        watch.time(call, n_units=n_units)
    return watch.timing


def each(calls: Iterable[Callable[[], object]], *, n_units: int = 1) -> Timing:
    """Each call once, after the first, which is for warming up."""
    watch = Watch()
    for i, call in enumerate(calls):
        if i == 0:
            call()
        else:
            watch.time(call, n_units=n_units)
    return watch.timing


def processor_s() -> float:
    """Processor seconds of this process, all threads, and of its children that ended."""
    times = os.times()
    own = time.process_time()
    if resource is None:
        return own
    return own + times.children_user + times.children_system


def peak_mb() -> float:
    """Most memory that this process ever held, in MB; nan where it cannot be known."""
    if resource is None:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
