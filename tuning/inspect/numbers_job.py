"""What each stage costs, how it answers, and how well it can be read, as tables: ``look --numbers``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import Theta
from ciliary.cortex.plot.look import look
from ciliary.tuning.benchmarks.data import ReadSettings, read_named
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.inspect.numbers import StageNumbers, measure
from ciliary.tuning.inspect.probes import Probe, probe
from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.inspect.what_and_where import Seen, summary, watch_things
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.inputs import Input


@dataclass(frozen=True)
class Row:
    """One stage: means over the images."""

    stage: str
    time_ms: float
    memory_mib: float
    share_active: float | None
    gini: float | None
    gradient: float | None
    not_finite: int


def tell_numbers(
    settings: LookSettings, cortex: Cortex, theta: Theta, inputs: Sequence[Input], say: Callable[[str], object]
) -> tuple[str, int]:
    """The page, and of how many images it is; each that cannot be read is named.

    Raises:
        ValueError, OSError: the named images are none.
    """
    named = None if settings.named is None else read_named(settings.named, ReadSettings(n_images=settings.n_named))
    seen: list[list[StageNumbers]] = []
    moved: list[Mapping[str, Seen]] = []
    with Bar(len(inputs), unit="images", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            bar.move(title=item.name)
            try:
                photograph = item.load()
                numbers = measure(look(cortex, photograph.image, theta, name=item.name))[0]
                things = watch_things(cortex, photograph.image)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                say(failure(item.label, error))
            else:
                seen.append(numbers)
                moved.append(things)
            bar.advance()
        probes: list[Probe] = []
        if named is not None:
            bar.next("areas read", len(named.train.labels) + len(named.test.labels))
            probes = probe(named, cortex, bar.advance)
    rows = [_mean(own) for own in zip(*seen, strict=True)]
    many = "image" if len(seen) == 1 else "images"
    page = f"# What stages cost and how they answer\n\nMeans over {len(seen)} {many} at {settings.size_px} px.\n\n"
    page += rows_to_markdown(rows) if rows else ""
    if rows_of_things := summary(moved):
        page += (
            "\n## What and where\n\nThe photographs through a window that is shifted or smaller: things found again by "
            "what they are (M5's description without the place), and how far their place is from where it must be, in "
            f"sides of the window.\n\n{rows_to_markdown(rows_of_things)}"
        )
    if named is not None:
        page += f"\n## How well a line reads each area\n\n{named.source}: {len(named.train.labels)} training images, "
        page += f"{len(named.test.labels)} test images; intervals: 95 %, bootstrap over test images.\n\n"
        page += rows_to_markdown(probes)
    write_atomically(settings.out / "numbers.md", page.encode())
    if rows:
        write_atomically(settings.out / "numbers.csv", rows_to_csv(rows).encode())
    return page, len(seen)


def paths_of(out: Path) -> list[Path]:
    """What was written."""
    return [path for path in (out / "numbers.md", out / "numbers.csv") if path.is_file()]


def _mean(of_stage: Sequence[StageNumbers]) -> Row:
    def mean(name: str) -> float | None:
        values = [value for one in of_stage if (value := getattr(one, name)) is not None]
        return sum(values) / len(values) if values else None

    return Row(
        of_stage[0].stage,
        mean("time_ms") or 0.0,
        mean("memory_mib") or 0.0,
        mean("share_active"),
        mean("gini"),
        mean("gradient"),
        sum(one.n_not_finite for one in of_stage),
    )
