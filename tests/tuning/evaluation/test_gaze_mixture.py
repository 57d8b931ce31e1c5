"""The log-linear mix: finds the weights that made the fixations; without weights, the prior alone."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.dorsal.conspicuity import Conspicuity
from ciliary.cortex.dorsal.mixture import GazeMixture, log_maps, trunk_maps
from ciliary.tuning.evaluation.gaze_mixture import fit_mixture


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


def test_maps_for_a_mix_are_standardised_whatever_their_scale():
    rng = torch.Generator().manual_seed(1)
    maps = Conspicuity(*(torch.rand(2, 1, 12, 16, generator=rng) for _ in range(4)))
    found = log_maps(maps, cells_per_deg=2.0, size=(6, 8))
    assert found.shape == (2, 12, 6, 8)
    assert torch.allclose(found.mean((2, 3)), torch.zeros(2, 12), atol=1e-5)
    assert torch.allclose(found.std((2, 3)), torch.ones(2, 12), atol=1e-4)
    louder = Conspicuity(*(7 * x for x in maps))
    assert torch.allclose(log_maps(louder, cells_per_deg=2.0, size=(6, 8)), found, atol=1e-3)
    blank = Conspicuity(*[torch.zeros(1, 1, 12, 16)] * 4)
    assert torch.equal(log_maps(blank, cells_per_deg=2.0, size=(6, 8)), torch.zeros(1, 12, 6, 8))


def test_stages_of_a_backbone_come_to_one_size():
    stages = [torch.randn(2, 16, 24, 32), torch.randn(2, 24, 12, 16), torch.randn(2, 32, 6, 8)]
    found = trunk_maps(stages, size=(6, 8))
    assert found.shape == (2, 8 + 24 + 32, 6, 8)
    assert torch.equal(found[:, 32:], stages[2])
