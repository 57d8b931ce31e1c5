"""Scenes in, episodes of lens or pupil out; or data in, the exams' tables out. An exit code."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.focus.exam import run_exams
from ciliary.tuning.focus.inputs import collect
from ciliary.tuning.focus.session import Focusing
from ciliary.tuning.focus.settings import FocusSettings
from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.conduct import conduct
from ciliary.tuning.sessions.display import TerminalDisplay, print_files
from ciliary.tuning.sessions.ray_cluster import EngineError


def run(settings: FocusSettings) -> int:
    """Focus, or examine.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some scenes failed, 130 stopped by Ctrl-C.
    """
    try:
        return _focus(settings) if settings.exam is None else _examine(settings)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED
    except (StoreError, NotWritable, EngineError) as error:
        _complain(error)
        return NOTHING


def _focus(settings: FocusSettings) -> int:
    if not settings.images:
        _complain("give a scene: a stack, a folder with depth, a .hdr or a photograph; or --exam DIR (see --help)")
        return USAGE
    inputs, missing = collect(settings.images, nearness=settings.nearness, n_frames=settings.n_scenes)
    for line in missing:
        _complain(line)
    if not inputs:
        return NOTHING
    try:
        with TerminalDisplay(
            "focus", n_trials=settings.n_trials, trials="looks", inputs="scenes", is_quiet=settings.is_quiet
        ) as display:
            outcome = conduct(Focusing(settings), inputs, display)
    except ValueError as error:
        _complain(error)
        return USAGE
    outcome.problems[:0] = missing
    if not settings.is_quiet:
        print_files(outcome, {"figure": "figure", "animation": "animation"})
    return outcome.exit_code


def _examine(settings: FocusSettings) -> int:
    files, problems = run_exams(settings, _complain)
    if not files:
        return NOTHING
    if not settings.is_quiet:
        page = files[0].read_text(encoding="utf-8")
        Console(highlight=False, soft_wrap=True).print(
            "\n".join([page, "", *(f"focus    {path}" for path in files)]), markup=False
        )
    return SOME_FAILED if problems else ALL_WELL


_complain = partial(complain, "focus")
