"""What a folder of pictures takes: the whole job with no figures, its stages one by one, and both held together."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ciliary.agents.episode import Progress
from ciliary.tuning.benchmarks.pipeline import Flow, Stage, simulate
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed_pictures import make_pictures
from ciliary.tuning.benchmarks.timing import About, Measured, Timing, Watch, processor_s
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.bench import Bench
from ciliary.tuning.sessions.conduct import begin, end
from ciliary.tuning.sessions.inputs import Input, collect, mark_of
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.outcome import Outcome
from ciliary.tuning.sessions.resume import Session
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.task import Task

WORKERS = (1, 2)
STAGES = ("read", "begin", "play", "keep", "track")  # of an image, in their order
N_SIMULATED = 3000
SIMULATED_WORKERS = (1, 2, 4, 8, 16, 32, 64)


def measure_folder(settings: BenchmarkSettings, *, device: str = "cpu") -> Iterator[Measured]:
    """A folder with one worker and with two; going on where all is done; the stages of an image; what a queue says."""
    with one_thread(), tempfile.TemporaryDirectory() as scratch:
        folder = make_pictures(Path(scratch) / "in", settings.n_images, settings.episode_sizes_px[0], settings.seed)
        asked = SessionSettings(
            (str(folder),),
            controller=settings.controller,
            size_px=settings.episode_sizes_px[0],
            device=device,
            is_bare=True,
            n_threads=1,  # of each worker: the cores are shared by workers, not by threads
            seed=settings.seed,
            **settings.of_cortex(settings.controller),
        )
        about: About = {
            "size_px": asked.size_px,
            "controller": asked.controller,
            "device": device,
            "n_images": settings.n_images,
        }
        services = service_times(replace(asked, out=Path(scratch) / "before"))
        sessions = []
        for n_workers in WORKERS:
            out = Path(scratch) / f"workers{n_workers}"
            sessions.append((n_workers, *_whole(replace(asked, out=out, n_workers=n_workers))))
        again = Watch()
        done = replace(asked, out=Path(scratch) / f"workers{WORKERS[0]}", is_resumed=True)
        again.time(partial(_run, done, _Clock()), n_units=settings.n_images)
        for name, watch in service_times(replace(asked, out=Path(scratch) / "after")).items():
            services[name].add(watch)  # the sessions lie between: a machine that is shared changes
        for name, watch in services.items():
            yield Measured("folder", name, "image", watch.timing, about)
        for n_workers, timing, more in sessions:
            flow = simulated(services, n_workers=n_workers, n_cores=os.cpu_count() or 1)
            told = {**about, "n_workers": n_workers, **more, "simulated_per_s": round(flow.per_s, 4)}
            yield Measured("folder", f"session, {n_workers} workers", "image", timing, told)
        yield Measured("folder", "going on where all is done", "image", again.timing, about)
        yield from _more_workers(services, about)


def service_times(asked: SessionSettings) -> dict[str, Watch]:
    """Each stage of each image alone, one after the other, as a session does it; the first image warms up."""
    watches = {name: Watch() for name in STAGES}
    inputs = _inputs(asked)
    store = open_store(asked.out)
    session = begin(store, asked)
    outcome = Outcome(session.name, session.folder, store.command)
    bench = Bench(asked, make_env(asked), make_controller(asked), None, session.folder)
    status = "FAILED"
    try:
        for i, item in enumerate(inputs):
            one = _One(session, bench, asked, item)
            for name, watch in watches.items():
                (Watch() if i == 0 else watch).time(getattr(one, name))
        status = "FINISHED"
    finally:
        end(session, outcome, status)
    return watches


@contextmanager
def one_thread() -> Iterator[None]:
    """The main process has as many threads of computation as a worker has: one."""
    n_before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_before)


def _more_workers(services: Mapping[str, Watch], about: About) -> Iterator[Measured]:
    """What the queue says of machines that are not here: a core for each worker and one for the main process."""
    for n_workers in SIMULATED_WORKERS:
        flow = simulated(services, n_workers=n_workers, n_cores=n_workers + 1, is_idle=True)
        told = {**about, "n_workers": n_workers, "n_cores": n_workers + 1, "per_s": round(flow.per_s, 4)}
        told |= {f"busy_{name}": round(share, 3) for name, share in flow.utilisation.items()}
        yield Measured("queue", f"{n_workers} workers", "image", Timing.of([1000 / flow.per_s]), told)


def simulated(services: Mapping[str, Watch], *, n_workers: int, n_cores: int, is_idle: bool = False) -> Flow:
    """The queue of a session by the stages' times.

    One worker does all but the reading; of more, the main process begins and tracks, and they play and keep.

    Args:
        services: of the stages.
        n_workers: of the session.
        n_cores: that all share.
        is_idle: the times are the processor's, as on a machine that nobody else uses; waits for the disk are left out.
    """
    crew = dict.fromkeys(STAGES, "main") | {"read": "reader"}
    if n_workers > 1:
        crew |= {"play": "workers", "keep": "workers"}
    times = {name: watch.processor_ms if is_idle else watch.wall_ms for name, watch in services.items()}
    stages = [Stage(name, crew[name], [one / 1000 for one in ms]) for name, ms in times.items()]
    crews = {"reader": 1, "main": 1, "workers": n_workers}
    # the reader is two ahead, and there is one task more than there are workers
    return simulate(stages, crews, N_SIMULATED, n_cores=n_cores, most_open=n_workers + 3)


class _One:
    """An image on its way."""

    def __init__(self, session: Session, bench: Bench, asked: SessionSettings, item: Input) -> None:
        self._session, self._bench, self._asked, self._item = session, bench, asked, item

    def read(self) -> None:
        self._photograph = self._item.load()
        self._key = self._asked.key(self._item.name, mark_of(self._photograph), "none")

    def begin(self) -> None:
        tags, params = {"key": self._key, **asdict(self._key)}, tracking.episode_params(self._asked, self._key)
        self._run = self._session.episode(name=self._item.name, tags=tags, params=params)

    def play(self) -> None:
        task = Task(self._item.label, self._photograph, self._key, self._item.name, is_drawn=False)
        made = self._bench.do(task, on_batch=lambda _: None, keep=lambda _: None)
        if not isinstance(made, Made):
            raise RuntimeError(f"{self._item.label}: {made}")
        self._made = made

    def keep(self) -> None:
        records.append(self._session.folder / records.FILE, self._made.record)

    def track(self) -> None:
        tracking.track_episode(self._run, self._made)


@dataclass
class _Clock:
    """A display that notes when episodes end, and what lies in a folder when the first and the last do."""

    n_episodes: int = 0
    out: Path | None = None
    files: list[tuple[int, int]] = field(default_factory=list)  # number and bytes
    ends_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def begin(self, session: Session, n_episodes: int) -> None:
        self.n_episodes = n_episodes

    def episode(self, title: str) -> None:
        """Nothing to show."""

    def batch(self, progress: Progress) -> None:
        """Nothing to show."""

    def done(self, *, was_done_before: bool) -> None:
        self.ends_s.append(time.perf_counter())
        self.processor_s.append(processor_s())
        if self.out is not None and len(self.ends_s) in (1, self.n_episodes):
            sizes = [path.stat().st_size for path in self.out.rglob("*") if path.is_file()]
            self.files.append((len(sizes), sum(sizes)))

    def note(self, text: str) -> None:
        """Nothing to show."""

    def problem(self, text: str) -> None:
        self.problems.append(text)


def _whole(asked: SessionSettings) -> tuple[Timing, About]:
    """Between the ends of episodes, which leaves out how a session starts; and what it took in all."""
    clock, start = _Clock(out=asked.out), (time.perf_counter(), processor_s())
    _run(asked, clock)
    in_all = time.perf_counter() - start[0], processor_s() - start[1]
    n = len(clock.ends_s)
    intervals = np.diff(clock.ends_s) * 1000
    n_files, n_bytes = (last - first for first, last in zip(*clock.files, strict=True))
    alone = list(np.diff(clock.processor_s) * 1000) if asked.n_workers == 1 else None  # workers' is known at the end
    more: About = {
        "per_s": round((n - 1) / (clock.ends_s[-1] - clock.ends_s[0]), 4),
        "start_s": round(clock.ends_s[0] - start[0], 2),
        "processor_s_in_all": round(in_all[1], 2),
        "seconds_in_all": round(in_all[0], 2),
        "kb_per_image": round(n_bytes / (n - 1) / 1024, 1),
        "files_per_image": round(n_files / (n - 1), 2),
    }
    return Timing.of(list(intervals), alone), more


def _run(asked: SessionSettings, clock: _Clock) -> None:
    outcome = run_session(asked, _inputs(asked), make_env=make_env, display=clock)
    if outcome.problems:
        raise RuntimeError(f"{len(outcome.problems)} images failed, such as: {outcome.problems[0]}")


def _inputs(asked: SessionSettings) -> Sequence[Input]:
    return collect(asked.images, asked.size_px)[0]
