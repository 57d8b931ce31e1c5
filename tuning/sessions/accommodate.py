"""The main job as one call: images in, a session run and reported, an exit code out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.floats import single_precision
from ciliary.cortex.options import CORTEX
from ciliary.cortex.parameters import table_for
from ciliary.cortex.perceiver import needs
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, USAGE
from ciliary.tuning.runs.coco import join_files
from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.registry import find_policy
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.display import TerminalDisplay, print_outcome
from ciliary.tuning.sessions.inputs import SHOWCASE_DISTURBANCES, collect, showcase
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.ray_cluster import EngineError
from ciliary.tuning.sessions.resume import check_name
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


def check(settings: SessionSettings) -> SessionSettings:
    """The settings with disturbances in their one spelling.

    Raises:
        ValueError, KeyError: naming what is wrong and what would be right.
    """
    check_name(settings.session_base)
    spelled = tuple(dict.fromkeys(str(parse_disturbance(text)) for text in settings.shown_as))
    settings.cortex_marks  # noqa: B018 -- says now what is missing
    settings.numbers()  # loads objects of one's own: better missed now than in the middle
    other = settings.make_other()
    if settings.is_integrated:
        table = settings.make_seer().table
    else:
        table = table_for(settings.inherited) if other is None else other.table
    table.check_names(settings.changes)
    for name, value in settings.changes.items():
        table.check_value(name, value)
    controller = make_controller(settings)
    objective = make_objective(settings.objective, perceiver=settings.name)
    if settings.name != CORTEX and settings.plays_what_comes_along:
        advice = "give --policy or search" + (", or --inherited none" if other is None else "")
        raise ValueError(f"what {settings.controller} plays was learned with the mathematical cortex; {advice}")
    if other is not None:
        objective.check(other)
        if controller.use_gradients:
            needs(other, "gradient", f"the controller {controller.name}")
    return replace(settings, disturbances=spelled)
