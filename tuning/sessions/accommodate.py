"""The main job as one call: images in, a session run and reported, an exit code out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.floats import single_precision
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, USAGE
from ciliary.tuning.runs.coco import join_files
from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.registry import find_policy
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.check import check
from ciliary.tuning.sessions.display import TerminalDisplay, print_outcome
from ciliary.tuning.sessions.inputs import SHOWCASE_DISTURBANCES, collect, showcase
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.ray_cluster import EngineError
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import StorageError


def run(images: Sequence[Any] = (), *, quiet: bool = False, **settings: Any) -> int:
    """Accommodate to images from Python; as :func:`accommodate`.

    Args:
        images: files, folders, names of bundled photographs, arrays, PIL images or tensors; none means a few bundled
            photographs under a few disturbances.
        quiet: say nothing but problems.
        settings: the other fields of :class:`~ciliary.tuning.sessions.settings.SessionSettings`.
    """
    try:
        asked = SessionSettings(
            tuple(str(one) if isinstance(one, Path) else one for one in images), is_quiet=quiet, **settings
        )
    except ValueError as error:
        complain("accommodate", error)
        return USAGE
    return accommodate(asked)


@single_precision
def accommodate(settings: SessionSettings) -> int:
    """Accommodate to images and report on the terminal.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped.
    """
    images, is_quiet = settings.images, settings.is_quiet
    try:
        asked = settings
        if not asked.disturbances:
            asked = replace(asked, disturbances=("none",) if images else SHOWCASE_DISTURBANCES)
        if asked.policy is not None:
            asked = replace(asked, policy=find_policy(asked.policy, asked.out))
        asked = check(asked)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        complain("accommodate", error)
        return USAGE
    inputs, missing, notes = collect(images, asked.size_px) if images else (showcase(asked.size_px), [], [])
    for line in (*missing, *(() if is_quiet else notes)):
        complain("accommodate", line)
    if not inputs:
        return NOTHING
    try:
        with TerminalDisplay(n_trials=asked.n_trials, is_quiet=is_quiet) as display:
            outcome = run_session(asked, inputs, make_env=make_env, display=display)
    except (StoreError, StorageError, NotWritable, ProviderUnavailable, EngineError) as error:
        complain("accommodate", error)
        return NOTHING
    outcome.problems[:0] = missing
    if asked.is_coco and asked.save is not None:
        found = [record["files"].get("coco") for record in outcome.records]
        join_files([path for path in found if path], asked.save / f"{outcome.name}.coco.json")
    if not is_quiet:
        print_outcome(outcome, save=asked.save)
    return outcome.exit_code
