"""Look at images and leave a page for each: images in, pages out, an exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from ciliary.cortex import PARAMETERS, Cortex
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import choose_device
from ciliary.cortex.explain.scalars import Tick, no_tick
from ciliary.cortex.parameters import ParameterTable, Theta, table_for
from ciliary.cortex.plot.look import Look, look
from ciliary.cortex.stages.weights import SHIPPED
from ciliary.envs.data.sources import Photograph
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.inspect.embedding import settings_of
from ciliary.tuning.inspect.faithful import paths_of as faithful_paths
from ciliary.tuning.inspect.faithful import tell_faithful
from ciliary.tuning.inspect.gathered import Gathered
from ciliary.tuning.inspect.numbers import measure
from ciliary.tuning.inspect.numbers_job import paths_of, tell_numbers
from ciliary.tuning.inspect.page import Section, without_heading, write_page
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.inspect.targets import make_targets
from ciliary.tuning.inspect.techniques import Technique, chosen
from ciliary.tuning.inspect.tracking import track
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import Input, collect, set_apart, showcase

PAGE = "index.html"


def run(settings: LookSettings) -> int:
    """Look at images, write a page of each, and say where it is.

    Args:
        settings: what to look at, none being a few bundled photographs, and how.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    try:
        theta = theta_of(settings.changes, table_for(settings.inherited))
        learned = settings.learned or settings.weights is not None
        cortex = Cortex(**{**settings.cortex, "learned": learned, "weights": settings.weights, "recognise": True})
        cortex = cortex.eval().to(choose_device(settings.device))
        gathered = Gathered(settings, {} if settings.after is None else settings_of(settings.after, cortex.table))
    except (ValueError, KeyError, FileNotFoundError) as error:
        _complain(error)
        return USAGE
    except ProviderUnavailable as error:
        _complain(error)
        return NOTHING
    size_px = settings.size_px
    inputs, problems, notes = collect(settings.images, size_px) if settings.images else (showcase(size_px), [], [])
    for line in (*problems, *notes):
        _complain(line)
    ends = [f"/{PAGE}", *(f"/{one.name}.png" for one in drawn_by(settings))]
    inputs = set_apart(inputs, (settings.out, ends), say=_complain)

    def say(line: str) -> None:
        problems.append(line)
        _complain(line)

    files: list[Path] = []
    try:
        if settings.only_numbers or settings.only_faithful:
            n_done = _tell_table(cortex, theta, inputs, settings, files, say)
        else:
            n_done = _look_at_all(cortex, theta, inputs, gathered, files, say)
        if settings.is_tracked and n_done:
            _show(settings, [f"tracked  {track(settings, files)}"])
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED
    except (StoreError, ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    if not n_done:
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL


def theta_of(changes: Mapping[str, float], table: ParameterTable = PARAMETERS) -> Theta:
    """The defaults with some replaced, (1,) each.

    Raises:
        KeyError, ValueError: naming what is wrong and what would be right.
    """
    table.check_names(changes)
    for name, value in changes.items():
        table.check_value(name, value)
    return table.default_theta(1, **changes)


def _tell_table(
    cortex: Cortex,
    theta: Theta,
    inputs: Sequence[Input],
    settings: LookSettings,
    files: list[Path],
    say: Callable[[str], None],
) -> int:
    """A table over all inputs. Returns of how many it is."""
    tell = tell_numbers if settings.only_numbers else tell_faithful
    kind, paths = ("numbers", paths_of) if settings.only_numbers else ("faithful", faithful_paths)
    page, n_done = tell(settings, cortex, theta, inputs, say)
    files += paths(settings.out) if n_done else ()
    _show(settings, [page, *(f"{kind:8} {path}" for path in files)])
    return n_done


def drawn_by(settings: LookSettings) -> tuple[Technique, ...]:
    """The techniques of a page, in its order."""
    return chosen(settings.only, is_quick=settings.is_hasty)


def _look_at_all(
    cortex: Cortex,
    theta: Theta,
    inputs: Sequence[Input],
    gathered: Gathered,
    files: list[Path],
    say: Callable[[str], None],
) -> int:
    """A page for each input, then what is drawn of all together. Returns how many pages were written."""
    settings = gathered.settings
    n_figures = len(drawn_by(settings)) + 1
    with Bar(len(inputs) * n_figures, unit="figures", is_quiet=settings.is_quiet) as bar:
        for i, item in enumerate(inputs):
            bar.move(i * n_figures, title=item.name)
            try:
                photograph = item.load()
                one = look(cortex, photograph.image, theta, name=item.name)
                page = write_look(one, photograph, settings, on_figure=bar.advance, tick=bar.within)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                say(failure(item.label, error))
                continue
            gathered.add(one, key=photograph.name)
            files += (page, *(page.with_name(f"{technique.name}.png") for technique in drawn_by(settings)))
            _show(settings, [f"look     {page}"])
    try:
        for kind, path in gathered.write():
            files.append(path)
            _show(settings, [f"{kind:8} {path}"])
    except ValueError as error:
        say(str(error))
    return gathered.n_images


def _show(settings: LookSettings, lines: Sequence[str]) -> None:
    """Results, on stdout, unless nothing is to be said."""
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)


def write_look(
    one: Look,
    photograph: Photograph,
    settings: LookSettings,
    *,
    on_figure: Callable[[], None] = lambda: None,
    tick: Tick = no_tick,
) -> Path:
    """Write the figures of a look as PNG files and its page beside them; returns the page.

    Raises:
        ValueError: the image has no such target.
    """
    folder = settings.out / one.name
    targets = make_targets(one, settings.targets, seed=settings.seed)
    seen = Seen(one, targets, settings.is_hasty, settings.seed, tick)
    sections = []
    for technique in drawn_by(settings):
        path = write_figure(technique.draw(seen), folder / f"{technique.name}.png")
        sections.append(Section(technique.name, technique.title, technique.words, without_heading(path)))
        on_figure()
    numbers, reports = measure(one)
    return write_page(
        folder / PAGE,
        title=one.name,
        facts=facts_of(one, photograph, settings),
        sections=sections,
        numbers=numbers,
        reports=reports,
        theta=one.theta,
        table=table_for(settings.inherited),
    )


def facts_of(one: Look, photograph: Photograph, settings: LookSettings) -> list[str]:
    """What was looked at, and by which cortex, in words."""
    height, width = one.image.shape[-2:]
    full_height, full_width = photograph.original_size
    size = f"seen at {width} × {height} px"
    if (full_height, full_width) != (height, width):
        size += f", the file has {full_width} × {full_height} px"
    weights = (settings.weights or SHIPPED).name
    stages = f"learned stages: {', '.join(one.learned)} ({weights})" if one.learned else "no learned stages"
    cues = f"depth: {settings.depth}, backbone: {settings.features}"
    return [size, f"{stages}; {cues}", *photograph.notes]


_complain = partial(complain, "look")
