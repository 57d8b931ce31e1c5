"""The log-linear mix: finds the weights that made the fixations; without weights, the prior alone."""

from __future__ import annotations

import pytest
import torch

from ciliary.tuning.evaluation.gaze_mixture import GazeMixture, fit_mixture


@pytest.fixture
def made():
    rng = torch.Generator().manual_seed(0)
    maps = torch.randn(12, 3, 9, 11, generator=rng)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 9), torch.linspace(-1, 1, 11), indexing="ij")
    prior = torch.exp(-(y**2 + x**2) / 0.5)[None]
    return maps, prior / prior.sum()


def test_finds_the_weights_that_made_the_fixations(made):
    maps, prior = made
    truth = GazeMixture(torch.tensor([1.0, -0.5, 0.0]), 0.7)
    density = truth.density(maps, prior)
    assert torch.allclose(density.sum((1, 2)), torch.ones(12))
    found = fit_mixture(maps, 1000 * density, prior, l2=0)
    assert torch.allclose(found.weights, truth.weights, atol=0.01)
    assert found.prior_exponent == pytest.approx(0.7, abs=0.02)
    shrunk = fit_mixture(maps, 1000 * density, prior, l2=1.0)
    assert float(shrunk.weights.norm()) < 0.5 * float(truth.weights.norm())


def test_no_map_no_weight_leaves_the_prior(made):
    maps, prior = made
    assert torch.allclose(GazeMixture(torch.zeros(3), 1.0).density(maps, prior), prior.expand(12, -1, -1))


def test_errors_say_what_is_wrong(made):
    maps, prior = made
    with pytest.raises(ValueError, match="expected maps"):
        fit_mixture(maps, torch.ones(12, 9, 10), prior)
    with pytest.raises(ValueError, match="fixations in each image"):
        fit_mixture(maps, torch.zeros(12, 9, 11), prior)
