"""Leaky integrate-and-fire neurons against closed forms and a loop written by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.neurons.lif import LIF, current_at_latency, latency_ms, lif, rate_hz


def counts(current, neuron, n_steps=1000):
    return sum(lif([torch.tensor(current)] * n_steps, neuron))


def by_hand(current, neuron, n_steps):
    voltage, spikes = 0.0, []
    for _ in range(n_steps):
        voltage = neuron.decay * voltage + (1 - neuron.decay) * current
        fires = voltage > neuron.threshold
        spikes.append(float(fires))
        if fires:
            voltage = 0.0 if neuron.reset == "hard" else voltage - neuron.threshold
    return spikes


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("current", [0.5, 1.1, 1.5, 2.0, 5.0])
def test_each_spike_comes_when_it_does_by_hand(reset, current):
    neuron = LIF(reset=reset)
    spikes = torch.stack(list(lif([torch.tensor([current], dtype=torch.float64)] * 300, neuron)))[:, 0]
    assert spikes.tolist() == by_hand(current, neuron, 300)


def test_silent_up_to_the_threshold():
    assert counts([0.0, 0.5, 0.99], LIF()).tolist() == [0, 0, 0]
    assert rate_hz(torch.tensor([0.0, 1.0]), LIF()).tolist() == [0, 0]


def test_counts_of_eulers_steps_are_those_published():
    """43, 90, 142 and 333 spikes in 1,000 steps at I = 1.1, 1.5, 2 and 5: dV = (I - V) / 10, a hard reset."""
    euler = LIF(tau_ms=-1 / math.log(0.9))  # whose decay is that of Euler's step, 1 - 1/10
    assert counts([1.1, 1.5, 2.0, 5.0], euler).tolist() == [43, 90, 142, 333]


@pytest.mark.parametrize("dt_ms", [0.25, 1.0])
def test_intervals_are_the_closed_form_rounded_up_to_steps(dt_ms):
    neuron = LIF(dt_ms=dt_ms)
    current = torch.tensor([1.05, 1.5, 3.0, 8.0])
    period = torch.ceil(latency_ms(current, neuron) / dt_ms)
    assert torch.equal(counts(current.tolist(), neuron, 800), 800 // period)
    assert torch.allclose(rate_hz(current, neuron), 1000 / latency_ms(current, neuron))


def test_a_soft_reset_keeps_what_is_above_the_threshold():
    """Its rate is at least the hard one's, and linear in strong currents: (I - 1/2) / tau in steps far apart."""
    hard, soft = (counts([1.5, 3.0, 6.0], LIF(reset=reset)) for reset in ("hard", "soft"))
    assert (soft >= hard).all()
    # V lies between 0 and 1, 1/2 on average: of each step (1 - decay) (I - V) is let in, and a spike takes 1 out.
    expected = 1000 * (1 - LIF().decay) * (6.0 - 0.5)
    assert soft[2].item() == pytest.approx(expected, rel=0.03)


def test_the_first_spike_tells_the_current():
    neuron, current = LIF(), torch.tensor([1.2, 2.0, 7.0])
    assert latency_ms(current, neuron).tolist() == pytest.approx([17.918, 6.931, 1.542], abs=1e-3)  # 10 ln(I / (I - 1))
    assert torch.allclose(current_at_latency(latency_ms(current, neuron), neuron), current)
    silent = latency_ms(torch.tensor([0.7]), neuron)
    assert torch.isinf(silent).all()
    assert current_at_latency(silent, neuron).item() == neuron.threshold


def test_a_gradient_passes_a_spike():
    current = torch.full((3,), 1.4, requires_grad=True)
    sum(lif([current] * 30, LIF())).sum().backward()
    assert torch.isfinite(current.grad).all()
    assert (current.grad > 0).all()


def test_nothing_is_left_of_another_batch():
    """Batches of other sizes, and after silence: a neuron starts at rest."""
    neuron = LIF()
    first = counts([2.0, 2.0], neuron, 25)
    counts([5.0] * 7, neuron, 13)
    assert torch.equal(counts([2.0, 2.0], neuron, 25), first)


@pytest.mark.parametrize("wrong", [{"tau_ms": 0}, {"threshold": -1}, {"dt_ms": 0}, {"reset": "none"}])
def test_a_neuron_that_cannot_be_is_told(wrong):
    with pytest.raises(ValueError, match="expected tau_ms"):
        LIF(**wrong)
