"""Photographs in, a table and a figure of each out; or what the numbers are worth. An exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from rich.console import Console

from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device
from ciliary.envs.data.reading import Photograph
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.many import made_or_code, one_of_many
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.fluency.exam import Sat, sit, summary
from ciliary.tuning.fluency.figure import draw_fluency, draw_ranges
from ciliary.tuning.fluency.measure import Measured, Meter
from ciliary.tuning.fluency.numbers import BY_NAME
from ciliary.tuning.fluency.settings import FluencySettings
from ciliary.tuning.fluency.typicality import reference_of
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import Input, collect, set_apart, showcase

TABLE = "fluency.csv"
OBJECTIVE = "objective_"  # in front of the objective's terms


@dataclass(frozen=True)
class Row:
    """One image: its numbers, the terms of the objective beside them."""

    image: str
    path: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Range:
    """One number over images."""

    number: str
    more_fluent_if: str
    mean: float
    low: float
    high: float


def run(settings: FluencySettings) -> int:
    """Measure photographs.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    meter = made_or_code(lambda: make_meter(settings), _complain)
    if isinstance(meter, int):
        return meter
    u = made_or_code(lambda: setting_of(settings, meter), _complain)
    if isinstance(u, int):
        return u
    px = settings.size_px
    inputs, problems, notes = collect(settings.images, px) if settings.images else (showcase(px), [], [])
    for line in (*problems, *notes):
        _complain(line)
    inputs = set_apart(inputs, (settings.out, [".png"]), say=_complain)
    try:
        n_done = (_exam if settings.is_exam else _measure)(settings, meter, u, inputs, problems)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED
    if not n_done:
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL


def make_meter(settings: FluencySettings) -> Meter:
    """The meter that settings describe. Without a reference for this cortex, typicality is undefined, and it is said.

    Raises:
        ValueError, TypeError, FileNotFoundError, ProviderUnavailable: as the cortex's and the reference's makers.
    """
    cortex = Cortex(**settings.recognising).eval().requires_grad_(False).to(choose_device(settings.device))
    return Meter(
        cortex,
        reference_of(cortex.name, settings.typicality, say=_complain),
        n_scrambles=settings.n_scrambles,
        n_directions=settings.n_directions,
        with_spikes=settings.with_spikes,
        seed=settings.seed,
    )


def measure_all(settings: FluencySettings, problems: list[str]) -> list[Row]:
    """The rows of the images of some settings, without figures; what failed is told and goes to ``problems``.

    Raises:
        as :func:`make_meter`.
    """
    meter = make_meter(settings)
    u = setting_of(settings, meter)
    inputs, wrong, notes = collect(settings.images, settings.size_px)
    for line in (*wrong, *notes):
        _complain(line)
    problems += wrong
    return _rows(settings, meter, u, inputs, problems)


def setting_of(settings: FluencySettings, meter: Meter) -> np.ndarray:
    """(P,) the defaults with some changed; ``KeyError`` or ``ValueError`` telling what is wrong with a change."""
    table = meter.cortex.table
    for name, value in settings.changes.items():
        table.check_value(name, value)
    return table.default_unit(1, **settings.changes)[0].numpy()


def _rows(
    settings: FluencySettings,
    meter: Meter,
    u: np.ndarray,
    inputs: Sequence[Input],
    problems: list[str],
    *,
    draw: Callable[[Input, Photograph, Measured], object] = lambda item, photograph, found: None,
) -> list[Row]:
    rows: list[Row] = []
    with Bar(len(inputs), unit="images", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            bar.move(title=item.name)
            with one_of_many(item.label, problems, _complain, bar):
                photograph = item.load()
                found = meter.measure(photograph.image, u)
                draw(item, photograph, found)
                if found.is_blank:
                    _complain(f"{item.label}: blank, its numbers are undefined")
                rows.append(row_of(item, found))
    return rows


def _measure(
    settings: FluencySettings, meter: Meter, u: np.ndarray, inputs: Sequence[Input], problems: list[str]
) -> int:
    def draw(item: Input, photograph: Photograph, found: Measured) -> None:
        figure = draw_fluency(photograph.image, found, title=item.name)
        write_figure(figure, settings.out / f"{item.name}.png")

    rows = _rows(settings, meter, u, inputs, problems, draw=draw)
    if not rows:
        return 0
    page = page_of(rows, settings)
    paths = (
        write_atomically(settings.out / TABLE, rows_to_csv(rows).encode()),
        write_atomically(settings.out / "fluency.md", page.encode()),
    )
    _say(settings, "\n".join([page, *(f"fluency  {path}" for path in paths)]))
    return len(rows)


def row_of(item: Input, found: Measured) -> Row:
    """A row of the table."""
    objective = {f"{OBJECTIVE}{name}": value for name, value in found.objective.items()}
    return Row(item.name, item.label, {**found.numbers, "ssim_blank": found.nulls["ssim_blank"], **objective})


def page_of(rows: Sequence[Row], settings: FluencySettings) -> str:
    """Means and ranges over the images, in Markdown."""
    ranges = []
    for name, number in BY_NAME.items():
        values = np.array([row.numbers.get(name, np.nan) for row in rows], float)
        if not np.isfinite(values).any():
            continue
        low, high = np.nanquantile(values, [0.05, 0.95])
        more = "more" if number.sign > 0 else "less"
        ranges.append(Range(name, more, float(np.nanmean(values)), float(low), float(high)))
    n_blank = sum(row.numbers["ssim_m4"] != row.numbers["ssim_m4"] for row in rows)
    blank = f" {n_blank} blank, undefined." if n_blank else ""
    head = f"{len(rows)} images at {settings.size_px} px, a cortex that inherits {settings.inherited}.{blank}"
    table = rows_to_markdown(ranges) if ranges else "Nothing is defined."
    return f"# Fluency\n\n{head} Low and high: the middle nine tenths of the images.\n\n{table}"


def _exam(settings: FluencySettings, meter: Meter, u: np.ndarray, inputs: Sequence[Input], problems: list[str]) -> int:
    del u  # the numbers are examined at the defaults
    sat: list[Sat] = []
    table: list[Row] = []
    with Bar(len(inputs), unit="images", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            bar.move(title=item.name)
            try:
                with one_of_many(item.label, problems, _complain, bar):
                    sat.append(sit(meter, item.load().image, seed=settings.seed))
                    table.append(row_of(item, sat[-1].plain))
            except KeyboardInterrupt:  # what was measured is told
                problems.append(f"stopped after {len(sat)} of {len(inputs)} images")
                _complain(problems[-1])
                break
    if not sat:
        return 0
    rows = summary(sat)
    page = (
        f"# What the numbers of fluency are worth\n\n{len(sat)} images at {settings.size_px} px, a cortex that "
        f"inherits {settings.inherited}. Low and high: 5 and 95 %. At another size (three quarters) and in noise "
        "(gaussian_noise:1): Spearman's correlation over the images, 95 % bootstrap.\n\n" + rows_to_markdown(rows)
    )
    values = np.array([[one.plain.numbers[row.number] for row in rows] for one in sat])
    signs = [BY_NAME[row.number].sign for row in rows]
    figure = draw_ranges([row.number for row in rows], values, [row.null for row in rows], signs)
    paths = (
        write_atomically(settings.out / "exam.md", page.encode()),
        write_atomically(settings.out / "exam.csv", rows_to_csv(rows).encode()),
        write_figure(figure, settings.out / "exam.png"),
        write_atomically(settings.out / TABLE, rows_to_csv(table).encode()),
    )
    _say(settings, "\n".join([page, *(f"fluency  {path}" for path in paths)]))
    return len(sat)


def _say(settings: FluencySettings, text: str) -> None:
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(text, markup=False)


_complain = partial(complain, "fluency")
