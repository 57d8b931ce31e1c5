"""What a candidate costs: median and spread of one evaluation, per stage, alone and in a population, over sizes."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from ciliary.cortex import Cortex, default_unit
from ciliary.cortex.device import choose_device
from ciliary.cortex.profile import watch
from ciliary.envs.batch import ImageBatch, make_batch
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.terms import Objective
from ciliary.envs.objective.views import sample_views
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.runs.fingerprints import versions

# Two records differ when both hold: a ratio alone makes noise of the small ones, a difference alone of the large ones.
SLOWER_RATIO = 1.25
SLOWER_FLOOR_MS = 1.0


@dataclass(frozen=True)
class Timing:
    """Median and quartiles of repeated calls, in ms."""

    median_ms: float
    q25_ms: float
    q75_ms: float

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Timing:
        """Summarise a list of times."""
        q25, q50, q75 = np.percentile(times_ms, [25, 50, 75])
        return cls(float(q50), float(q25), float(q75))


@dataclass(frozen=True)
class Row:
    """One scenario. All times are per candidate (one image and its views), but ``look``, which is per image."""

    size_px: tuple[int, int]  # height, width
    population: int
    candidate: Timing
    stages: dict[str, Timing]  # retina, m1 ... m4, and the rest: objective and copies
    look: Timing  # views, cues and references: once per episode, whatever the number of candidates


def run_benchmark(
    settings: BenchmarkSettings, *, cortex: Cortex | None = None, on_row: Callable[[Row], None] | None = None
) -> dict[str, Any]:
    """Measure every size alone and in each population.

    Args:
        settings: what is measured.
        cortex: another cortex than the one the settings ask for.
        on_row: called after each scenario, for progress.

    Returns:
        A record for JSON: ``hardware``, ``versions``, ``settings``, ``rows`` and ``growth`` (the exponent of time in
        pixels for each population; 1 is linear).
    """
    n_threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.n_threads)
    try:
        with torch.no_grad():
            world = cortex or Cortex(
                depth=settings.depth,
                features=settings.features,
                features_weights=settings.features_weights,
                inherited=settings.inherited,
            ).to(choose_device(settings.device))
            rows = []
            for size_px in settings.sizes_px:
                for population in settings.populations:
                    rows.append(measure(world, settings, size_px=size_px, population=population))
                    if on_row:
                        on_row(rows[-1])
    finally:
        torch.set_num_threads(n_threads_before)
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "hardware": hardware(n_threads=settings.n_threads),
        "versions": dict(versions()),
        "settings": {k: v for k, v in asdict(settings).items() if k not in ("is_quiet", "out", "compare")},
        "rows": [asdict(row) for row in rows],
        "growth": {str(n): growth([row for row in rows if row.population == n]) for n in settings.populations},
    }


def measure(cortex: Cortex, settings: BenchmarkSettings, *, size_px: int, population: int) -> Row:
    """One scenario: evaluate ``population`` settings on one image of long side ``size_px``."""
    image = photograph(size_px)
    views = sample_views(settings.seed, n_photometric=settings.n_photometric, n_geometric=settings.n_geometric)
    rng = np.random.default_rng(settings.seed)
    # The defaults first, the others as a search would draw them at its start.
    u = rng.uniform(-1, 1, (population, default_unit().shape[1]))
    u[0] = default_unit()[0].numpy()

    evaluator = Evaluator(cortex, Objective(), max_images=settings.max_images)

    def look() -> ImageBatch:
        return make_batch(cortex, evaluator.objective, image[None], [views])

    batch = look()
    look_ms = [_ms(look) for _ in range(settings.n_repeats)]
    for _ in range(settings.n_warmup):
        evaluator.evaluate(batch, [0] * len(u), u)
    totals: list[float] = []
    stages: dict[str, list[float]] = {}
    for _ in range(settings.n_repeats):
        with watch(cortex, keep_outputs=False) as timer:
            total = _ms(lambda: evaluator.evaluate(batch, [0] * len(u), u))
        totals.append(total / population)
        parts = {name: sum(times) / population for name, times in timer.times_ms.items()}  # over the chunks
        parts["rest"] = total / population - sum(parts.values())
        for name, ms in parts.items():
            stages.setdefault(name, []).append(ms)
    return Row(
        size_px=(image.shape[-2], image.shape[-1]),
        population=population,
        candidate=Timing.of(totals),
        stages={name: Timing.of(times) for name, times in stages.items()},
        look=Timing.of(look_ms),
    )


def photograph(size_px: int) -> Tensor:
    """A real photograph (scikit-image's coffee, 3:2) as (3, H, W) with long side ``size_px``."""
    image = torch.from_numpy(data.coffee()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(image, size=(round(size_px * 2 / 3), size_px), mode="area")[0]


def growth(rows: Sequence[Row]) -> float:
    """Exponent b of time ~ pixels^b, by least squares on logarithms; NaN with fewer than two sizes."""
    if len({row.size_px for row in rows}) < 2:
        return math.nan
    pixels = np.log([math.prod(row.size_px) for row in rows])
    return float(np.polyfit(pixels, np.log([row.candidate.median_ms for row in rows]), 1)[0])


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line for every scenario and stage of ``after`` that is slower than in ``before`` by ratio and by floor."""
    old = {(tuple(row["size_px"]), row["population"]): row for row in before["rows"]}
    lines = []
    for row in after["rows"]:
        known = old.get((tuple(row["size_px"]), row["population"]))
        if known is None:
            continue
        pairs = {"candidate": (known["candidate"], row["candidate"])}
        pairs |= {name: (known["stages"][name], t) for name, t in row["stages"].items() if name in known["stages"]}
        for name, (a, b) in pairs.items():
            ms_before, ms_after = a["median_ms"], b["median_ms"]
            if ms_after > SLOWER_RATIO * ms_before and ms_after - ms_before > SLOWER_FLOOR_MS:
                height, width = row["size_px"]
                lines.append(
                    f"{width}x{height}, population {row['population']}, {name}: {ms_before:.1f} -> {ms_after:.1f} ms"
                )
    return lines


def write_record(record: dict[str, Any], path: Path) -> None:
    """Write a record as JSON, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    finite = json.loads(json.dumps(record), parse_constant=lambda name: None)  # JSON knows no NaN
    path.write_text(json.dumps(finite, indent=1, allow_nan=False) + "\n")


def hardware(*, n_threads: int) -> dict[str, Any]:
    """Processor, cores, threads used and how busy the machine was, without which a time means nothing."""
    return {
        "processor": _processor(),
        "n_cores": os.cpu_count(),
        "n_threads": n_threads,
        "load_average_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)
