#!/usr/bin/env python
"""Measure what a candidate setting costs (one image and its views through the whole cortex), per stage and size."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    p.add_argument("--sizes", type=int, nargs="+", default=[96, 192, 288, 384], metavar="PX", help="long sides")
    p.add_argument("--populations", type=int, nargs="+", default=[1, 16], metavar="N", help="candidates in one batch")
    p.add_argument("--repeats", type=int, default=7, metavar="N", help="evaluations after warm-up (7)")
    p.add_argument("--threads", type=int, default=2, metavar="N", help="torch threads (2)")
    p.add_argument("--depth", default="none", choices=("none", "pictorial", "midas"), help="depth cue (none)")
    p.add_argument("--features", default="none", choices=("none", "efficientnet_lite0"), help="backbone cue (none)")
    p.add_argument("--out", type=Path, default=Path("runs/benchmark.json"), metavar="FILE", help="JSON record")
    p.add_argument("--compare", type=Path, metavar="FILE", help="an older record; exit code 1 if something is slower")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Run the benchmark, write its record, print its table; returns the exit code."""
    options = parser().parse_args(argv)
    from rich.console import Console

    from ciliary.cortex.cues.base import ProviderUnavailable
    from ciliary.tuning.benchmarks.speed import BenchmarkSettings, compare, run_benchmark, write_record
    from ciliary.tuning.cli.processor import flush_denormals

    if owns_process:
        flush_denormals()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        # Read first: --out may name the same file.
        before = json.loads(options.compare.read_text()) if options.compare else None
        settings = BenchmarkSettings(
            sizes_px=tuple(options.sizes),
            populations=tuple(options.populations),
            n_repeats=options.repeats,
            n_threads=options.threads,
            depth=options.depth,
            features=options.features,
        )
        record = run_benchmark(settings)
    except (OSError, ValueError, ProviderUnavailable) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    write_record(record, options.out)
    console.print(table(record))
    for population, exponent in record["growth"].items():
        if exponent == exponent:  # not NaN: more than one size
            console.print(f"population {population}: time grows as pixels^{exponent:.2f}")
    machine = record["hardware"]
    console.print(f"{machine['processor']}, {machine['n_threads']} threads, load {machine['load_average_1min']}")
    console.print(f"record: {options.out}", soft_wrap=True)
    slower = compare(before, record) if before else []
    for line in slower:
        console.print(f"slower: {line}", soft_wrap=True)
    return 1 if slower else 0


def table(record):
    """The record as a table: one row per size and population."""
    from rich import box
    from rich.table import Table

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


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
