"""The controller that descends: its exam, where it gets to, and what it is told."""

import numpy as np
import optuna
import pytest

from ciliary.agents import Ending, make_controller, run_episode
from ciliary.agents.controllers.gradient import GradientController
from ciliary.envs.single import AccommodationEnv
from ciliary.testing.controller import ControllerContract, CountingToy
from ciliary.tuning.sessions.study_cache import RememberingEnv, StudyCache
from ciliary_tests.controllers import distances
from ciliary_tests.photographs import photographs


class TestGradient(ControllerContract):
    @pytest.fixture
    def controller(self):
        return make_controller("gradient")


def test_reaches_the_optimum_of_a_bowl():
    _, left = distances("gradient", n_trials=64, seeds=range(3))
    assert left.max() < 0.03  # 20 steps; what is left lies along the flattest coordinate
    error, _ = distances("gradient", n_trials=304, seeds=range(2))
    assert error.max() < 0.02


@pytest.mark.slow
def test_goes_further_than_tpe_in_thirty_parameters():
    def left(name, **settings):
        env = CountingToy(n_parameters=30)
        traces = [run_episode(env, make_controller(name, **settings), seed, n_trials=64) for seed in range(3)]
        return np.mean([trace.after["total"] / trace.before["total"] for trace in traces])

    assert left("gradient") < 0.3 * left("tpe", spread=0.25)


def test_is_told_the_gradient_and_the_objective():
    seen = []

    class Watched(GradientController):
        def learn(self, state, u, obs, info):
            seen.append((u, info["gradient"], info["objective"]))
            return super().learn(state, u, obs, info)

    env = CountingToy()
    run_episode(env, Watched(), 0, n_trials=10)
    for u, gradient, objective in seen:
        np.testing.assert_allclose(gradient, 2 * env.curvature * (u - env.optimum), atol=1e-6)
        assert objective is None


def test_looks_at_recommended_settings_and_descends_from_the_best():
    class Recommending(CountingToy):
        starts = np.array([[0.6, -0.4, 0.6, -0.4], [-0.9] * 4, [0.9] * 4])

    options = {"optimum": [0.5, -0.5, 0.5, -0.5]}
    trace = run_episode(Recommending(), GradientController(n_restarts=1), 0, options, n_trials=8)
    np.testing.assert_allclose(trace.u[1:4], Recommending.starts, atol=1e-6)
    assert np.abs(trace.u[4] - trace.u[1]).max() < 0.11
    assert trace.total[4] < trace.total[1]


def test_ends_after_its_steps_and_takes_as_many_as_the_budget_pays_for():
    few = run_episode(CountingToy(), GradientController(n_steps=2), 0, n_trials=64)
    assert (few.n_trials, few.ending) == (4 + 2 * 3, Ending.CONVERGED)
    assert run_episode(CountingToy(), GradientController(), 0, n_trials=63).n_trials == 63


def test_a_row_with_a_broken_loss_goes_on_when_it_heals():
    trace = run_episode(CountingToy(spoilt=[4, 5, 6]), GradientController(), 0, n_trials=40)
    np.testing.assert_array_equal(trace.u[4:7], trace.u[7:10])  # stood still, and was looked at again
    assert np.abs(trace.u[10:13] - trace.u[7:10]).min() > 0


def test_environment_without_gradients_is_answered():
    class Blind(CountingToy):
        has_gradient = False

    with pytest.raises(ValueError, match="choose a controller that searches"):
        run_episode(Blind(), GradientController(), 0, n_trials=8)


@pytest.mark.slow
def test_descends_through_the_cortex_and_a_memory_does_not_get_in_the_way():
    def env():
        return AccommodationEnv(source=photographs()[:1], disturbances=(None,), size_px=48, objective="calibrated")

    trace = run_episode(env(), GradientController(n_restarts=2, n_looks=2), 0, n_trials=10, guard=None)
    assert trace.after["total"] < trace.before["total"]
    memory = StudyCache(optuna.storages.InMemoryStorage(), "study")
    remembering = RememberingEnv(env(), memory)
    again = run_episode(remembering, GradientController(n_restarts=2, n_looks=2), 0, n_trials=10, guard=None)
    np.testing.assert_array_equal(trace.total, again.total)
    assert remembering.n_remembered == 0  # a gradient is not remembered: evaluated afresh
    assert len(memory) == 10  # but the trials are there to see


def test_settings_are_checked():
    for wrong in (
        {"n_restarts": 5, "n_looks": 4},
        {"n_steps": 0},
        {"restart_spread": 0},
        {"learning_rate": 0},
    ):
        with pytest.raises(ValueError, match="expected"):
            GradientController(**wrong)
