import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch

from ciliary.cortex.parameters import PARAMETERS, default_unit
from ciliary.testing.environment import EnvironmentContract

EXAMPLE = {"n_parameters": 4}


def make(**settings):
    return gym.make("Ciliary/Toy-v0", **(EXAMPLE | settings)).unwrapped


class TestContract(EnvironmentContract):
    env_id = "Ciliary/Toy-v0"
    settings = EXAMPLE


def test_default_size_is_the_cortex_s():
    env = gym.make("Ciliary/Toy-v0").unwrapped
    assert env.n_parameters == len(PARAMETERS)
    np.testing.assert_allclose(env.default_u, default_unit()[0].numpy())


def test_worked_by_hand():
    env = make(condition=1.0, action_mode="absolute", step_cost=0.25)
    _, info = env.reset(seed=0, options={"optimum": [0.5, 0.5, -0.5, 0.5]})
    # four curvatures of 1/4 each, over 1.8^2 = 3.24; each coordinate is 0.5 away: 0.25 / 3.24
    assert info["terms"]["total"] == pytest.approx(0.25 / 3.24)
    assert info["terms"]["stability"] == pytest.approx(0.25 / 4 / 3.24)
    _, gain, *_, info = env.step(np.array([0.5, 0.5, -0.5, 0.0]))
    assert info["terms"]["total"] == pytest.approx(0.0625 / 3.24)
    assert gain == pytest.approx(0.1875 / 3.24 - 0.25)


def test_the_optimum_is_the_minimum_and_is_worth_zero():
    env = make()
    env.reset(seed=3)
    assert env.evaluate(env.optimum[None]).terms["total"][0] == pytest.approx(0, abs=1e-12)
    others = np.random.default_rng(0).uniform(-1, 1, (200, 4))
    assert (env.evaluate(others).terms["total"] > 0).all()
    assert (env.evaluate(others).terms["total"] <= 1).all()


@pytest.mark.parametrize("n_parameters", [1, 8, len(PARAMETERS)])
def test_optimum_is_neither_at_the_centre_nor_at_the_default(n_parameters):
    env = make(n_parameters=n_parameters)
    for seed in range(20):
        env.reset(seed=seed)
        assert np.abs(env.optimum).min() >= 0.2
        assert np.abs(env.optimum - env.default_u).min() >= 0.2
        assert np.abs(env.optimum).max() <= 0.8


def test_other_seed_other_optimum_and_an_image_names_one():
    env = make()
    env.reset(seed=1)
    first = env.optimum
    env.reset(seed=2)
    assert not np.allclose(first, env.optimum)
    env.reset(seed=3, options={"image": 5})
    first = env.optimum
    env.reset(seed=4, options={"image": 5})
    np.testing.assert_array_equal(first, env.optimum)


def test_gradient_descent_contracts_at_the_closed_form_rate():
    env = make(condition=10.0)
    env.reset(seed=0)
    u, rate = torch.tensor(env.default_u[None], dtype=torch.float64), 3.0
    gaps = [u.numpy()[0] - env.optimum]
    for _ in range(5):
        u = u.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(env.loss(u).sum(), u)
        u = u - rate * gradient
        gaps.append(u.detach().numpy()[0] - env.optimum)
    for before, after in itertools.pairwise(gaps):
        np.testing.assert_allclose(after, (1 - 2 * rate * env.curvature) * before, rtol=1e-9)


def test_loss_is_the_total():
    env = make()
    env.reset(seed=0)
    u = np.random.default_rng(0).uniform(-1, 1, (7, 4)).astype(np.float32)
    np.testing.assert_allclose(env.loss(torch.tensor(u)).numpy(), env.evaluate(u).terms["total"], rtol=1e-5)


def test_noise_has_its_spread_and_belongs_to_the_views():
    env = make(noise_std=0.1)
    env.reset(seed=0)
    u = np.random.default_rng(0).uniform(-1, 1, (4000, 4))
    ripple = env.evaluate(u).terms["total"] - env.loss(torch.tensor(u)).numpy()
    assert ripple.std() == pytest.approx(0.1, rel=0.1)
    assert abs(ripple.mean()) < 0.01
    assert abs(np.corrcoef(ripple[1:], ripple[:-1])[0, 1]) < 0.05
    np.testing.assert_array_equal(env.evaluate(u[:3]).terms["total"], env.evaluate(u[:3]).terms["total"])
    one = [env.evaluate(u[:1], views_seed=seed).terms["total"][0] for seed in range(500)]
    assert np.std(one) == pytest.approx(0.1, rel=0.2)


def test_nonfinite_trials_break_where_asked_and_the_reward_stays_finite():
    env = make(nonfinite_trials=(1, 3))
    env.reset(seed=0)
    assert np.isnan(env.evaluate(np.zeros((3, 4))).terms["total"]).tolist() == [False, True, False]
    obs, gain, *_, info = env.step(np.ones(4))
    assert np.isnan(info["terms"]["total"])
    assert np.isfinite(gain)
    assert env.observation_space.contains(obs)
    env.reset(seed=0)
    assert env.n_evaluations == 0
    assert np.isnan(env.evaluate(np.zeros((3, 4))).terms["total"]).tolist() == [False, True, False]


def test_optimum_is_in_the_observation_only_when_asked():
    for is_visible in (False, True):
        env = make(is_context_visible=is_visible)
        obs, _ = env.reset(seed=0)
        assert any(np.allclose(value, env.optimum) for value in obs.values() if value.shape == (4,)) == is_visible


@pytest.mark.parametrize(
    "settings", [{"action_mode": "jump"}, {"condition": 0.5}, {"n_parameters": 0}, {"max_step": 0}, {"step_cost": -1}]
)
def test_wrong_settings_are_named(settings):
    with pytest.raises(ValueError, match="expected"):
        make(**settings)


def test_wrong_shapes_and_options_are_named():
    env = make()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"expected u of shape \(N, 4\), got \(4,\)"):
        env.evaluate(np.zeros(4))
    with pytest.raises(ValueError, match="optimum"):
        env.reset(options={"picture": 3})


@pytest.mark.parametrize("noise_std", [0.0, 0.1])
def test_gradient_is_the_slope_by_finite_differences(noise_std):
    env = make(noise_std=noise_std, nonfinite_trials=[1])
    env.reset(seed=0)
    u = np.random.default_rng(0).uniform(-0.9, 0.9, (3, 4)).astype(np.float32)
    evaluation, gradient = env.evaluate_with_gradient(u)
    assert env.n_evaluations == 3
    assert np.isnan(gradient).all(1).tolist() == np.isnan(evaluation.terms["total"]).tolist() == [False, True, False]
    step = 1e-6 * np.eye(4)[:, None]
    above, below = ([env._terms_of(u + s * d, env._views_seed)["total"] for d in step] for s in (1, -1))
    slope = (np.array(above) - np.array(below)).T / 2e-6
    np.testing.assert_allclose(gradient[[0, 2]], slope[[0, 2]], rtol=1e-4, atol=1e-6)
