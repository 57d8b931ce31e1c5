"""The autoencoder's losses by hand, its options, and a small training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from ciliary.cortex.description import N_DESCRIPTION
from ciliary.tuning.vae.figure import draw_vae
from ciliary.tuning.vae.learn import gather, learn, worth
from ciliary.tuning.vae.model import (
    ChannelAttention,
    Vae,
    divergence,
    loss,
    reparametrise,
    sparsity_penalty,
    with_free_bits,
)
from ciliary.tuning.vae.settings import VaeTraining


@pytest.fixture(scope="module")
def objects():
    """Proto-objects that three hidden numbers make."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, N_DESCRIPTION))
    rows = [np.tanh(rng.normal(size=(12, 3))) @ mix + 0.1 * rng.normal(size=(12, N_DESCRIPTION)) for _ in range(20)]
    return gather([torch.as_tensor(own, dtype=torch.float32) for own in rows])


@pytest.fixture(scope="module")
def model(objects):
    return learn(objects, VaeTraining(n_latents=4, n_hidden=32, n_steps=400))


def test_divergence_is_torch_s():
    mean, log_variance = torch.tensor([[0.5, -1.0], [0.1, 2.0]]), torch.tensor([[0.3, -2.0], [0.0, 0.5]])
    expected = kl_divergence(Normal(mean, torch.exp(0.5 * log_variance)), Normal(0.0, 1.0)).mean(0)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_free_bits_by_hand():
    """Latents of 0.05 and 1 nats, 0.1 free: only 0.9 of the second is paid, and only it has a gradient."""
    kl = torch.tensor([0.05, 1.0], requires_grad=True)
    cost = with_free_bits(kl, 0.1)
    assert cost.item() == pytest.approx(0.9)
    cost.backward()
    torch.testing.assert_close(kl.grad, torch.tensor([0.0, 1.0]))


def test_sparsity_is_the_bernoulli_s_and_nothing_at_its_rate():
    active = torch.full((8, 3), 0.5)
    expected = 3 * float(kl_divergence(Bernoulli(0.05), Bernoulli(0.5)))
    assert float(sparsity_penalty(active, 0.05)) == pytest.approx(expected, rel=1e-5)
    assert expected / 3 == pytest.approx(0.495, abs=1e-3)
    assert float(sparsity_penalty(torch.full((8, 3), 0.05), 0.05)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_sparsity_stays_finite_at_the_ends(end):
    assert math.isfinite(float(sparsity_penalty(torch.full((4, 2), end))))


def test_a_draw_has_the_mean_and_spread_asked_for_and_a_gradient():
    mean = torch.full((20_000, 1), 2.0, requires_grad=True)
    z = reparametrise(mean, torch.full((20_000, 1), math.log(9.0)), torch.randn(20_000, 1))
    assert z.mean().item() == pytest.approx(2, abs=0.1)
    assert z.std().item() == pytest.approx(3, abs=0.1)
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_attention_is_finite_at_any_temperature(temperature):
    hidden = torch.rand(5, 7)
    found = ChannelAttention(7, temperature)(hidden)
    assert torch.isfinite(found).all()
    if temperature == 1e3:  # all alike: nothing is weighed
        torch.testing.assert_close(found, hidden, atol=1e-2, rtol=1e-2)


def test_no_temperature_below_zero():
    with pytest.raises(ValueError, match="temperature"):
        ChannelAttention(3, 0.0)


@pytest.mark.parametrize(("sparsity", "attention"), [(0.0, 0.0), (0.1, 1.0)])
def test_everything_has_a_gradient(sparsity, attention):
    model = Vae(10, 3, 8, attention)
    loss(model, torch.randn(6, 10), torch.randn(6, 3), sparsity=sparsity).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_it_gives_back_more_than_the_mean(model, objects):
    vae, pca, mean = worth(model, objects)
    assert vae.given_back.mean > 0.7
    assert pca.given_back.mean > 0.7
    assert mean.given_back.mean == 0
    assert 1 <= vae.active_latents <= 4


def test_sparsity_lowers_the_hidden_rate(model, objects):
    sparse = learn(objects, VaeTraining(n_latents=4, n_hidden=32, n_steps=400, sparsity=5.0))
    assert worth(sparse, objects)[0].hidden_rate < worth(model, objects)[0].hidden_rate


def test_whole_photographs_are_held_out(objects):
    learned = set(objects.photograph[objects.is_learned_from])
    assert not learned & set(objects.photograph[~objects.is_learned_from])
    assert float(objects.description[torch.as_tensor(objects.is_learned_from)].mean().abs()) < 0.01


def test_same_seed_same_model(objects):
    settings = VaeTraining(n_latents=2, n_hidden=8, n_steps=5)
    one, again = (learn(objects, settings).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], again[name]) for name in one)


def test_too_few_photographs():
    with pytest.raises(ValueError, match="5 photographs"):
        gather([torch.zeros(3, N_DESCRIPTION)] * 3 + [torch.zeros(0, N_DESCRIPTION)])


def test_drawn(model, objects):
    assert len(draw_vae(model, objects).axes) == 3 * 8
