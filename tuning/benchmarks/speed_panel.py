"""What an image costs before anybody searches: the looks that objectives compare with; and a whole episode of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import torch

from ciliary.cortex.device import device_of
from ciliary.cortex.floats import single_precision
from ciliary.cortex.integration.looks import Looks
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.options import cortex_name
from ciliary.cortex.perceivers import make_glancing, make_perceiver
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.looks import look_at
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed_percept import synchroniser
from ciliary.tuning.benchmarks.speed_pictures import make_pictures, photograph
from ciliary.tuning.benchmarks.timing import About, Measured, each, repeat
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.sessions.bench import Bench
from ciliary.tuning.sessions.inputs import collect
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.task import Task

CONTROLLERS = ("panel", "policy")  # the default, and the one that answers with a single setting at once


@single_precision
@torch.no_grad()
def measure_panel(settings: BenchmarkSettings, *, device: str = "cpu") -> Iterator[Measured]:
    """What the panel of ``calibrated`` takes an image, and the looks of an episode with what they come to."""
    cortex = make_perceiver(settings.cortex, device=device)
    calibrated = Evaluator(cortex, make_objective("calibrated", perceiver=cortex_name(settings.inherited)))
    seer = make_glancing(settings.cortex, device=device)
    chosen = make_objective("looks", perceiver=seer.name)
    chosen.check(seer)
    starts = torch.as_tensor(chosen.starts)
    timed = partial(repeat, n_repeats=settings.n_repeats, synchronise=synchroniser(device))
    for size_px in settings.sizes_px:
        image = photograph(size_px)[None]
        batch = calibrated.look(image, [settings.seed])
        images = batch.images[:, 0]
        about: About = {"size_px": size_px, "device": device, "inherited": settings.inherited}

        def compare_with(images: torch.Tensor = images, batch: object = batch) -> object:
            return calibrated.objective.make_panel(cortex, images, batch.cues, batch.reference)  # type: ignore[attr-defined]

        n_members = len(batch.panel.promise[0]) if batch.panel is not None else 0
        if n_members:
            yield Measured("panel", f"panel of {n_members} (calibrated)", "image", timed(compare_with), about)
        own = image.to(device_of(seer))
        looks = look_at(seer, own, starts, None)  # who glances takes no cues
        others = (own.roll(i, -1) for i in count(1))  # it remembers what it saw: each time another picture

        def look(others: Iterator[torch.Tensor] = others) -> object:
            return look_at(seer, next(others), starts, None)

        yield Measured("panel", f"{len(starts)} looks", "image", timed(look), about)

        def put_together(looks: Looks = looks) -> object:
            return integrate(looks).labels()

        together = timed(put_together)
        yield Measured("panel", f"{len(starts)} looks put together", "image", together, about)


def measure_episodes(settings: BenchmarkSettings, *, device: str = "cpu") -> Iterator[Measured]:
    """Whole episodes as a session plays and keeps them, with nothing drawn and nothing tracked."""
    for controller in CONTROLLERS:
        for size_px in settings.episode_sizes_px:
            asked = SessionSettings(
                controller=controller,
                size_px=size_px,
                device=device,
                is_bare=True,
                seed=settings.seed,
                **settings.of_cortex(controller),
            )
            with tempfile.TemporaryDirectory() as scratch:
                folder = make_pictures(Path(scratch) / "in", settings.n_repeats + 1, size_px, settings.seed)
                timing = each(_episodes(asked, folder, Path(scratch)))
            about: About = {"size_px": size_px, "device": device, "inherited": asked.inherited}
            yield Measured("episode", f"{controller}, {asked.answer}", "image", timing, about)


def _episodes(asked: SessionSettings, pictures: Path, folder: Path) -> Iterator[Callable[[], object]]:
    """An episode a picture: what was seen before is remembered, and would cost nothing."""
    bench = Bench(asked, make_env(asked), make_controller(asked), None, folder)
    for item in collect([pictures], asked.size_px)[0]:
        key = asked.key(item.name, digest(item.name.encode()), "none")
        task = Task(item.label, item.load(), key, item.name, is_drawn=False)

        def play(task: Task = task) -> None:
            result = bench.do(task, on_batch=lambda _: None, keep=partial(records.append, folder / records.FILE))
            if isinstance(result, Exception):
                raise result

        yield play
