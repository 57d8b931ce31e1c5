"""A policy's proposal, a short search around it, and an end when little is left to gain."""

from dataclasses import dataclass

import numpy as np
import pytest

from ciliary.agents import Ending, make_controller, run_episode
from ciliary.agents.controllers.hybrid import HybridController, expected_gain
from ciliary.testing.controller import ControllerContract, CountingToy

OPTIMUM = (0.5, -0.5, 0.25, -0.25)


@dataclass(frozen=True)
class Pointer:
    """A policy that reads the optimum in the observation (the toy shows it on request) and misses it by so much."""

    miss: float = 0.0
    setting: tuple[float, ...] | None = None

    def propose(self, obs):
        if self.setting is not None:
            return np.array(self.setting, dtype=np.float32)
        return np.clip(np.asarray(obs["statistics"]) + self.miss, -1, 1).astype(np.float32)


class HybridContract(ControllerContract):
    sampler = "tpe"

    @pytest.fixture
    def controller(self):
        return HybridController(self.sampler, Pointer(setting=(0.3, -0.3, 0.3, -0.3)), min_gain=0.0)


class TestHybrid(HybridContract):
    pass


class TestHybridCmaes(HybridContract):
    sampler = "cmaes"


def play(controller, *, seed=0, n_trials=16, **settings):
    env = CountingToy(is_context_visible=True, **settings)
    return run_episode(env, controller, seed, {"optimum": OPTIMUM}, n_trials), env


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_trial_1_is_what_the_policy_proposes_at_the_defaults(sampler):
    trace, _ = play(HybridController(sampler, Pointer()))
    np.testing.assert_array_equal(trace.u[0], np.zeros(4))
    np.testing.assert_allclose(trace.u[1], OPTIMUM, atol=1e-6)
    assert trace.i_chosen == 1  # a perfect policy leaves nothing to find


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_search_mends_a_policy_that_misses(sampler):
    left = []
    for seed in range(6):
        trace, _ = play(HybridController(sampler, Pointer(0.1), min_gain=0), seed=seed, n_trials=32)
        left.append(trace.after["total"] / trace.total[1])
    assert np.mean(left) < 0.6
    alone = [play(make_controller("tpe"), seed=seed, n_trials=32)[0].after["total"] for seed in range(6)]
    assert np.mean(left) * trace.total[1] < 0.5 * np.mean(alone)


def test_tpe_looks_around_the_defaults_where_these_are_better_than_the_proposal():
    options = {"optimum": [0.05, -0.05, 0.05, -0.05]}
    far = Pointer(setting=(-0.9, 0.9, -0.9, 0.9))
    trace = run_episode(CountingToy(), HybridController(policy=far, min_gain=0), 0, options, 12)
    near_default = np.abs(trace.u[4:]).max(1) < 0.5
    assert near_default.all()


def test_the_best_recommended_setting_stands_beside_the_proposal():
    class Recommending(CountingToy):
        starts = np.array([[0.1, 0.1, 0.1, 0.1], [0.3, 0.3, 0.3, 0.3], [0.9, 0.9, 0.9, 0.9]])

    trace = run_episode(Recommending(), HybridController(policy=Pointer(setting=OPTIMUM)), 0, None, 4)
    np.testing.assert_allclose(trace.u[:3], [[0] * 4, OPTIMUM, [0.1] * 4], atol=1e-6)
    assert np.abs(trace.u[3] - OPTIMUM).max() < 0.5
    once = run_episode(Recommending(), HybridController(policy=Pointer(setting=(0.1,) * 4)), 0, None, 4)
    assert (np.abs(once.u - 0.1).max(1) < 1e-6).sum() == 1  # what is proposed anyway is not tried twice


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_ends_when_little_is_left_and_not_before(sampler):
    perfect = [play(HybridController(sampler, Pointer()), seed=seed, n_trials=64)[0] for seed in range(4)]
    wrong = [play(HybridController(sampler, Pointer(-0.4)), seed=seed, n_trials=64)[0] for seed in range(4)]
    assert all(trace.ending is Ending.CONVERGED and trace.n_trials <= 24 for trace in perfect)
    assert np.mean([t.n_trials for t in wrong]) > 2 * np.mean([t.n_trials for t in perfect])
    never, _ = play(HybridController(sampler, Pointer(), min_gain=0.0), n_trials=24)
    assert never.n_trials == 24


def test_expected_gain_by_hand():
    # -1 and 1: mean 0, std sqrt 2: E max(0, -X) = std / sqrt(2 pi), three times
    assert expected_gain(np.array([-1.0, 1.0]), n=3) == pytest.approx(3 * np.sqrt(2) / np.sqrt(2 * np.pi))
    assert expected_gain(np.array([0.5, 0.5]), n=3) == 0
    assert expected_gain(np.array([-0.5, -0.5]), n=3) == 1.5
    assert expected_gain(np.array([np.nan, 1.0]), n=3) == np.inf
    assert expected_gain(np.array([0.5, 0.6, np.inf]), n=3) < 1e-6


def test_expected_gain_bounds_what_normal_draws_gain():
    rng = np.random.default_rng(0)
    draws, seen = rng.normal(size=(100_000, 4)), np.tile([-1.0, 1.0], 1000)  # mean 0, standard deviation 1
    for best in (-2.0, -1.0, 0.0):
        gained = np.maximum(0, best - draws.min(1)).mean()
        said = expected_gain(seen - best, n=4)
        assert gained <= 1.03 * said
        assert best > -1.5 or said == pytest.approx(gained, rel=0.1)  # tight where records are rare


def test_settings_are_checked():
    for wrong in ({"population": 1}, {"local_spread": 0}, {"min_gain": -1}, {"n_near": -1}):
        with pytest.raises(ValueError, match="expected population"):
            HybridController(**wrong)
    with pytest.raises(ValueError, match="choose from tpe"):
        HybridController("annealing")


def test_by_name():
    assert make_controller("hybrid", population=8).name == "hybrid"
    assert make_controller("hybrid-cmaes").name == "hybrid-cmaes"
