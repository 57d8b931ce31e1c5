"""Descent where the way down is known in closed form, and through the cortex, many images at once."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from ciliary.agents.controllers.gradient import Descent
from ciliary.envs.single import AccommodationEnv
from ciliary.envs.toy import ToyEnv
from ciliary.envs.vector import AccommodationVectorEnv
from ciliary_tests.photographs import photographs

P = 4


@pytest.fixture
def toy():
    env = ToyEnv(n_parameters=P)
    env.reset(seed=0)
    return env


def rows(n, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).uniform(-0.8, 0.8, (n, P)), dtype=torch.float32)


def descend(loss, u0, *, learning_rate, n_steps):
    """Places (T, N, P) and totals (T, N) along the way down of a differentiable loss."""
    descent, places, totals = Descent(u0, learning_rate=learning_rate, n_steps=n_steps), [], []
    for _ in range(n_steps + 1):
        u = descent.u.requires_grad_()
        total = loss(u)
        places.append(u.detach())
        totals.append(total.detach())
        if len(places) <= n_steps:
            descent.step(torch.autograd.grad(total.sum(), u)[0])
    return torch.stack(places), torch.stack(totals)


def test_reaches_the_optimum(toy):
    u, totals = descend(toy.loss, rows(3), learning_rate=0.1, n_steps=150)
    assert np.abs(u[-1].numpy() - toy.optimum).max() < 0.02
    assert totals[-1].max() < 1e-4


def test_first_step_is_one_learning_rate_in_each_coordinate(toy):
    u, _ = descend(toy.loss, rows(2), learning_rate=0.03, n_steps=1)
    np.testing.assert_allclose((u[1] - u[0]).abs(), 0.03, rtol=1e-3)


def test_rows_do_not_know_of_each_other(toy):
    u0 = rows(3)
    together, _ = descend(toy.loss, u0, learning_rate=0.1, n_steps=8)
    for i in range(3):
        alone, _ = descend(toy.loss, u0[i : i + 1], learning_rate=0.1, n_steps=8)
        np.testing.assert_allclose(together[:, i], alone[:, 0], atol=1e-6)


def test_each_row_s_gradient_is_shortened_by_itself():
    descent = Descent(torch.zeros(2, 2), learning_rate=0.1, n_steps=4)
    descent.step(torch.tensor([[30.0, 40.0], [0.3, 0.4]]))
    np.testing.assert_allclose(descent._u.grad, [[0.6, 0.8], [0.3, 0.4]], atol=1e-6)


def test_learning_rate_falls_along_a_cosine_to_a_tenth_and_stays():
    descent, steps = Descent(torch.zeros(1, 1), learning_rate=0.1, n_steps=4), []
    for _ in range(6):
        before = descent.u
        steps.append(
            float(before - descent.step(torch.full((1, 1), 0.5)))
        )  # of a constant gradient Adam makes the rate
    cosine = 0.5 * (1 + np.cos(np.pi * np.array([0, 1, 2, 3, 4, 4]) / 4))
    np.testing.assert_allclose(steps, 0.1 * (0.1 + 0.9 * cosine), rtol=1e-4)


def test_walls_hold():
    u, _ = descend(lambda u: -u.sum(1), rows(3), learning_rate=0.5, n_steps=8)
    assert u.abs().max() == 1
    np.testing.assert_array_equal(u[-1], np.ones((3, P)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_without_a_finite_gradient_stands_still_and_others_do_not(value):
    descent = Descent(torch.zeros(2, 2), learning_rate=0.07, n_steps=20)
    descent.step(torch.ones(2, 2))  # with momentum now
    before = descent.u
    after = descent.step(torch.tensor([[value, 1.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] < before[1]).all()
    assert (descent.step(torch.ones(2, 2))[0] < after[0]).all()  # and it can go on


def test_leaves_its_start_alone(toy):
    u0 = rows(2)
    kept = u0.clone()
    descend(toy.loss, u0, learning_rate=0.1, n_steps=2)
    np.testing.assert_array_equal(u0, kept)


@pytest.mark.slow
def test_images_and_restarts_in_one_batch_go_as_each_alone():
    quick = {"source": photographs(), "shape_px": (48, 48), "n_views": 1, "objective": "raw"}
    vector = AccommodationVectorEnv(2, **quick)
    vector.reset(seed=0)
    jitter = 0.05 * np.random.default_rng(0).normal(size=(2 * 2, vector.n_parameters))
    u0 = torch.as_tensor(np.clip(vector.default_u + jitter, -1, 1), dtype=torch.float32)
    together, totals = descend(vector.loss, u0, learning_rate=0.02, n_steps=2)
    assert totals.shape == (3, 4)
    for i in range(2):
        single = gym.make("Ciliary/Accommodation-v0", **quick).unwrapped
        assert isinstance(single, AccommodationEnv)
        single.reset(seed=i)
        for j in range(2 * i, 2 * i + 2):
            alone, own = descend(single.loss, u0[j : j + 1], learning_rate=0.02, n_steps=2)
            # where a derivative is next to nothing Adam's step has the sign of rounding errors
            is_same = (together[:, j] - alone[:, 0]).abs() < 1e-3
            assert is_same.float().mean() > 0.9
            np.testing.assert_allclose(totals[:2, j], own[:2, 0], atol=5e-3)
