"""Oja, Sanger, the timing of spikes, and homeostasis, each against what it is known to come to."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ciliary.cortex.neurons.homeostasis import correction, gain_for
from ciliary.cortex.neurons.plasticity import STDP, oja, sanger, stdp


@pytest.fixture(scope="module")
def cloud():
    """Samples of four dimensions, and their principal components, rows, strongest first."""
    torch.manual_seed(0)
    axes = torch.linalg.qr(torch.randn(4, 4)).Q
    x = torch.randn(8000, 4) * torch.tensor([3.0, 2.0, 1.0, 0.5]) @ axes.T
    return x, torch.linalg.eigh(x.T @ x / len(x)).eigenvectors.flip(1).T


def learn(rule, x, n_out, *, rate=0.01, n_rounds=6):
    torch.manual_seed(1)
    w = 0.1 * torch.randn(n_out, x.shape[1])
    for batch in x.repeat(n_rounds, 1).split(50):
        w = w + rate * rule(batch, batch @ w.T, w)
    return w


def test_oja_finds_the_first_component_at_length_one(cloud):
    x, components = cloud
    (w,) = learn(oja, x, 1)
    assert abs(w @ components[0]).item() > 0.999
    assert w.norm().item() == pytest.approx(1, abs=0.02)


def test_three_units_of_oja_all_find_the_same(cloud):
    x, components = cloud
    assert (learn(oja, x, 3) @ components[0]).abs().min() > 0.99


def test_sanger_finds_them_in_their_order(cloud):
    x, components = cloud
    found = learn(sanger, x, 3, n_rounds=12) @ components.T
    assert (found.abs().diagonal() > 0.99).all()
    assert (found - torch.eye(3, 4) * found).abs().max() < 0.12


def spikes_at(n_steps, *times):
    train = torch.zeros(n_steps, 1, len(times))
    for i, t in enumerate(times):
        train[t, 0, i] = 1
    return train


def test_an_input_just_before_is_strengthened_and_just_after_weakened():
    """The window of Bi and Poo: the sign is that of the order, the size falls with the time between."""
    rule = STDP()
    change = stdp(spikes_at(60, 15, 25, 20), spikes_at(60, 20), rule)[0]
    expected = [0.1 * math.exp(-5 / 20), -0.105 * math.exp(-5 / 20), 0.0]
    assert change.tolist() == pytest.approx(expected, abs=1e-7)
    times = torch.tensor([5.0, -5.0, 0.0])
    assert rule.window(times).tolist() == pytest.approx(expected, abs=1e-7)


def test_traces_sum_the_window_over_all_pairs():
    torch.manual_seed(2)
    rule = STDP(a_plus=0.07, a_minus=0.05, tau_plus_ms=9.0, tau_minus_ms=17.0, dt_ms=0.5)
    pre, post = (torch.rand(40, 3, n).lt(0.2).double() for n in (5, 4))
    t = torch.arange(40) * rule.dt_ms
    pairs = torch.einsum("sbo,tbi,st->oi", post, pre, rule.window(t[:, None] - t[None]).double()) / 3
    assert torch.allclose(stdp(pre, post, rule), pairs)


def test_homeostasis_takes_the_time_it_was_given():
    """The error of a unit whose rate is gain x drive falls to 1/e in tau steps."""
    drive, target, tau = torch.tensor([2.0, 0.5]), 0.1, 40
    gain = torch.tensor([0.25, 1.0])  # a rate of .5 each, five times what it should be
    law = gain_for(tau, response=1.0) / drive
    errors = []
    for _ in range(2 * tau + 1):
        errors.append(gain * drive - target)
        gain = gain + correction(gain * drive, target, gain=law)
    for passed in (tau, 2 * tau):
        assert torch.allclose(errors[passed] / errors[0], torch.full((2,), math.exp(-passed / tau)), rtol=1e-4)


def test_a_dead_zone_is_left_alone_and_taken_off():
    activity = np.array([1.0, 1.4, 2.0, 0.0])
    asked = correction(activity, 1.0, gain=-1.0, spread=0.5, dead_zone=1.0)
    assert asked == pytest.approx([0, 0, -1.0, 1.0])
    assert torch.allclose(
        correction(torch.from_numpy(activity), 1.0, gain=-1.0, spread=0.5, dead_zone=1.0), torch.from_numpy(asked)
    )
