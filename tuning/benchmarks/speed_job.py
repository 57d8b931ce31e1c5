"""The benchmark of speed as a job: a record and its table; the exit code says whether something became slower."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed import compare, run_benchmark, write_record
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, USAGE

SLOWER = 1


def run(settings: BenchmarkSettings) -> int:
    """Run the benchmark, write its record, print its table; returns the exit code.

    Returns:
        0 all well, 1 something is slower than in the record compared with, 2 wrong usage.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120, quiet=settings.is_quiet)
    try:
        # Read first: --out may name the same file.
        before = json.loads(settings.compare.read_text()) if settings.compare else None
        record = run_benchmark(settings)
    except (OSError, ValueError, ProviderUnavailable) as error:
        complain("benchmark", error)
        return USAGE
    write_record(record, settings.out)
    console.print(table(record))
    for population, exponent in record["growth"].items():
        if not math.isnan(exponent):  # more than one size
            console.print(f"population {population}: time grows as pixels^{exponent:.2f}")
    machine = record["hardware"]
    console.print(f"{machine['processor']}, {machine['n_threads']} threads, load {machine['load_average_1min']}")
    console.print(f"record: {settings.out}", soft_wrap=True)
    slower = compare(before, record) if before else []
    for line in slower:
        console.print(f"slower: {line}", soft_wrap=True)
    return SLOWER if slower else ALL_WELL


def table(record: dict[str, Any]) -> Table:
    """The record as a table: one row per size and population."""
    rows = record["rows"]
    stages = list(rows[0]["stages"])
    grid = Table(title="ms per candidate, median (quartiles)", box=box.SIMPLE_HEAD)
    for name in ("image", "population", "candidate", *stages, "per image, once"):
        grid.add_column(name, justify="right")
    for row in rows:
        height, width = row["size_px"]
        whole = row["candidate"]
        grid.add_row(
            f"{width}x{height}",
            str(row["population"]),
            f"{whole['median_ms']:.1f} ({whole['q25_ms']:.1f}–{whole['q75_ms']:.1f})",
            *(f"{row['stages'][name]['median_ms']:.1f}" for name in stages),
            f"{row['look']['median_ms']:.1f}",
        )
    return grid
