"""Spikes in their order: a race by hand, the rule by hand, and a pattern found among noise."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.neurons.latency import kept_rate, latency_stdp, race


def test_a_race_by_hand():
    """Inputs fire as 2, 0, 1; input 3 never. Unit 0 adds up .1, .9; unit 1 .6, .8, and reaches .7 with the second."""
    strength = torch.tensor([[0.5, 0.2, 0.9, 0.0]])
    weight = torch.tensor([[0.8, 0.9, 0.1, 0.9], [0.2, 0.1, 0.6, 0.0], [0.0, 0.0, 0.0, 0.9]])
    found = race(strength, weight, torch.tensor([1.5, 0.7, 0.1]))
    assert found.winner.tolist() == [1]
    assert found.step.tolist() == [2]
    assert found.rank[0, :3].tolist() == [1, 2, 0]
    change = latency_stdp(found, weight, a_plus=1.0, a_minus=0.5)
    expected = [0.2 * 0.8, -0.5 * 0.1 * 0.9, 0.6 * 0.4, 0.0]  # inputs 0 and 2 had fired
    assert change[1].tolist() == pytest.approx(expected)
    assert (change[[0, 2]] == 0).all()  # the winner alone learns


def test_nobody_wins_where_no_threshold_is_reached():
    weight = torch.full((2, 4), 0.5)
    found = race(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), weight, torch.tensor([0.9, 0.9]), n_spikes=1)
    assert not found.has_won.any()
    assert (latency_stdp(found, weight, a_plus=1.0, a_minus=1.0) == 0).all()


def test_a_tie_goes_to_the_larger_potential():
    weight = torch.tensor([[0.6, 0.1], [0.9, 0.1]])
    assert race(torch.tensor([[2.0, 1.0]]), weight, torch.tensor([0.5, 0.5])).winner.tolist() == [1]


def test_it_finds_a_pattern_that_comes_again_among_noise():
    generator = torch.Generator().manual_seed(0)
    n, members = 60, torch.arange(12)
    weight = 0.5 + 0.1 * torch.rand(2, n, generator=generator)
    threshold = torch.full((2,), 5.0)
    for _ in range(300):
        noise = torch.rand(20, n, generator=generator)
        noise[::2, members] += 0.8  # in every other volley these fire among the first, in any order
        found = race(noise, weight, threshold, n_spikes=20)
        weight = weight + latency_stdp(found, weight, a_plus=0.1, a_minus=0.06)
        threshold = kept_rate(threshold, found, 0.25, gain=0.02)
    inside, outside = weight[:, :12].mean(1), weight[:, 12:].mean(1)
    best = int((inside - outside).argmax())
    assert inside[best] > 0.9
    assert outside[best] < 0.1


def test_homeostasis_keeps_every_unit_at_its_rate():
    generator = torch.Generator().manual_seed(1)
    weight, threshold = torch.rand(4, 30, generator=generator), torch.tensor([1.0, 5.0, 5.0, 5.0])

    def rates(n=400):
        found = race(torch.rand(n, 30, generator=generator), weight, threshold, n_spikes=12)
        return found, torch.stack([(found.winner == k) & found.has_won for k in range(4)]).float().mean(1)

    assert rates()[1].max() > 0.95  # one wins everything
    for _ in range(300):
        threshold = kept_rate(threshold, rates(100)[0], 0.2, gain=0.05)
    assert (rates()[1] - 0.2).abs().max() < 0.09
