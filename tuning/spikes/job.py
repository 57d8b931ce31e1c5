"""Photographs in, figures out; or labelled photographs in, a table out. An exit code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rich.console import Console

from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device, to_device
from ciliary.cortex.spiking import Spiking, perceive_in_time
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.many import made_or_code, one_of_many
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import collect, set_apart, showcase
from ciliary.tuning.spikes.exam import Look, read_labelled, sit, summary
from ciliary.tuning.spikes.figure import draw_moments, draw_rows
from ciliary.tuning.spikes.settings import SpikesSettings


def run(settings: SpikesSettings) -> int:
    """Look at photographs in time, or compare percepts in time with what people drew.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    made = made_or_code(
        lambda: (
            {code: settings.spiking(code) for code in settings.codes},
            Cortex(**settings.cortex).eval().requires_grad_(False).to(choose_device(settings.device)),
        ),
        _complain,
    )
    if isinstance(made, int):
        return made
    codes, cortex = made
    try:
        return (_look if settings.labelled is None else _exam)(settings, cortex, codes)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED


def _look(settings: SpikesSettings, cortex: Cortex, codes: Mapping[str, Spiking]) -> int:
    px = settings.size_px
    inputs, problems, notes = collect(settings.images, px) if settings.images else (showcase(px), [], [])
    for line in (*problems, *notes):
        _complain(line)
    code, n_done = settings.codes[0], 0  # one figure an image: of the first code
    inputs = set_apart(inputs, (settings.out, [".png"]), say=_complain)
    stdout = Console(highlight=False, soft_wrap=True)
    with Bar(len(inputs), unit="images", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            bar.move(title=item.name)
            with one_of_many(item.label, problems, _complain, bar):
                image = to_device(item.load().image[None], cortex.device)
                moments = list(perceive_in_time(cortex, image, times_ms=settings.times_ms, spiking=codes[code]))
                figure = draw_moments(image[0].cpu(), moments, cortex(image), title=f"{item.name}, told by {code}")
                path = write_figure(figure, settings.out / f"{item.name}.png")
                n_done += 1
                if not settings.is_quiet:
                    stdout.print(f"spikes   {path}", markup=False)
    if not n_done:
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL


def _exam(settings: SpikesSettings, cortex: Cortex, codes: Mapping[str, Spiking]) -> int:
    looks: list[Look] = []
    n_failed = 0
    try:
        data = read_labelled(settings)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    is_stopped = False
    with Bar(len(data), unit="photographs", is_quiet=settings.is_quiet) as bar:
        for i, name in enumerate(data.names):
            bar.move(i, title=name)
            try:
                looks.append(sit(data[i], cortex, codes, settings.times_ms, settings.size_px))
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                n_failed += 1
                _complain(failure(name, error))
            except KeyboardInterrupt:  # what was looked at is told
                is_stopped = True
                _complain(f"stopped after {len(looks)} of {len(data)} photographs")
                break
    if not looks:
        return STOPPED if is_stopped else NOTHING
    rows = summary(looks, is_counted=settings.inherited == "none")
    page = (
        f"# What is perceived by when, told by spikes\n\nA cortex that inherits {settings.inherited}, {len(looks)} "
        f"photographs at {settings.size_px} px; {settings.neurons}. Intervals: "
        f"95 %, bootstrap over photographs. Spikes, operations and energy are of one photograph; "
        "without spikes: multiply-adds of M1 and M2. V1's filters, which both need, are in neither.\n\n"
        + rows_to_markdown(rows)
    )
    paths = (
        write_atomically(settings.out / "spikes.md", page.encode()),
        write_atomically(settings.out / "spikes.csv", rows_to_csv(rows).encode()),
        write_figure(draw_rows(rows), settings.out / "spikes.png"),
    )
    if not settings.is_quiet:
        stdout = Console(highlight=False, soft_wrap=True)
        stdout.print("\n".join([page, *(f"spikes   {path}" for path in paths)]), markup=False)
    if is_stopped:
        return STOPPED
    return SOME_FAILED if n_failed else ALL_WELL


_complain = partial(complain, "spikes")
