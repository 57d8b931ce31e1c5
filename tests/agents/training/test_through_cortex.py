"""Training through a differentiable world: on one whose optimum is known, and on a small cortex."""

import numpy as np
import pytest
import torch

from ciliary.agents.controllers.network import NetworkShape, PolicyNetwork
from ciliary.agents.training.through_cortex import (
    Training,
    TrainingSettings,
    first_looks,
    mean_totals,
    propose_and_learn,
    shape_of,
)
from ciliary_tests.toy_worlds import Bowls


def settings(**changes):
    return TrainingSettings(**({"n_iterations": 200, "n_check": 100, "jitter": 0.0, "learning_rate": 1e-2} | changes))


def test_one_proposal_finds_optima_it_has_never_seen():
    job = Training([Bowls(128, 0)], [Bowls(64, 1)], settings())
    job.run()
    first, last = job.checks[0], job.checks[-1]
    assert first.totals == pytest.approx((first.default_total,))  # untrained, it proposes the defaults
    assert last.totals[0] < 0.05 * last.default_total


def test_without_context_the_best_it_can_do_is_the_mean():
    world, other = Bowls(128, 0, is_visible=False), Bowls(64, 1, is_visible=False)
    world.optimum += 0.3
    other.optimum = other.optimum - other.optimum.mean(0) + world.optimum.mean(0)
    job = Training([world], [other], settings())
    network = job.run()
    best = ((other.optimum.mean(0) - other.optimum) ** 2).sum(1).mean()
    total = mean_totals(network, [other], [first_looks(other)], n_steps=1)[0]
    assert total == pytest.approx(float(best), rel=0.05)


def test_two_steps_are_checked_one_by_one():
    job = Training([Bowls(64, 0)], [Bowls(32, 1)], settings(n_steps=2))
    job.run()
    assert len(job.checks[-1].totals) == 2
    assert job.checks[-1].totals[1] < 0.05 * job.checks[-1].default_total


def test_gradient_is_that_of_the_mean_loss():
    world, rows = Bowls(8, 0), torch.arange(8)
    network = PolicyNetwork(shape_of(first_looks(world)[1], n_hidden=8))
    torch.nn.init.normal_(network.head.weight, std=0.1)
    obs = first_looks(world)[1]
    propose_and_learn(network, world, rows, obs, settings=settings(max_gradient=1e6))
    found = network.head.bias.grad.clone()
    network.zero_grad()
    world.judge(rows, network(obs))[0].mean().backward()
    torch.testing.assert_close(found, network.head.bias.grad)


def test_a_cliff_moves_no_more_than_its_share():
    class Cliff(Bowls):
        def judge(self, rows, u):
            total, obs = super().judge(rows, u)
            return torch.where(rows == 0, total * 1e6, total), obs

    rows = torch.arange(4)
    network = PolicyNetwork(shape_of(first_looks(Bowls(4, 0))[1], n_hidden=8))
    network.requires_grad_(True)
    propose_and_learn(network, Cliff(4, 0), rows, first_looks(Bowls(4, 0))[1], settings=settings(max_gradient=0.5))
    # d tanh = 1 at the defaults: each case adds at most max_gradient / n to the bias
    assert network.head.bias.grad.norm() <= 0.5 + 1e-6


def test_cases_that_are_not_finite_are_passed_over():
    class Broken(Bowls):
        def judge(self, rows, u):
            total, obs = super().judge(rows, u)
            return torch.where(rows == 1, total * torch.nan, total), obs

    network = PolicyNetwork(shape_of(first_looks(Bowls(4, 0))[1], n_hidden=8))
    total, _ = propose_and_learn(
        network, Broken(4, 0), torch.arange(4), first_looks(Bowls(4, 0))[1], settings=settings()
    )
    assert np.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_a_training_that_was_stopped_goes_on_to_the_digit(tmp_path):
    whole = Training([Bowls(32, 0)], [Bowls(16, 1)], settings(n_iterations=40, n_check=10, jitter=0.05))
    whole.run()

    class Stop(Exception):
        pass

    def stop_at_20(check):
        part.save(tmp_path / "checkpoint.pt")
        if check.i_iteration == 20:
            raise Stop

    part = Training([Bowls(32, 0)], [Bowls(16, 1)], settings(n_iterations=40, n_check=10, jitter=0.05))
    with pytest.raises(Stop):
        part.run(on_check=stop_at_20)
    rest = Training([Bowls(32, 0)], [Bowls(16, 1)], settings(n_iterations=40, n_check=10, jitter=0.05))
    rest.load(tmp_path / "checkpoint.pt")
    rest.run()
    assert [c.totals for c in rest.checks] == [c.totals for c in whole.checks]
    for a, b in zip(rest.best.parameters(), whole.best.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_the_best_is_kept_not_the_last():
    job = Training([Bowls(32, 0)], [Bowls(16, 1)], settings(n_iterations=60, n_check=20))
    job.run()
    best = min(check.totals[-1] for check in job.checks)
    assert mean_totals(job.best, job.validation, job.checked, n_steps=1)[-1] == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("change", [{"n_iterations": 0}, {"n_steps": 5}, {"average": 1.0}, {"max_gradient": 0}])
def test_nonsense_is_refused(change):
    with pytest.raises(ValueError, match="expected"):
        TrainingSettings(**change)


def test_shape_follows_the_observation():
    assert shape_of(first_looks(Bowls(2, 0))[1], n_hidden=7) == NetworkShape(3, 3, 1, has_image=False, n_hidden=7)
