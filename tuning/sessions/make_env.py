"""The environment and the controller that a session's settings describe."""

from __future__ import annotations

from ciliary.agents.base import Controller
from ciliary.cortex import default_theta, to_unit
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.runs.fingerprints import cortex_options
from ciliary.tuning.sessions.playing import build_controller
from ciliary.tuning.sessions.settings import SessionSettings


def make_env(settings: SessionSettings) -> AccommodationEnv:
    """One environment for all episodes. Actions are settings, so that one step applies what was chosen."""
    env = AccommodationEnv(
        cortex=cortex_options(depth=settings.depth, features=settings.features, learned=settings.learned),
        objective=settings.objective,
        size_px=settings.long_side_px,
        action_mode="absolute",
        with_kl=True,  # logged beside the chance-corrected consistency; some 5 % of the time
    )
    if settings.changes:
        env.default_u = to_unit(default_theta(1, **settings.changes))[0].numpy()
    return env


def make_controller(settings: SessionSettings) -> Controller:
    """The controller of a session. Raises as :func:`~ciliary.tuning.sessions.playing.build_controller`."""
    return build_controller(
        settings.controller, population=settings.population, spread=settings.spread, policy=settings.policy
    )
