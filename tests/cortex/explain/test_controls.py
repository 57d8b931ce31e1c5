"""Randomised weights: the gradient of an edge-like network forgets them, guided backpropagation does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ciliary.cortex.explain.controls import likeness, shuffle_weights
from ciliary.cortex.explain.gradients import gradient_maps


def test_shuffled_weights_are_the_same_numbers_elsewhere():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4))
    before = [weight.clone() for weight in net.parameters()]
    shuffled = shuffle_weights(net, seed=1)
    for old, new, mine in zip(before, shuffled.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(new.flatten().sort().values, old.flatten().sort().values)
        assert torch.equal(mine, old)  # the original is as it was
    assert not torch.equal(before[0], next(shuffled.parameters()))
    again = shuffle_weights(net, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), shuffled.parameters(), strict=True))


def test_likeness_of_maps():
    one = torch.rand(24, 24, generator=torch.Generator().manual_seed(0))
    other = torch.rand(24, 24, generator=torch.Generator().manual_seed(1))
    same = likeness(one, -3 * one)  # sizes
    assert same.rank == pytest.approx(1)
    assert same.structure == pytest.approx(1)
    assert abs(likeness(one, other).rank) < 0.15
    assert likeness(one, other).structure < 0.3
    assert math.isnan(likeness(one, torch.zeros(24, 24)).rank)


class EdgeNet(nn.Module):
    """Differences of neighbours, rectified, then layers that weigh them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.weigh = nn.Sequential(
            nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
        )
        self.leave = nn.Linear(16, 1)

    def forward(self, x):
        grey = x.mean(1, keepdim=True)
        right, down = (
            F.pad(grey[..., 1:] - grey[..., :-1], (0, 1)),
            F.pad(grey[..., 1:, :] - grey[..., :-1, :], (0, 0, 0, 1)),
        )
        edges = F.relu(torch.cat([right, -right, down, -down], 1))
        return self.leave(self.weigh(edges).mean((2, 3)))


def test_guided_backpropagation_fails_the_control_that_it_is_there_for():
    """Its map of a network that sees edges is one of edges, whatever the weights behind them say."""
    image = torch.full((3, 32, 32), 0.3)
    image[:, 8:20, 10:26] = 0.8
    net = EdgeNet()
    found = gradient_maps(net, image, noise=0.0, n_copies=1)
    alike = {"gradient": [], "guided": []}
    for seed in range(8):
        control = gradient_maps(shuffle_weights(net, seed=seed), image, noise=0.0, n_copies=1)
        for rule, values in alike.items():
            values.append(likeness(found[rule][0], control[rule][0]).structure)
    guided, gradient = (float(np.nanmean(alike[rule])) for rule in ("guided", "gradient"))
    assert guided > 0.8  # it should be near 0
    assert guided > gradient + 0.1
