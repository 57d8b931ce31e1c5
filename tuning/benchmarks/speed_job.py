"""The benchmark of speed as a job: record, page and tables; the exit code says whether something is slower."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.tuning.benchmarks.settings import PARTS, BenchmarkSettings
from ciliary.tuning.benchmarks.speed import compare, run_benchmark, write_record
from ciliary.tuning.benchmarks.speed_page import page, tables
from ciliary.tuning.benchmarks.speed_percept import Row
from ciliary.tuning.benchmarks.timing import Measured
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_atomically

SLOWER = 1


def run(settings: BenchmarkSettings) -> int:
    """Run the benchmark, write its record and page, print its tables; returns the exit code.

    Returns:
        0 all well, 1 something is slower than in the record compared with, 2 wrong usage.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140, quiet=settings.is_quiet)
    try:
        # Read first: --out may name the same file.
        before = json.loads(settings.compare.read_text()) if settings.compare else None
        with Bar(None, title="measuring", unit="lines", is_quiet=settings.is_quiet) as bar:

            def show(row: Row | Measured) -> None:
                bar.advance()
                bar.move(title=row.name if isinstance(row, Measured) else f"{row.size_px[1]} px x {row.population}")

            record = run_benchmark(settings, on_row=show)
        slower = compare(before, record) if before else []
    except (OSError, ValueError, ProviderUnavailable) as error:
        complain("benchmark", error)
        return USAGE
    write_record(record, settings.out)
    write_atomically(settings.out.with_suffix(".md"), page(record, command(settings)).encode())
    for table in tables(record):
        console.print(table.grid())
    for name, why in record.get("missing", {}).items():
        console.print(f"not measured: {name}: {why}", soft_wrap=True, markup=False)
    machine = record["hardware"]
    console.print(f"{machine['processor']}, {machine['n_threads']} threads, load {machine['load_average_1min']}")
    console.print(f"record: {settings.out}", soft_wrap=True)
    for line in slower:
        console.print(f"slower: {line}", soft_wrap=True)
    return SLOWER if slower else ALL_WELL


def command(settings: BenchmarkSettings) -> str:
    """What was asked for, as it is typed, but for where it goes."""
    ours = BenchmarkSettings()
    words = ["ciliary benchmark"]
    if settings.parts != ours.parts:
        words.append(f"--parts {'all' if settings.parts == PARTS else ','.join(settings.parts)}")
    for flag, name in _FLAGS.items():
        value = getattr(settings, name)
        if value != getattr(ours, name):
            words.append(f"{flag} {' '.join(map(str, value)) if isinstance(value, tuple) else value}")
    return " ".join(words)


_FLAGS = {
    "--sizes": "sizes_px",
    "--populations": "populations",
    "--episode-sizes": "episode_sizes_px",
    "--controller": "controller",
    "--images": "n_images",
    "--envs": "n_envs",
    "--repeats": "n_repeats",
    "--threads": "n_threads",
    "--device": "device",
    "--inherited": "inherited",
    "--features": "features",
    "--depth": "depth",
}
