import math

import numpy as np
import pytest

from ciliary.agents import Guard, make_controller, run_episode
from ciliary.agents.guard import choose, choose_exactly, judge, views_seeds
from ciliary.envs.toy import ToyEnv


def test_worked_by_hand():
    default = np.array([1.0, 1.2, 0.9, 1.1])
    candidate = np.array([0.9, 1.0, 0.8, 0.9])  # gains .1 .2 .1 .2: mean .15, std .0577, standard error .0289
    decision = judge(default, candidate, guard=Guard(z=1.64))
    assert decision.gain == pytest.approx(0.15)
    assert decision.standard_error == pytest.approx(0.1 / math.sqrt(12))
    assert decision.is_accepted
    assert not judge(default, candidate, guard=Guard(z=5.2)).is_accepted  # .15 / .0289 = 5.196
    assert judge(default, candidate, guard=Guard(z=5.19)).is_accepted


def test_comparison_is_paired():
    """Views differ far more than settings do; only the difference on the same views counts."""
    default = np.array([0.1, 0.9, 0.3, 0.7])
    decision = judge(default, default - [0.010, 0.011, 0.012, 0.009], guard=Guard())
    assert decision.is_accepted


@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_no_gain_is_no_gain_even_without_noise(loss):
    decision = judge(np.ones(4), np.full(4, 1 + loss), guard=Guard())
    assert not decision.is_accepted


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_candidate_broken_on_one_fresh_view_is_out(value):
    candidate = np.full(4, 0.5)
    assert judge(np.ones(4), candidate, guard=Guard()).is_accepted
    candidate[2] = value
    assert not judge(np.ones(4), candidate, guard=Guard()).is_accepted


def test_broken_default_is_left():
    decision = judge(np.array([1, np.nan, 1, 1]), np.full(4, 0.5), guard=Guard())
    assert decision.is_accepted


def test_gainless_settings_rarely_pass():
    rng = np.random.default_rng(0)
    passed = [judge(rng.normal(size=4), rng.normal(size=4), guard=Guard()).is_accepted for _ in range(2000)]
    assert np.mean(passed) < 0.15  # Student's t with 3 degrees of freedom beyond 1.64: 10 %


def test_choose_measures_default_and_best_on_every_fresh_view_and_nothing_else():
    asked = []

    def evaluate(u, seed):
        asked.append((u[:, 0].tolist(), seed))
        return 1 - u[:, 0]

    total = np.array([1.0, np.nan, 0.4, -np.inf, 0.2, 0.3])
    u = np.array([[0.0], [0.1], [0.6], [0.9], [0.8], [0.7]])
    i_chosen, decision = choose(total, u, evaluate, seed=3, guard=Guard())
    assert i_chosen == 4
    assert decision.is_accepted
    assert [row for row, _ in asked] == [[0.0, 0.8]] * 4
    assert [seed for _, seed in asked] == views_seeds(3, n=4)


def test_winner_of_the_search_that_loses_on_fresh_views_is_not_applied():
    total, u = np.array([1.0, 0.2, 0.3]), np.array([[0.0], [1.0], [2.0]])
    worth = {0.0: 1.0, 1.0: 1.1, 2.0: 0.5}
    evaluate = lambda v, _: np.array([worth[x] for x in v[:, 0]])  # noqa: E731
    assert choose(total, u, evaluate, seed=0, guard=Guard())[0] == 0
    worth[1.0] = 0.9
    assert choose(total, u, evaluate, seed=0, guard=Guard())[0] == 1


def test_nothing_is_measured_when_nothing_beat_the_default():
    def evaluate(u, seed):
        raise AssertionError("no need to look")

    i_chosen, decision = choose(np.array([0.1, 0.1, np.nan]), np.zeros((3, 1)), evaluate, seed=0, guard=Guard())
    assert i_chosen == 0
    assert not decision.is_accepted


def test_view_seeds_are_distinct_and_their_own_for_each_episode():
    seeds = [s for episode in range(50) for s in views_seeds(episode, n=4)]
    assert len(set(seeds)) == 200
    assert not set(seeds) & set(range(1000))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="expected n_views_seeds >= 2"):
        Guard(n_views_seeds=1)


def test_without_noise_the_least_gain_decides():
    total = np.array([0.5, np.nan, 0.45, 0.6])
    i, decision = choose_exactly(total, guard=Guard(min_gain=0.04))
    assert (i, decision.is_accepted) == (2, True)
    assert decision.gain == pytest.approx(0.05)
    i, decision = choose_exactly(total, guard=Guard(min_gain=0.06))
    assert (i, decision.is_accepted) == (0, False)
    assert "least gain" in decision.reason
    assert choose_exactly(np.array([0.5, 0.5, 0.7]), guard=Guard())[0] == 0
    assert choose_exactly(np.array([np.inf, 0.5]), guard=Guard())[0] == 1


def test_an_exact_world_is_not_asked_again():
    class Exact(ToyEnv):
        is_exact = True

    env = Exact(n_parameters=4, action_mode="absolute")
    trace = run_episode(env, make_controller("tpe", spread=0.2), 0, {"optimum": [0.7, -0.7, 0.7, -0.7]}, n_trials=8)
    assert trace.guard.is_accepted
    assert trace.n_evaluations == 8 + 1  # the trials, and the step that applies the choice
