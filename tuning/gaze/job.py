"""Photographs in, figures and fixations out; or a folder of people's fixations in, a table out. An exit code."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED, USAGE
from ciliary.tuning.gaze.ablations import tell_ablations
from ciliary.tuning.gaze.detail import tell_detail
from ciliary.tuning.gaze.means import Means, read_means
from ciliary.tuning.gaze.people import as_markdown, tell, write_table
from ciliary.tuning.gaze.percepts import tell_percepts
from ciliary.tuning.gaze.session import ENDS, SAVED, Gazing
from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.conduct import conduct
from ciliary.tuning.sessions.display import TerminalDisplay, print_files
from ciliary.tuning.sessions.inputs import collect, set_apart, showcase
from ciliary.tuning.sessions.ray_cluster import EngineError


def run(settings: GazeSettings) -> int:
    """Look at photographs, or tell maps beside people.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    try:
        means = read_means(settings)
    except (ValueError, FileNotFoundError) as error:
        _complain(error)
        return USAGE
    except ProviderUnavailable as error:
        _complain(error)
        return NOTHING
    try:
        if settings.detail is not None:
            return _tell_detail(settings)
        if settings.people is not None:
            return _tell(settings, means)
        return _look_at_all(settings, means)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED


def _tell(settings: GazeSettings, means: Means) -> int:
    try:
        table, scores, words = tell(settings, means.mixture, means.trunk)
        more, files = tell_ablations(scores, settings.out) if settings.ablations else ("", ())
        paths = (*write_table(table, words, settings.out, more=f"\n{more}" if more else ""), *files)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(
            "\n".join([words, "", as_markdown(table), more, *(f"gaze     {path}" for path in paths)]), markup=False
        )
    return ALL_WELL


def _tell_detail(settings: GazeSettings) -> int:
    try:
        page, paths = tell_detail(settings) if settings.compare is None else tell_percepts(settings)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    if not settings.is_quiet:
        print("\n".join([page, *(f"detail   {path}" for path in paths)]))
    return ALL_WELL


def _look_at_all(settings: GazeSettings, means: Means) -> int:
    size_px = settings.size_px
    inputs, problems, notes = collect(settings.images, size_px) if settings.images else (showcase(size_px), [], [])
    for line in (*problems, *notes):
        _complain(line)
    if not inputs:
        return NOTHING
    saved = () if settings.save is None else ((settings.save, SAVED),)
    inputs = set_apart(inputs, (settings.out, ENDS), *saved, say=_complain)
    try:
        with TerminalDisplay("gaze", inputs="photographs", is_quiet=settings.is_quiet) as display:
            outcome = conduct(Gazing(settings, means), inputs, display)
    except ValueError as error:
        _complain(error)
        return USAGE
    except (StoreError, NotWritable, EngineError) as error:
        _complain(error)
        return NOTHING
    outcome.problems[:0] = problems
    if not settings.is_quiet:
        print_files(outcome, {"figure": "gaze"})
    return outcome.exit_code


_complain = partial(complain, "gaze")
