"""Scenes in, episodes of lens or pupil out; or data in, the exams' tables out. An exit code."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.focus.exam import run_exams
from ciliary.tuning.focus.settings import FocusSettings


def run(settings: FocusSettings) -> int:
    """Focus, or examine.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some scenes failed, 130 stopped by Ctrl-C.
    """
    try:
        return _examine(settings)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED


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
