"""Frames in, figures, films and slots out; or, for an exam, a table. An exit code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from ciliary.cortex import Cortex
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import choose_device
from ciliary.cortex.plot.things import draw_things, paint_things
from ciliary.envs.metrics.identity import IdentityCounts
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_page
from ciliary.tuning.sessions.animation import write_gif
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import collect, set_apart, showcase
from ciliary.tuning.sessions.made import Drawing, drawn
from ciliary.tuning.track.clips import Scene, film, glanced, moved, watch
from ciliary.tuning.track.exam import tell_clip
from ciliary.tuning.track.follow import Followed, as_record, follow
from ciliary.tuning.track.settings import TrackSettings
from ciliary.tuning.track.table import as_markdown, tabulate, write_table
from ciliary.tuning.track.truth import Truth

_GIF_PX = 576  # long side
_FRAME_MS = {"frames": 150, "moved": 150, "glances": 600}
_WORDS = {
    "PosedClip": "true motion, of depth and pose",
    "FilmClip": "optical flow stands in for the true motion, where the flow there and back agree",
    "MovedClip": "photographs that a camera moves over",
    "StillClip": "photographs after each glance at them",
}

Told = dict[tuple[int, str], list[list[IdentityCounts]]]


def run(settings: TrackSettings) -> int:
    """Follow things, or tell how well.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    if settings.is_of == "frames" and not settings.images:
        _complain("--as frames: expected a folder of frames, or two files or more")
        return USAGE
    try:
        cortex = Cortex(**settings.cortex).eval().requires_grad_(False).to(choose_device(settings.device))
    except (ValueError, KeyError, FileNotFoundError) as error:
        _complain(error)
        return USAGE
    except ProviderUnavailable as error:
        _complain(error)
        return NOTHING
    scenes, problems = scenes_of(settings)
    for line in problems:
        _complain(line)
    try:
        n_done = (_tell_all if settings.is_exam else _follow_all)(cortex, scenes, settings, problems)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED
    if not n_done:
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL


def scenes_of(settings: TrackSettings) -> tuple[list[Scene], list[str]]:
    """What is to be followed, and a line for each path that gave nothing."""
    if settings.is_of == "frames":
        return [film(settings)], []
    # A camera that moves over a photograph shows a part of it, so that it is read larger.
    size_px = 4 * settings.size_px if settings.is_of == "moved" else settings.size_px
    inputs, problems, notes = collect(settings.images, size_px) if settings.images else (showcase(size_px), [], [])
    for line in notes:
        _complain(line)
    if settings.is_of == "moved":
        return [moved(item, settings, seed) for seed, item in enumerate(inputs)], problems
    return [glanced(item, settings) for item in inputs], problems


def _follow_all(cortex: Cortex, scenes: Sequence[Scene], settings: TrackSettings, problems: list[str]) -> int:
    """A figure, a film and a JSON of each; returns how many were done."""
    stdout, n_done = Console(highlight=False, soft_wrap=True), 0
    scenes = set_apart(scenes, (settings.out, (".png", ".gif", ".json")), say=_complain)
    with Bar(None, unit="frames", is_quiet=settings.is_quiet) as bar:
        for scene in scenes:
            try:
                clip = scene.load()
                bar.move(0, title=scene.name, total=len(clip.images))
                followed = follow(watch(cortex, clip, bar.advance), n_slots=settings.n_slots)
                paths, undrawn = _write(followed, scene.name, settings)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                problems.append(failure(scene.label, error))
                _complain(problems[-1])
                continue
            n_done += 1
            for line in undrawn:
                problems.append(f"{scene.label}: {line}")
                _complain(problems[-1])
            if not settings.is_quiet:
                stdout.print("\n".join(f"track    {path}" for path in paths), markup=False)
    return n_done


def _write(followed: Followed, name: str, settings: TrackSettings) -> tuple[list[Path], tuple[str, ...]]:
    """What is where first, then what shows it; files, and a line for each that could not be drawn."""
    what = "glances" if settings.is_of == "glances" else "frames"
    note = f"{followed.n_things} things in {len(followed.frames)} {what}; a number and a colour are one thing"
    frame_ms = _FRAME_MS[settings.is_of]

    def figure(path: Path) -> Path:
        things = draw_things(followed.images, followed.identity, frames=followed.frames, name=name, note=note)
        return write_figure(things, path)

    def film(path: Path) -> Path:
        factor = max(1, round(_GIF_PX / max(followed.images.shape[-2:])))
        pages = [
            np.rint(255 * paint_things(image, own)).astype(np.uint8).repeat(factor, 0).repeat(factor, 1)
            for image, own in zip(followed.images, followed.identity, strict=True)
        ]
        return write_gif(pages, path, frame_ms=frame_ms, last_ms=4 * frame_ms)

    page = write_page(settings.out / f"{name}.json", as_record(followed, name=name))
    drawings: list[Drawing] = [
        ("figure", settings.out / f"{name}.png", figure),
        ("film", settings.out / f"{name}.gif", film),
    ]
    figures, undrawn = drawn(drawings)
    return [*figures.values(), page], undrawn


def _tell_all(cortex: Cortex, scenes: Sequence[Scene], settings: TrackSettings, problems: list[str]) -> int:
    """The table; returns of how many clips it is."""
    told: Told = {}
    kinds: list[str] = []
    with Bar(None, unit="", is_quiet=settings.is_quiet) as bar:
        for scene in scenes:
            try:
                clip = scene.load()
                bar.move(0, title=f"{scene.name}, seen", total=len(clip.images))
                watched = watch(cortex, clip, bar.advance)
                truth = Truth(clip, watched.objects)
                own: Told = {}
                for step in settings.all_steps:
                    bar.move(0, title=f"{scene.name}, step {step}", total=None)
                    found = tell_clip(truth, step=step, n_slots=settings.n_slots, on_row=bar.advance)
                    own |= {(step, row): [list(counts)] for row, counts in found.items()}
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                problems.append(failure(scene.label, error))
                _complain(problems[-1])
                continue
            kinds.append(type(clip).__name__)
            for key, counts in own.items():
                told.setdefault(key, []).extend(counts)
    if not kinds:
        return 0
    table = tabulate(told)
    clips = scenes[0].name if len(kinds) == 1 else f"{len(kinds)} clips"
    words = f"{clips}: {_WORDS[kinds[0]]}; looked at with {settings.size_px} px"
    try:
        paths = write_table(table, words, settings.out)
    except OSError as error:
        _complain(error)
        return 0
    if not settings.is_quiet:
        lines = [f"{words}; {table.unit}", "", as_markdown(table), "", *(f"track    {path}" for path in paths)]
        Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)
    return len(kinds)


_complain = partial(complain, "track")
