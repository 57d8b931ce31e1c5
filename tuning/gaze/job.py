"""Photographs in, figures and fixations out; or a folder of people's fixations in, a table out. An exit code."""

from __future__ import annotations

from functools import partial

import torch
from rich.console import Console

from ciliary.cortex.cues import make_backbone
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.dorsal.expectation import ExpectationNet, read_expectation
from ciliary.cortex.dorsal.looking import Trunk
from ciliary.cortex.dorsal.mixture import GazeMixture, read_mixture
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED, USAGE
from ciliary.tuning.gaze.ablations import tell_ablations
from ciliary.tuning.gaze.detail import tell_detail
from ciliary.tuning.gaze.people import as_markdown, tell, write_table
from ciliary.tuning.gaze.percepts import tell_percepts
from ciliary.tuning.gaze.session import ENDS, SAVED, Gazing
from ciliary.tuning.gaze.settings import OWN_SIGHT, GazeSettings
from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.inputs import collect, set_apart, showcase
from ciliary.tuning.sessions.one_each import run_one_each, tell_outcome


def run(settings: GazeSettings) -> int:
    """Look at photographs, or tell maps beside people.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    try:
        needs_mixture = settings.map == "learned" or settings.people is not None
        mixture = read_mixture(settings.weights) if needs_mixture else None
        trunk = trunk_of(mixture)
        net = read_expectation(settings.expectation) if settings.sight == OWN_SIGHT else None
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
            return _tell(settings, mixture, trunk)
        return _look_at_all(settings, mixture, trunk, net)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED


def trunk_of(mixture: GazeMixture | None, device: str | torch.device = "cpu") -> Trunk | None:
    """Maps of the backbone that a mixture names, which lies on ``device``; None without.

    Raises:
        ProviderUnavailable, ValueError: there is no such backbone here.
    """
    if mixture is None or mixture.features == "none":
        return None
    backbone = make_backbone(mixture.features)
    return None if backbone is None else backbone.to(device).maps


def _tell(settings: GazeSettings, mixture: GazeMixture | None, trunk: Trunk | None) -> int:
    try:
        table, scores, words = tell(settings, mixture, trunk)
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


def _look_at_all(
    settings: GazeSettings, mixture: GazeMixture | None, trunk: Trunk | None, net: ExpectationNet | None
) -> int:
    size_px = settings.size_px
    inputs, problems, notes = collect(settings.images, size_px) if settings.images else (showcase(size_px), [], [])
    for line in (*problems, *notes):
        _complain(line)
    if not inputs:
        return NOTHING
    saved = () if settings.save is None else ((settings.save, SAVED),)
    inputs = set_apart(inputs, (settings.out, ENDS), *saved, say=_complain)
    try:
        outcome = run_one_each(settings, inputs, Gazing(settings, mixture, trunk, net), say=_complain)
    except ValueError as error:
        _complain(error)
        return USAGE
    except (StoreError, NotWritable) as error:
        _complain(error)
        return NOTHING
    outcome.problems[:0] = problems
    if not settings.is_quiet:
        tell_outcome(outcome, {"figure": "gaze"})
    return outcome.exit_code


_complain = partial(complain, "gaze")
