"""Populations as channels: what goes in comes out again, as far as spikes have told it."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import pytest
import torch

from ciliary.cortex.neurons.codes import Population, listen, steady
from ciliary.cortex.neurons.izhikevich import TYPES
from ciliary.cortex.neurons.lif import LIF, latency_ms

RESPONSE = torch.tensor([[0.0, 0.5, 1.05, 2.0, 4.0, 8.0]]) * 0.01


def after(n_steps, population, response=RESPONSE):
    return [told for _, told in zip(range(n_steps), listen(repeat(response), population), strict=False)]


@pytest.mark.parametrize(("code", "exponent"), [("rate", 1.0), ("latency", 1.0), ("latency", 0.5)])
def test_a_response_comes_out_as_it_went_in(code, exponent):
    population = Population(code=code, exponent=exponent, neuron=LIF(dt_ms=0.1))
    told = after(600, population)[-1]
    assert torch.allclose(told.response[0, 2:], RESPONSE[0, 2:], rtol=0.06)
    assert told.response[0, :2].tolist() == [0, 0]  # below the rheobase nothing is ever told


@pytest.mark.parametrize("kind", ["regular_spiking", "fast_spiking", "chattering"])
@pytest.mark.parametrize("code", ["rate", "latency"])
def test_neurons_without_a_closed_form_tell_it_too(kind, code):
    population = Population(code=code, neuron=replace(TYPES[kind], dt_ms=0.25))
    told = after(800, population)[-1]
    assert told.response[0, 0] == 0
    assert torch.allclose(told.response[0, 2:], RESPONSE[0, 2:], rtol=0.15)


def test_a_soft_reset_tells_in_the_long_run():
    told = after(2000, Population(neuron=LIF(dt_ms=0.1, reset="soft")))[-1]
    assert torch.allclose(told.response[0, 3:], RESPONSE[0, 3:], rtol=0.1)


def test_what_has_not_fired_is_not_there_yet():
    population = Population(code="latency")
    first = latency_ms(RESPONSE / population.rheobase, population.neuron)
    for step, told in enumerate(after(40, population), start=1):
        assert torch.equal(told.response[0] > 0, first[0] <= step)


def test_a_latency_is_one_spike_and_a_rate_many():
    one, many = (after(100, Population(code=code))[-1] for code in ("latency", "rate"))
    assert one.n_spikes.tolist() == [4]
    assert one.count.max() == 1
    assert many.n_spikes.item() > 20


def test_poisson_input_tells_the_same_on_average():
    response = torch.full((1, 400), 0.03)
    told = after(200, Population(input="poisson", input_hz=2000.0), response)[-1]
    assert told.response.mean().item() == pytest.approx(0.03, rel=0.1)
    assert told.response.std() > 0
    again = after(200, Population(input="poisson", input_hz=2000.0), response)[-1]
    assert torch.equal(told.response, again.response)
    other = after(200, Population(input="poisson", input_hz=2000.0, seed=1), response)[-1]
    assert not torch.equal(told.response, other.response)


def test_spikes_of_images_are_counted_apart():
    response = torch.cat([RESPONSE, 0 * RESPONSE])
    told = after(50, Population(), response)[-1]
    assert told.n_spikes[1] == 0
    assert torch.equal(told.n_spikes[:1], after(50, Population())[-1].n_spikes)


@pytest.mark.parametrize(
    "wrong", [{"code": "phase"}, {"input": "noise"}, {"rheobase": 0}, {"exponent": 0}, {"input_hz": -1}]
)
def test_a_population_that_cannot_be_is_told(wrong):
    with pytest.raises(ValueError, match="expected"):
        Population(**wrong)


@pytest.mark.parametrize("code", ["rate", "latency"])
@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_what_stays_is_told_without_stepping_as_with_it(code, exponent):
    population = Population(code=code, exponent=exponent, neuron=LIF(dt_ms=0.5))
    response = torch.linspace(0, 1, 501)[None]
    told = after(40, population, response)
    at = steady(response, population)
    for step in (1, 2, 7, 7, 40):
        assert torch.equal(at(step).count, told[step - 1].count)
        torch.testing.assert_close(at(step).last_ms, told[step - 1].last_ms)
        torch.testing.assert_close(at(step).response, told[step - 1].response)


@pytest.mark.parametrize("population", [Population(neuron=LIF(reset="soft")), Population(input="poisson", seed=3)])
def test_what_has_no_closed_form_is_stepped(population):
    told, at = after(12, population), steady(RESPONSE, population)
    for step in (3, 3, 12):
        assert torch.equal(at(step).response, told[step - 1].response)
