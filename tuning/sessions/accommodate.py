"""The main job as one call: images in, a session run and reported, an exit code out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.parameters import BY_NAME, check_names
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.fingerprints import learned_mark
from ciliary.tuning.runs.registry import find_policy
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.display import TerminalDisplay, print_outcome
from ciliary.tuning.sessions.inputs import SHOWCASE_DISTURBANCES, collect, showcase
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.resume import check_name
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import StorageError

USAGE = 2


def run(
    images: Sequence[str],
    *,
    quiet: bool = False,
    disturbances: Sequence[str] | None = None,
    policy: str | Path | None = None,
    **settings: Any,
) -> int:
    """Accommodate to images and report on the terminal.

    Args:
        images: files and folders; none means a few bundled photographs under a few disturbances.
        quiet: say nothing but problems.
        disturbances: specifications; None is ``none`` (or those of the showcase).
        policy: file of a trained policy, or ``models:/NAME/VERSION`` in the registry of the tracking store.
        settings: the other fields of :class:`~ciliary.tuning.sessions.settings.SessionSettings`.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped.
    """
    if disturbances is None:
        disturbances = ("none",) if images else SHOWCASE_DISTURBANCES
    try:
        asked = SessionSettings(disturbances=tuple(disturbances), **settings)
        if policy is not None:
            asked = replace(asked, policy=find_policy(policy, asked.out))
        asked = check(asked)
    except (ValueError, KeyError, FileNotFoundError) as error:
        _complain(str(error.args[0]))
        return USAGE
    inputs, missing, notes = collect(images, asked.long_side_px) if images else (showcase(asked.long_side_px), [], [])
    for line in (*missing, *(() if quiet else notes)):
        _complain(line)
    if not inputs:
        return 1
    try:
        with TerminalDisplay(n_trials=asked.n_trials, is_quiet=quiet) as display:
            outcome = run_session(asked, inputs, make_env=make_env, display=display)
    except (StoreError, StorageError, NotWritable, ProviderUnavailable) as error:
        _complain(str(error))
        return 1
    outcome.problems[:0] = missing
    if not quiet:
        print_outcome(outcome, save=asked.save)
    return outcome.exit_code


def check(settings: SessionSettings) -> SessionSettings:
    """The settings with disturbances in their one spelling.

    Raises:
        ValueError, KeyError: naming what is wrong and what would be right.
    """
    make_controller(settings)
    make_objective(settings.objective)
    learned_mark(settings.learned)
    check_name(settings.session_base)
    check_names(settings.changes)
    for name, value in settings.changes.items():
        parameter = BY_NAME[name]
        if not parameter.low <= value <= parameter.high:
            raise ValueError(f"{name} must lie in {parameter.low:g}..{parameter.high:g}, got {value:g}")
    spelled = tuple(dict.fromkeys(str(parse_disturbance(text)) for text in settings.disturbances))
    return replace(settings, disturbances=spelled or ("none",))


def _complain(text: str) -> None:
    print(f"accommodate: {text}", file=sys.stderr)
