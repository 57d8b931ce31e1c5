"""Izhikevich's neuron: published rates, and what names its kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ciliary.cortex.neurons.izhikevich import TYPES, izhikevich


def spikes_of(name, current, *, ms=1000, n_parts=2, dt_ms=1.0):
    neuron = replace(TYPES[name], dt_ms=dt_ms)
    current = torch.tensor([float(current)], dtype=torch.float64)
    return torch.cat(list(izhikevich([current] * round(ms / dt_ms), neuron, n_parts=n_parts)))


@pytest.mark.parametrize(("current", "coarse", "fine"), [(4, 6, 7), (10, 21, 22), (20, 42, 44)])
def test_regular_spiking_rates(current, coarse, fine):
    assert spikes_of("regular_spiking", current, n_parts=1).sum().item() == pytest.approx(coarse, abs=1)
    assert spikes_of("regular_spiking", current, n_parts=1, dt_ms=0.1).sum().item() == pytest.approx(fine, abs=1)


def test_at_rest_it_is_silent():
    for name in set(TYPES) - {"resonator"}:
        assert spikes_of(name, 0.0).sum() == 0, name


def test_regular_spiking_adapts_and_fast_spiking_does_not():
    regular, fast = (intervals(spikes_of(name, 14)) for name in ("regular_spiking", "fast_spiking"))
    assert regular[-1] > 1.5 * regular[0]
    assert fast[-1] < 1.3 * fast[1]
    assert fast[-1] < regular[-1]


def test_chattering_comes_in_bursts():
    """Many short intervals, and long ones between the bursts; a regular neuron, once adapted, has neither."""
    chatter, regular = (intervals(spikes_of(name, 10))[2:] for name in ("chattering", "regular_spiking"))
    assert chatter.max() > 4 * chatter.median()
    assert regular.max() < 1.5 * regular.median()


def intervals(spikes):
    return torch.diff(torch.nonzero(spikes)[:, 0]).double()


def test_one_neuron_of_a_batch_is_as_alone():
    current = torch.tensor([[4.0, 10.0], [20.0, 0.0]])
    together = sum(izhikevich([current] * 200, TYPES["regular_spiking"]))
    alone = [sum(izhikevich([c] * 200, TYPES["regular_spiking"])) for c in current.flatten()]
    assert torch.equal(together.flatten(), torch.stack(alone))


def test_a_strong_current_does_not_overflow():
    assert torch.isfinite(sum(izhikevich([torch.tensor([1e4])] * 50, TYPES["regular_spiking"]))).all()
