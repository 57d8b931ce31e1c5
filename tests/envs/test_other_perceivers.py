"""Environments and objectives around a perceiver that is not the cortex: a segmentation function."""

import numpy as np
import pytest

from ciliary.agents.episode import run_episode
from ciliary.agents.registry import make_controller
from ciliary.cortex import SegmenterPerceiver
from ciliary.envs.single import AccommodationEnv
from ciliary_tests.segmentations import bands

SETTINGS = np.linspace(-0.9, 0.9, 10, dtype=np.float32).reshape(5, 2)


def make(objective=None, **options):
    mine = SegmenterPerceiver(bands, {"threshold": (0.2, 0.8, 0.5), "n": (1, 12, 3)})
    return AccommodationEnv(perceiver=mine, objective=objective, size_px=48, **options)


@pytest.mark.parametrize("objective", [None, "raw"])
def test_what_a_setting_is_worth_does_not_depend_on_its_batch(objective):
    env = make(objective)
    env.reset(seed=0, options={"image": "coffee"})
    together = env.evaluate(SETTINGS).terms
    for i, one in enumerate(SETTINGS):
        alone = env.evaluate(one[None]).terms
        for name, values in together.items():
            assert alone[name][0] == pytest.approx(values[i], abs=1e-6), name


def test_the_default_objective_is_agreement_and_the_calibrated_one_is_refused():
    assert make().evaluator.objective.name == "agreement"
    with pytest.raises(ValueError, match="no calibration of bands comes along"):
        make("calibrated")
    with pytest.raises(ValueError, match=r"recognition.*bands declares none"):
        make("recognition")


@pytest.mark.parametrize("controller", ["random", "tpe", "cmaes"])
def test_episodes_are_played(controller):
    trace = run_episode(make(), make_controller(controller), 0, {"image": "coffee"}, n_trials=8)
    assert trace.n_trials == 8
    assert trace.after["total"] <= trace.before["total"]
    assert trace.u.shape == (8, 2)


def test_what_needs_a_gradient_is_refused():
    env = make()
    with pytest.raises(ValueError, match="has none; choose a controller that searches"):
        run_episode(env, make_controller("gradient"), 0, {"image": "coffee"}, n_trials=4)
    with pytest.raises(ValueError, match="needs a perceiver that answers 'gradient'"):
        env.unwrapped.evaluate_with_gradient(env.unwrapped.default_u[None])
