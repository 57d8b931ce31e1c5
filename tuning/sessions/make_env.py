"""The environment and the controller that a session's settings describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ciliary.agents.base import ControllerBase
from ciliary.cortex import make_perceiver
from ciliary.cortex.options import is_of_looks
from ciliary.cortex.parameters import table_for
from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.sessions.playing import build_controller
from ciliary.tuning.sessions.settings import SessionSettings


def make_env(
    settings: SessionSettings, *, searches_all: bool = False, perceiver: Perceiver | None = None
) -> AccommodationEnv:
    """One environment for all episodes. Actions are settings, so that one step applies what was chosen.

    Args:
        settings: of the session.
        searches_all: parameters that can do nothing are searched too, as version 0.1 did.
        perceiver: that of another environment of these settings, to be shared; None: one of its own.
    """
    what: dict[str, Any]
    if perceiver is None:
        perceiver = settings.make_seer(searches_all=searches_all) if settings.is_integrated else settings.make_other()
    if perceiver is not None:
        what, table = {"perceiver": perceiver}, perceiver.table
    else:  # built by the environment, which knows what the objective asks of it
        options = settings.cortex | ({"searches_all": True} if searches_all else {})
        what, table = {"cortex": options}, table_for(settings.inherited)
        if is_of_looks(settings.objective):  # for the best setting: who sees is plain, and does not glance
            what = {"cortex": make_perceiver(options, device=settings.device)}
    return AccommodationEnv(
        **what,
        device=settings.device,
        objective=settings.objective,
        size_px=settings.size_px,
        action_mode="absolute",
        with_kl=True,  # logged beside the chance-corrected consistency; some 5 % of the time
        with_looks=settings.is_integrated,
        default_u=table.default_unit(1, **settings.changes)[0].numpy(),
    )


def make_controller(settings: SessionSettings) -> ControllerBase:
    """The controller of a session. Raises as :func:`~ciliary.tuning.sessions.playing.build_controller`."""
    return build_controller(
        settings.controller,
        population=settings.population,
        spread=settings.spread,
        policy=None if settings.policy is None else Path(settings.policy),
        trust=settings.is_trusted or None,
    )
