"""The loop on the real environment: one small photograph, few trials."""

import numpy as np
import pytest

from ciliary.agents import Ending, make_controller, run_episode
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs import AccommodationEnv

OPTIONS = {"image": 0, "disturbance": "gaussian_noise:2"}


@pytest.fixture(scope="module")
def env():
    few = {"source": "scenes", "size_px": 48, "n_views": 2, "disturbances": (None,)}
    return AccommodationEnv(**few, action_mode="absolute", objective="raw")


@pytest.mark.parametrize("name", ["fixed", "normalise", "random", "tpe"])
def test_episode_on_a_scene(env, name):
    trace = run_episode(env, make_controller(name), 0, OPTIONS, n_trials=6)
    assert trace.parameter_names == PARAMETERS.names
    assert {"total", "stability", "consistency", "collapse", "economy"} <= set(trace.before)
    assert trace.ending is not Ending.NON_FINITE
    np.testing.assert_allclose(env.u, trace.u_chosen, atol=1e-6)
    total = env.evaluate(trace.u_chosen[None]).terms["total"][0]
    assert total == pytest.approx(trace.after["total"], abs=1e-4)
    if name != "normalise":
        assert trace.after["total"] <= trace.before["total"]
    assert set(trace.theta_chosen) == set(PARAMETERS.names)


def test_normalise_measures_before_on_the_image_as_it_came(env):
    options = {"image": 0, "disturbance": "low_contrast:4"}
    fixed = run_episode(env, make_controller("fixed"), 0, options)
    stretched = run_episode(env, make_controller("normalise"), 0, options)
    assert stretched.before["total"] == pytest.approx(fixed.before["total"], abs=1e-6)
    assert stretched.after["total"] != pytest.approx(fixed.after["total"], abs=1e-6)


def test_same_seed_same_trace(env):
    one, other = (run_episode(env, make_controller("tpe"), 7, OPTIONS, n_trials=6) for _ in range(2))
    np.testing.assert_array_equal(one.u, other.u)
    np.testing.assert_allclose(one.total, other.total, atol=1e-6)
    assert one.i_chosen == other.i_chosen
