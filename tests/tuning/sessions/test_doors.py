"""One set of defaults by every door: who looks, and how often, in ``accommodate`` and in ``gym.make``."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from ciliary.agents import make_controller, run_episode
from ciliary.agents.looking import Looking
from ciliary.cortex.perceivers import make_perceiver
from ciliary.envs.config import EnvConfig
from ciliary.envs.objective.looks_objective import LooksObjective
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.settings import SessionSettings

ENV = "ciliary.envs:Ciliary/Accommodation-v0"
LOOKS = {"objective": "looks", "with_looks": True, "action_mode": "absolute"}


def bands(image, *, n: int = 2):
    """Bands of light."""
    return np.digitize(image.mean(-1), np.linspace(0, 1, int(n) + 1))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, {}),
        ({"inherited": "none"}, {"cortex": {"inherited": "none"}}),
        ({"learned": ("m2",)}, {"cortex": {"learned": ["m2"]}}),
        ({"perceiver": "watershed"}, {"perceiver": "watershed"}),
    ],
)
def test_the_same_looks_by_both_doors(asked: dict[str, Any], given: dict[str, Any]):
    session = make_env(SessionSettings(**asked))
    ours = gym.make(ENV, **LOOKS, **given).unwrapped
    assert isinstance(ours, AccommodationEnv)
    assert ours.evaluator.perceiver.name == session.evaluator.perceiver.name
    assert ours.parameter_names == session.parameter_names
    assert ours.frozen == session.frozen
    assert ours.starts is not None
    assert session.starts is not None
    np.testing.assert_array_equal(ours.starts, session.starts)
    np.testing.assert_array_equal(ours.default_u, session.default_u)


def test_an_episode_takes_the_looks_that_were_chosen_and_no_panel():
    env = gym.make(ENV, **LOOKS, cortex={"inherited": "none"}, source="coffee", size_px=48)
    trace = run_episode(env, make_controller("panel"), 0, looking=Looking())
    assert trace.n_trials == len(env.unwrapped.starts) == 10  # of docs/integration.md, not 32 around the defaults


def test_who_is_handed_in_is_left_as_it_is():
    plain = make_perceiver("watershed")
    assert EnvConfig(perceiver=plain, objective="looks").make_perceiver() is plain
    assert EnvConfig(cortex=plain, objective="looks").make_perceiver() is plain
    assert EnvConfig(perceiver=bands, objective="raw").make_perceiver().name == "bands"
    assert EnvConfig(perceiver=bands, objective=LooksObjective()).make_perceiver().name == "bands glances"


def test_another_objective_changes_nobody():
    assert EnvConfig().cortex_name == EnvConfig().make_perceiver().name == "cortex"
    assert EnvConfig(cortex={"inherited": "contours"}).cortex_name == "cortex-contours"
    assert EnvConfig(objective="looks").cortex_name == "cortex-contours"


def test_the_best_single_setting_is_searched_by_who_does_not_glance():
    env = make_env(SessionSettings(inherited="none", answer="best", objective="looks"))
    assert env.evaluator.perceiver.name == "cortex"
    assert env.starts is not None
    assert env.starts.shape == (32, len(env.parameters))
