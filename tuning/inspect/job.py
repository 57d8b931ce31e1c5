"""Look at images and leave a page for each: images in, pages out, an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ciliary.cortex import Cortex, default_theta
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.parameters import BY_NAME, Theta, check_names
from ciliary.cortex.plot.early import draw_filters, draw_m1, draw_m2, draw_retina
from ciliary.cortex.plot.experts import CutOut, draw_experts, with_preferred
from ciliary.cortex.plot.late import draw_m3, draw_m4
from ciliary.cortex.plot.look import Look, look
from ciliary.cortex.plot.occlusion import draw_occlusion
from ciliary.cortex.plot.recognition import draw_m5
from ciliary.cortex.stages.weights import SHIPPED, stage_names
from ciliary.envs.data.sources import Photograph
from ciliary.tuning.inspect.numbers import measure
from ciliary.tuning.inspect.page import WORDS, Section, write_page
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import Input, collect, showcase

USAGE, STOPPED = 2, 130
PAGE = "index.html"
FIGURES: Mapping[str, Callable[[Look], Figure]] = {
    "retina": draw_retina,
    "filters": draw_filters,
    "m1": draw_m1,
    "m2": draw_m2,
    "m3": draw_m3,
    "m4": draw_m4,
    "m5": draw_m5,
    "occlusion": draw_occlusion,
}


@dataclass(frozen=True)
class LookSettings:
    """How to look.

    Attributes:
        learned: names of the stages that use their learned part; None is all of them if there are weights, else none.
        weights: file of learned stages; None is the one that comes with the project.
        changes: perceptual parameters whose default is replaced (name -> physical value).
        long_side_px: images are shrunk to it.
        depth, features: providers of cues.
        out: folder of the pages.
        has_experts: also draw what each expert of M5 answers for, over all images.
    """

    learned: tuple[str, ...] | None = None
    weights: Path | None = None
    changes: Mapping[str, float] = field(default_factory=dict)
    long_side_px: int = 192
    depth: str = "none"
    features: str = "none"
    out: Path = Path("runs/look")
    has_experts: bool = False


def run(images: Sequence[str], settings: LookSettings, *, is_quiet: bool = False) -> int:
    """Look at images, write a page of each, and say where it is.

    Args:
        images: files and folders; none means a few bundled photographs.
        settings: how to look.
        is_quiet: say nothing but problems.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    try:
        theta = theta_of(settings.changes)
        learned = choose_learned(settings, note=_silent if is_quiet else _complain)
        cortex = Cortex(
            depth=settings.depth, features=settings.features, learned=learned, weights=settings.weights, recognise=True
        ).eval()
    except (ValueError, KeyError, FileNotFoundError) as error:
        _complain(str(error.args[0]))
        return USAGE
    except ProviderUnavailable as error:
        _complain(str(error))
        return 1
    px = settings.long_side_px
    inputs, problems, _ = collect(images, px) if images else (showcase(px), [], [])
    for line in problems:
        _complain(line)
    try:
        n_done = _look_at_all(cortex, theta, inputs, settings, problems, is_quiet=is_quiet)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED
    if not n_done:
        return 1
    return 3 if problems else 0


def theta_of(changes: Mapping[str, float]) -> Theta:
    """The defaults with some replaced, (1,) each.

    Raises:
        KeyError, ValueError: naming what is wrong and what would be right.
    """
    check_names(changes)
    for name, value in changes.items():
        p = BY_NAME[name]
        if not p.low <= value <= p.high:
            raise ValueError(f"{name} must lie in {p.low:g}..{p.high:g}, got {value:g}")
    return default_theta(1, **changes)


def choose_learned(settings: LookSettings, *, note: Callable[[str], None]) -> tuple[str, ...]:
    """The stages to be learned ones; ``note`` is told when there are none because there are no weights."""
    if settings.learned is not None:
        return settings.learned
    if settings.weights is not None or SHIPPED.is_file():
        return stage_names(True)
    note("no learned weights come with this copy: the mathematical stages alone are shown")
    return ()


def _look_at_all(
    cortex: Cortex,
    theta: Theta,
    inputs: Sequence[Input],
    settings: LookSettings,
    problems: list[str],
    *,
    is_quiet: bool,
) -> int:
    """A page for each input; lines of what failed go to ``problems``. Returns how many pages were written."""
    stdout = Console(highlight=False, soft_wrap=True)
    n_done, kept = 0, list[list[CutOut]]()
    with _progress(is_quiet) as bar:
        task = bar.add_task("", total=len(inputs) * (len(FIGURES) + 1))
        for i, item in enumerate(inputs):
            bar.update(task, description=item.name, completed=i * (len(FIGURES) + 1))
            try:
                photograph = item.load()
                one = look(cortex, photograph.image, theta, name=item.name)
                page = write_look(one, photograph, settings, on_figure=lambda: bar.advance(task))
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                line = " ".join(str(error).split()) or type(error).__name__
                problems.append(line if item.label in line else f"{item.label}: {line}")
                _complain(problems[-1])
                continue
            n_done += 1
            kept = with_preferred(kept, one) if settings.has_experts else kept
            if not is_quiet:
                stdout.print(f"look     {page}", markup=False)
    if kept:
        path = write_figure(draw_experts(kept, n_images=n_done), settings.out / "experts.png")
        if not is_quiet:
            stdout.print(f"experts  {path}", markup=False)
    return n_done


def write_look(
    one: Look, photograph: Photograph, settings: LookSettings, *, on_figure: Callable[[], None] = lambda: None
) -> Path:
    """Write the figures of a look as PNG files and its page beside them; returns the page."""
    folder = settings.out / one.name
    sections = []
    for name, draw in FIGURES.items():
        path = write_figure(draw(one), folder / f"{name}.png")
        sections.append(Section(name, *WORDS[name], (path,)))
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


def _progress(is_quiet: bool) -> Progress:
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn())
    return Progress(*columns, console=console, disable=is_quiet or not console.is_terminal, transient=True)


def _complain(text: str) -> None:
    print(f"look: {text}", file=sys.stderr)


def _silent(text: str) -> None:
    del text
