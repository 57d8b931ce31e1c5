"""Frames in, a figure out; or the exam, a table. An exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from rich.console import Console
from torch import Tensor

from ciliary.cortex.device import choose_device, to_device
from ciliary.cortex.dorsal.watching import watch
from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.cortex.motion.perceive import MotionSettings
from ciliary.cortex.motion.temporal import TemporalSettings
from ciliary.cortex.plot.motion import draw_motion
from ciliary.envs.data.active.drifting import patch_frames
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.motion.exam import (
    Line,
    ablation_lines,
    made_up_lines,
    memory_lines,
    pursuit_lines,
    real_lines,
    still_line,
    time_line,
)
from ciliary.tuning.motion.real import KnownFlow
from ciliary.tuning.motion.settings import MotionCommand
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import collect, set_apart

_MADE_UP = "patch"


def run(settings: MotionCommand) -> int:
    """Watch a sequence, or sit the exam.

    Returns:
        0 all well, 1 nothing could be done, 3 some frames could not be read, 130 stopped by Ctrl-C.
    """
    try:
        return _examine(settings) if settings.is_exam else _watch(settings)
    except KeyboardInterrupt:
        _complain("stopped")
        return STOPPED
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        _complain(failure("exam" if settings.is_exam else "sequence", error))
        return NOTHING


def _watch(settings: MotionCommand) -> int:
    frames, name, scale, problems = _frames(settings)
    for line in problems:
        _complain(line)
    if len(frames) < 2:
        _complain(f"expected two frames or more, got {len(frames)}; name the files of a sequence or its folder")
        return NOTHING
    temporal = TemporalSettings(frame_ms=settings.frame_ms)
    width = frames.shape[-1]
    px_per_deg = width / WIDTH_DEG if settings.px_per_deg is None else settings.px_per_deg * scale
    frames = frames.to(choose_device(settings.device))
    look = to_device(watch(frames, px_per_deg=px_per_deg, settings=MotionSettings(temporal=temporal)), "cpu")
    note = f"{len(frames)} frames, {settings.frame_ms:.3g} ms apart; motion is that of {temporal.latency_ms:.0f} ms ago"
    path = write_figure(draw_motion(look, name=name, note=note), settings.out / f"{name}.png")
    _print(settings, [f"motion   {path}"])
    return SOME_FAILED if problems else ALL_WELL


def _frames(settings: MotionCommand) -> tuple[Tensor, str, float, list[str]]:
    """Frames (T, 3, H, W), a name, their size in that of the files, and lines of what could not be read."""
    if not settings.images:
        made, _ = patch_frames(background_px=(0, 2), patch_px=(1, 0), n_frames=8, size_px=(180, 240), side_px=44)
        return made, _MADE_UP, 1.0, []
    inputs, problems, notes = collect(settings.images, settings.size_px)
    for line in notes:
        _complain(line)
    read = []
    with Bar(len(inputs), unit="frames", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            try:
                read.append(item.load())
            except (ValueError, OSError) as error:
                problems.append(failure(item.label, error))
            bar.advance()
    sizes = {tuple(one.image.shape) for one in read}
    if len(sizes) > 1:
        raise ValueError(f"expected frames of one size, got {len(sizes)}; give one sequence at a time")
    if not read:
        return torch.zeros(0, 3, 1, 1), "", 1.0, problems
    scale = read[0].image.shape[2] / read[0].original_size[1]
    (first, *_) = set_apart(inputs[:1], (settings.out, (".png",)), say=_complain)
    return torch.stack([one.image for one in read]), first.name, scale, problems


def _examine(settings: MotionCommand) -> int:
    name = "pursuit" if settings.has_pursuit else "motion"
    lines: list[Line] = []
    with Bar(None, unit="lines", is_quiet=settings.is_quiet) as bar:
        for part in _parts(settings, lambda title: bar.move(len(lines), title=title)):
            for line in part:
                lines.append(line)
                bar.move(len(lines), title=line.exam)
    page, table = settings.out / f"{name}.md", settings.out / f"{name}.csv"
    text = rows_to_markdown(lines)
    write_atomically(page, text.encode())
    write_atomically(table, rows_to_csv(lines).encode())
    _print(settings, [text, f"motion   {page}", f"motion   {table}"])
    return ALL_WELL


def _parts(settings: MotionCommand, on_part: Callable[[str], None]) -> list[Iterable[Line]]:
    """The lines of the exam that was asked for, to be made one by one."""
    if settings.has_pursuit:
        films = [] if settings.run is None else [memory_lines(settings.run)]
        return [*films, pursuit_lines(settings.n_scenes, on_part)]
    known = None if settings.run is None else KnownFlow.read(settings.run, width_px=settings.size_px)
    parts: list[Iterable[Line]] = [(still_line() for _ in (0,)), made_up_lines(settings.n_scenes)]
    if known is not None:
        parts.append(real_lines(known))
    if settings.has_ablations:
        parts.append(ablation_lines(known))
    parts.append(time_line() for _ in (0,))
    return parts


def _print(settings: MotionCommand, lines: list[str]) -> None:
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)


_complain = partial(complain, "motion")
