"""M5's experts as spiking populations: in the end they say what they say without spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex.description import N_DESCRIPTION
from ciliary.cortex.neurons.codes import Population
from ciliary.cortex.neurons.lif import LIF
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.tuning.benchmarks.expert_spikes import codes_in_time
from ciliary.tuning.benchmarks.representations import codes_with
from ciliary.tuning.benchmarks.tokens import Tokens


@pytest.fixture(scope="module")
def bank():
    torch.manual_seed(0)
    return ExpertBank().eval()


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    weight = rng.random((5, 3)).astype(np.float32)
    n, t = weight.shape
    return Tokens(
        rng.standard_normal((n, t, N_DESCRIPTION)).astype(np.float32),
        np.zeros((n, t, 48), np.float32),
        np.zeros((n, t, 16), np.float32),
        weight / weight.sum(1, keepdims=True),
        np.zeros(n, np.float32),
    )


@pytest.mark.parametrize("code", ["latency", "rate"])
def test_in_the_end_they_say_what_they_say_without_spikes(bank, tokens, code):
    population = Population(code=code, rheobase=0.01, neuron=LIF(tau_ms=40.0, dt_ms=0.2))
    plain = codes_with(tokens, bank, bank.n_active).vectors
    likeness, spikes = [], []
    for _, codes, n_spikes in codes_in_time(tokens, bank, population, (1.0, 60.0)):
        likeness.append((codes.vectors * plain).sum(1).min())
        spikes.append(n_spikes)
    assert likeness[1] > 0.9
    assert likeness[0] < likeness[1]
    assert 0 < spikes[0] < spikes[1]


def test_experts_that_are_left_out_do_not_fire(bank, tokens):
    """Two of sixteen experts of 24 units answer for each of three proto-objects: no more spikes than that."""
    *_, (_, _, n_spikes) = codes_in_time(tokens, bank, Population(code="latency", rheobase=1e-6), (20.0,))
    assert n_spikes <= 3 * 2 * 24
