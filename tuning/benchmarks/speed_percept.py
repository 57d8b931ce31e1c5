"""What a percept and a candidate cost: per stage, alone and in a population, over sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ciliary.cortex import Cortex, default_unit
from ciliary.cortex.profile import watch
from ciliary.envs.batch import ImageBatch, make_batch
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.terms import Objective
from ciliary.envs.objective.views import sample_views
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed_pictures import photograph
from ciliary.tuning.benchmarks.timing import Timing, Watch, repeat


@dataclass(frozen=True)
class Row:
    """One scenario. Times are per candidate (one image and its views), but for the last two.

    Attributes:
        size_px: height, width.
        population: settings in one batch.
        candidate: whole.
        stages: retina, m1 ... m4, and the rest: objective and copies.
        look: views, cues and references: once per episode, whatever the number of candidates; per image.
        percept: one setting at the image alone, with its label map; per setting. None in records of version 0.2.
        device: where it was measured.
    """

    size_px: tuple[int, int]
    population: int
    candidate: Timing
    stages: dict[str, Timing]
    look: Timing
    percept: Timing | None = None
    device: str = "cpu"


def measure(cortex: Cortex, settings: BenchmarkSettings, *, size_px: int, population: int, device: str = "cpu") -> Row:
    """One scenario: evaluate ``population`` settings on one image of long side ``size_px``."""
    image = photograph(size_px)
    views = sample_views(settings.seed, n_photometric=settings.n_photometric, n_geometric=settings.n_geometric)
    rng = np.random.default_rng(settings.seed)
    default = cortex.table.default_unit()[0].numpy() if hasattr(cortex, "table") else default_unit()[0].numpy()
    # The defaults first, the others as a search would draw them at its start.
    u = rng.uniform(-1, 1, (population, len(default))).astype(np.float32)
    u[0] = default
    evaluator = Evaluator(cortex, Objective(), max_images=settings.max_images)
    synchronise = synchroniser(device)

    def look() -> ImageBatch:
        return make_batch(cortex, evaluator.objective, image[None], [views])

    batch = look()
    look_timing = repeat(look, n_repeats=settings.n_repeats, n_warmup=0, synchronise=synchronise)
    percept = repeat(
        lambda: evaluator.percept(batch, u).labels(),
        n_repeats=settings.n_repeats,
        n_units=population,
        synchronise=synchronise,
    )
    for _ in range(settings.n_warmup):
        evaluator.evaluate(batch, [0] * len(u), u)
    whole = Watch(synchronise)
    stages: dict[str, list[float]] = {}
    for _ in range(settings.n_repeats):
        with watch(cortex, keep_outputs=False) as timer:
            whole.time(lambda: evaluator.evaluate(batch, [0] * len(u), u), n_units=population)
        parts = {name: sum(times) / population for name, times in timer.times_ms.items()}  # over the chunks
        parts["rest"] = whole.wall_ms[-1] - sum(parts.values())
        for name, ms in parts.items():
            stages.setdefault(name, []).append(ms)
    return Row(
        size_px=(image.shape[-2], image.shape[-1]),
        population=population,
        candidate=whole.timing,
        stages={name: Timing.of(times) for name, times in stages.items()},
        look=look_timing,
        percept=percept,
        device=device,
    )


def devices(asked: str) -> tuple[str, ...]:
    """``auto``: the processor, and an accelerator where there is one; any other device alone."""
    if asked != "auto":
        return (asked,)
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def synchroniser(device: str) -> Callable[[], object] | None:
    """What waits until a device has done all that was asked of it; None for the processor."""
    return {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device)


def growth(rows: Sequence[Row]) -> float:
    """Exponent b of time ~ pixels^b, by least squares on logarithms; NaN with fewer than two sizes."""
    return exponent([math.prod(row.size_px) for row in rows], [row.candidate.median_ms for row in rows])


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """b of y ~ x^b, by least squares on logarithms; NaN with fewer than two different x."""
    if len(set(x)) < 2:
        return math.nan
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
