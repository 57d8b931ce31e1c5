"""The benchmark of speed: its parts in their order, the record they leave, and two records compared."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ciliary.cortex import Cortex
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed_folder import measure_folder
from ciliary.tuning.benchmarks.speed_panel import measure_episodes, measure_panel
from ciliary.tuning.benchmarks.speed_peers import measure_peers
from ciliary.tuning.benchmarks.speed_percept import Row, devices, growth, measure
from ciliary.tuning.benchmarks.speed_steps import measure_steps
from ciliary.tuning.benchmarks.timing import Measured, peak_mb
from ciliary.tuning.runs.fingerprints import versions

# Two records differ when both hold: a ratio alone makes noise of the small ones, a difference alone of the large ones.
SLOWER_RATIO = 1.25
SLOWER_FLOOR_MS = 1.0
#: What must be equal in two records that are compared.
_CORTEX = ("depth", "features", "inherited")


def run_benchmark(
    settings: BenchmarkSettings,
    *,
    cortex: Cortex | None = None,
    on_row: Callable[[Row | Measured], None] | None = None,
) -> dict[str, Any]:
    """Measure what is asked for.

    Args:
        settings: what is measured.
        cortex: another cortex than the one the settings ask for, on the CPU; of the first part.
        on_row: called after each scenario, for progress.

    Returns:
        A record for JSON: ``hardware``, ``versions``, ``settings``, ``rows`` of the first part and ``growth`` (the
        exponent of time in pixels for each population; 1 is linear), ``measured`` (the other parts' lines), ``missing``
        (peers that are not here, and why).
    """
    n_threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.n_threads)
    rows: list[Row] = []
    measured: list[Measured] = []
    missing: dict[str, str] = {}
    load_before = _load()
    on_row = on_row or (lambda _: None)
    try:
        if "percept" in settings.parts:
            for row in _percepts(settings, cortex):
                rows.append(row)
                on_row(row)
        for line in _lines(settings, missing):
            measured.append(line)
            on_row(line)
    finally:
        torch.set_num_threads(n_threads_before)
    first = [row for row in rows if row.device == "cpu"] or rows
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "hardware": hardware(n_threads=settings.n_threads) | {"load_average_before": load_before},
        "peak_mb": round(peak_mb()),
        "versions": dict(versions()),
        "settings": {k: v for k, v in asdict(settings).items() if k not in ("is_quiet", "out", "compare")},
        "rows": [asdict(row) for row in rows],
        "growth": {str(n): growth([row for row in first if row.population == n]) for n in settings.populations},
        "measured": [asdict(line) for line in measured],
        "missing": missing,
    }


@torch.no_grad()
def _percepts(settings: BenchmarkSettings, cortex: Cortex | None) -> Iterator[Row]:
    for device in devices(settings.device):
        world = cortex or Cortex(**settings.cortex).eval().requires_grad_(False).to(device)
        for size_px in settings.sizes_px:
            for population in settings.populations:
                yield measure(world, settings, size_px=size_px, population=population, device=device)


def _lines(settings: BenchmarkSettings, missing: dict[str, str]) -> Iterator[Measured]:
    found = devices(settings.device)
    for part, method in (("panel", measure_panel), ("episode", measure_episodes), ("steps", measure_steps)):
        for device in found if part in settings.parts else ():
            yield from method(settings, device=device)
    for device in found if "folder" in settings.parts else ():
        yield from measure_folder(settings, device=device)
    if "peers" in settings.parts:
        yield from measure_peers(settings, missing)


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line for every scenario and stage of ``after`` that is slower than in ``before`` by ratio and by floor.

    Raises:
        ValueError: the records are of two cortices.
    """
    first, second = (record.get("settings", {}) for record in (before, after))
    different = [n for n in _CORTEX if n in second and first and first.get(n, "none") != second[n]]
    if different:
        name = different[0]
        raise ValueError(
            f"the older record is of another cortex: {name} {first.get(name, 'none')}, not {second[name]}; "
            f"run again with --{name} {first.get(name, 'none')}"
        )
    old = _times(before)
    lines = []
    for name, ms_after in _times(after).items():
        ms_before = old.get(name)
        if ms_before is not None and ms_after > SLOWER_RATIO * ms_before and ms_after - ms_before > SLOWER_FLOOR_MS:
            lines.append(f"{name}: {ms_before:.1f} -> {ms_after:.1f} ms")
    return lines


def _times(record: dict[str, Any]) -> dict[str, float]:
    """Scenario in words -> median in ms, of peers too: where these are slower as well, it was the machine."""
    times: dict[str, float] = {}
    for row in record["rows"]:
        height, width = row["size_px"]
        on = "" if row.get("device", "cpu") == "cpu" else f" on {row['device']}"
        timings = {"candidate": row["candidate"], **row["stages"]}
        timings |= {"percept": row["percept"]} if row.get("percept") else {}
        for name, timing in timings.items():
            times[f"{width}x{height}, population {row['population']}, {name}{on}"] = timing["median_ms"]
    for line in record.get("measured", ()):
        about = [str(line["about"][key]) for key in ("size_px", "device", "inherited") if key in line["about"]]
        times[", ".join([line["name"], *about])] = line["timing"]["median_ms"]
    return times


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
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_average_1min": _load(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"
