"""The loop: plain environments, single steps, callbacks, broken controllers, endings."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest

import ciliary.envs  # noqa: F401  (registers the ids)
from ciliary.agents import Ending, EpisodeInterrupted, Guard, Trace, make_controller, run_episode
from ciliary.agents.trace import best_trial, running_best
from ciliary.cortex.parameters import PARAMETERS
from ciliary.testing.controller import CountingToy, assert_same_trace


@dataclass(frozen=True)
class Scripted:
    """Proposes what it is told to; remembers what it was shown."""

    script: tuple
    use_steps: bool = False
    name: str = "scripted"

    def init(self, obs, info, seed):
        return [(obs, info)]

    def act(self, state, obs, info):
        return np.atleast_2d(self.script[len(state) - 1]), state

    def learn(self, state, u, obs, info):
        return [*state, (obs, info)]

    def is_done(self, state):
        return len(state) > len(self.script)


class Plain(gym.Env):
    """An environment of somebody else: an odd box, no terms; the reward is highest at (4, 30)."""

    def __init__(self):
        self.action_space = gym.spaces.Box(np.array([0, 10], np.float32), np.array([10, 50], np.float32))
        self.observation_space = gym.spaces.Box(-1, 1, (1,))
        self.actions = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.actions.append(action)
        loss = ((action[0] - 4) / 10) ** 2 + ((action[1] - 30) / 40) ** 2
        return np.zeros(1, np.float32), -float(loss), False, False, {}


ZERO = (0.0, 0.0, 0.0, 0.0)


def test_plain_environment_goes_by_steps_and_ends_at_the_best():
    env = Plain()
    trace = run_episode(env, make_controller("tpe", population=1), 0, n_trials=40)
    assert trace.n_trials == 40
    assert trace.guard is None  # it cannot be asked for fresh views
    assert len(env.actions) == trace.n_evaluations == 41
    np.testing.assert_allclose(env.actions[0], [5, 30])  # u = 0 is the middle of its box
    np.testing.assert_array_equal(env.actions[-1], env.actions[trace.i_chosen])
    assert trace.after["total"] < trace.before["total"]
    assert all(env.action_space.contains(action) for action in env.actions)


def test_population_on_a_plain_environment_is_refused_with_advice():
    with pytest.raises(ValueError, match="goes by steps"):
        run_episode(Plain(), make_controller("random", population=4), 0)


def test_stepping_controller_sees_the_observation_of_its_own_setting():
    controller = Scripted((ZERO, (0.5, 0, 0, 0), (0.25, 0, 0, 0)), use_steps=True)
    seen = []
    trace = run_episode(CountingToy(), controller, 0, on_batch=lambda p: seen.append(p.state[-1][0]["u"][0]))
    assert seen == [0, 0.5, 0.25]
    np.testing.assert_allclose(trace.u[:, 0], [0, 0.5, 0.25])
    assert trace.ending is Ending.CONVERGED


def test_trace_holds_the_settings_reached_not_those_wished_for():
    controller = Scripted((ZERO, (0.9, 0, 0, 0), (0.9, 0, 0, 0)), use_steps=True)
    trace = run_episode(CountingToy(action_mode="delta", max_step=0.25), controller, 0)
    np.testing.assert_allclose(trace.u[:, 0], [0, 0.25, 0.5])


def test_registered_environment_with_its_wrappers():
    env = gym.make("Ciliary/Toy-v0", n_parameters=4)  # delta actions, 64 steps at most
    trace = run_episode(env, make_controller("cmaes"), 0, n_trials=128)
    assert trace.n_trials == 128
    np.testing.assert_allclose(env.unwrapped.u, trace.u_chosen, atol=1e-5)


def test_environment_that_converges_ends_the_episode():
    controller = Scripted((ZERO,) * 10, use_steps=True)
    trace = run_episode(CountingToy(patience=3), controller, 0)
    assert trace.ending is Ending.CONVERGED
    assert trace.n_trials == 3


def test_time_limit_ends_the_episode_as_a_spent_budget():
    env = gym.wrappers.TimeLimit(CountingToy(patience=0), 5)
    trace = run_episode(env, Scripted((ZERO,) * 10, use_steps=True), 0)
    assert trace.ending is Ending.BUDGET_SPENT
    assert trace.n_trials == 5


def test_progress_is_told_after_every_batch():
    told = []
    trace = run_episode(CountingToy(), make_controller("random"), 0, n_trials=40, on_batch=told.append)
    assert [p.n_done for p in told] == [16, 32, 40]
    assert {p.n_trials for p in told} == {40}
    np.testing.assert_array_equal([p.best_total for p in told], trace.best_so_far[[15, 31, 39]])
    np.testing.assert_array_equal(np.concatenate([p.u for p in told]), trace.u)


def test_watching_changes_nothing():
    quiet = run_episode(CountingToy(), make_controller("tpe"), 4, n_trials=24)
    assert_same_trace(
        quiet, run_episode(CountingToy(), make_controller("tpe"), 4, n_trials=24, on_batch=lambda p: None)
    )


def test_interrupt_hands_over_trace_and_study():
    def stop(progress):
        if progress.n_done == 32:
            raise KeyboardInterrupt

    env = CountingToy()
    with pytest.raises(KeyboardInterrupt) as caught:
        run_episode(env, make_controller("tpe"), 0, on_batch=stop)
    stopped = caught.value
    assert isinstance(stopped, EpisodeInterrupted)
    assert isinstance(stopped.trace, Trace)
    assert stopped.trace.n_trials == len(stopped.state.study.trials) == 32
    assert stopped.trace.before["total"] == stopped.trace.total[0]
    np.testing.assert_array_equal(env.u, env.default_u)


def test_interrupt_before_the_first_trial_is_an_interrupt():
    class Impatient(CountingToy):
        def evaluate(self, u, views_seed=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_episode(Impatient(), make_controller("tpe"), 0)
    assert not isinstance(caught.value, EpisodeInterrupted)


@pytest.mark.parametrize(
    ("proposal", "message"),
    [
        ((0.5, 0, 0, 0), "first setting to be the default"),
        ((0, 0, 0), "expected u of shape"),
        ((0, 0, 0, np.nan), "finite and in"),
        ((0, 0, 0, 1.5), "finite and in"),
    ],
)
def test_controllers_that_break_the_interface_are_told(proposal, message):
    with pytest.raises(ValueError, match=message):
        run_episode(CountingToy(), Scripted((proposal,)), 0)


def test_population_larger_than_the_budget_is_cut():
    env = CountingToy()
    trace = run_episode(env, Scripted((np.zeros((9, 4)),)), 0, n_trials=5)
    assert trace.n_trials == env.n_searched == 5


def test_no_budget():
    with pytest.raises(ValueError, match="n_trials >= 1"):
        run_episode(CountingToy(), make_controller("fixed"), 0, n_trials=0)


def test_broken_default_gives_way_to_a_finite_setting():
    trace = run_episode(CountingToy(spoilt=[0]), make_controller("tpe"), 0, n_trials=24)
    assert np.isnan(trace.before["total"])
    assert trace.i_chosen > 0
    assert np.isfinite(trace.after["total"])


def test_guard_falls_back_to_before():
    env = CountingToy(noise_std=0.2)
    trace = run_episode(env, make_controller("random"), 1, {"optimum": ZERO}, guard=Guard(z=50.0))
    assert trace.i_chosen == 0
    assert trace.after == trace.before
    assert "defaults kept" in trace.guard.reason
    np.testing.assert_array_equal(env.u, env.default_u)


def test_theta_is_physical_where_the_world_is():
    trace = run_episode(CountingToy(n_parameters=len(PARAMETERS)), make_controller("random"), 0, n_trials=3)
    for p in PARAMETERS:
        assert trace.theta[p.name].shape == (3,)
        assert trace.theta[p.name][0] == pytest.approx(p.default, rel=1e-5, abs=1e-5)
        assert p.low <= trace.theta_chosen[p.name] <= p.high


def test_running_best_and_best_trial():
    total = np.array([np.nan, 3.0, -np.inf, 2.0, np.inf, 2.0])
    np.testing.assert_array_equal(running_best(total), [np.inf, 3, 3, 2, 2, 2])
    assert best_trial(total) == 3
    assert best_trial(np.array([np.nan, np.inf])) == 0


def test_endings_are_advice():
    assert all(ending.value.endswith(".") and len(ending.value) > 40 for ending in Ending)
