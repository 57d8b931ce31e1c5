"""The portfolio: a list with the objective, tried in its order; and searches that start from it."""

import numpy as np
import pytest

from ciliary.agents import Ending, make_controller, run_episode
from ciliary.testing.controller import ControllerContract, CountingToy


class ListToy(CountingToy):
    """The toy world with a list of recommended settings, the third of which is its optimum."""

    @property
    def starts(self):
        return np.array([[0.9] * 4, [-0.9] * 4, np.ravel(self.optimum), [0.5] * 4], np.float32)


class TestPortfolio(ControllerContract):
    is_seedless = is_control = True

    @pytest.fixture
    def controller(self):
        return make_controller("portfolio")


def test_tries_the_list_in_its_order_and_takes_the_best():
    trace = run_episode(env := ListToy(), make_controller("portfolio", population=2), 0, guard=None)
    np.testing.assert_allclose(trace.u[1:], env.starts, atol=1e-6)
    assert trace.i_chosen == 3
    assert trace.ending is Ending.CONVERGED


def test_a_small_budget_takes_the_head_of_the_list():
    trace = run_episode(env := ListToy(), make_controller("portfolio"), 0, n_trials=3)
    np.testing.assert_allclose(trace.u[1:], env.starts[:2], atol=1e-6)


@pytest.mark.parametrize("name", ["tpe", "gp", "nsga2"])
def test_searches_begin_with_the_list(name):
    trace = run_episode(env := ListToy(), make_controller(name), 0, n_trials=8)
    np.testing.assert_allclose(trace.u[1:5], env.starts, atol=1e-5)
    assert trace.after["total"] <= trace.terms["total"][3] + 1e-9


def test_without_a_list_only_the_defaults_are_tried():
    assert len(run_episode(CountingToy(), make_controller("portfolio"), 0).u) == 1


def test_the_environments_own_least_gain_holds():
    gain = run_episode(ListToy(), make_controller("portfolio"), 0).guard.gain
    env = ListToy(min_gain=gain * 1.5)
    trace = run_episode(env, make_controller("portfolio"), 0)
    assert trace.i_chosen == 0
    assert not trace.guard.is_accepted
    assert "least gain" in trace.guard.reason
