"""The cortex read through spikes: it comes to what the cortex without them perceives, and leaves that one alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from ciliary.cortex import Cortex
from ciliary.cortex.neurons.codes import Population
from ciliary.cortex.neurons.lif import LIF
from ciliary.cortex.spiking import Spiking, make_spiking, perceive_in_time, thresholds_of
from ciliary.testing.stage import photograph

FINE = LIF(tau_ms=40.0, dt_ms=0.25)


@pytest.fixture(scope="module")
def cortex():
    return Cortex().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def image():
    return torch.cat([photograph(size=(48, 64)), photograph("coffee", (48, 64))])


@pytest.mark.parametrize("code", ["rate", "latency"])
def test_it_comes_to_what_is_perceived_without_spikes(cortex, image, code):
    populations = {
        "v1": Population(code=code, rheobase=0.002, neuron=FINE),
        "m2": Population(code=code, rheobase=0.01, neuron=FINE),
    }
    early, late = perceive_in_time(cortex, image, times_ms=(5.0, 60.0), spiking=Spiking(**populations))
    plain = cortex(image)
    error = [(m.percept.m1.energy - plain.m1.energy).abs().mean() for m in (early, late)]
    assert error[1] < 0.15 * plain.m1.energy.mean()
    assert error[1] < 0.5 * error[0]
    agreement = torch.corrcoef(torch.stack([late.percept.boundary.flatten(), plain.boundary.flatten()]))[0, 1]
    assert agreement > {"rate": 0.9, "latency": 0.6}[code]  # a latency stays what the first, unfinished contour made it


def test_spikes_grow_with_time_and_a_blank_has_none(cortex):
    picture = torch.cat([photograph(), torch.full_like(photograph(), 0.5)])
    moments = list(perceive_in_time(cortex, picture, times_ms=(5.0, 10.0, 20.0)))
    assert [m.time_ms for m in moments] == [5.0, 10.0, 20.0]
    for name in ("v1", "m2"):
        counts = torch.stack([m.n_spikes[name] for m in moments])
        assert (counts.diff(dim=0) >= 0).all()
        assert counts[-1, 0] > 0
        assert counts[-1, 1] == 0


def test_a_batch_is_its_images(cortex, image):
    (together,) = perceive_in_time(cortex, image, times_ms=(10.0,))
    for i in range(2):
        (alone,) = perceive_in_time(cortex, image[i : i + 1], times_ms=(10.0,))
        torch.testing.assert_close(alone.percept.boundary, together.percept.boundary[i : i + 1])
        assert alone.n_spikes["v1"][0] == together.n_spikes["v1"][i]


def test_the_cortex_is_left_alone(cortex, image):
    v1, before = cortex.m1.v1, cortex(image)
    list(perceive_in_time(cortex, image, times_ms=(5.0,)))
    assert cortex.m1.v1 is v1
    assert torch.equal(cortex(image).boundary, before.boundary)


def test_one_that_inherits_is_read_too(image):
    (moment,) = perceive_in_time(Cortex(inherited="contours").eval(), image, times_ms=(10.0,))
    assert moment.percept.labels().shape == (2, 48, 64)


def test_v4_sees_what_spikes_told(image):
    (moment,) = perceive_in_time(Cortex(curvature=True).eval(), image, times_ms=(10.0,))
    assert moment.percept.m4.figure.abs().amax((1, 2)).min() > 0


def test_a_setting_of_another_batch_is_refused(cortex, image):
    with pytest.raises(ValueError, match="expected"):
        next(perceive_in_time(cortex, image, cortex.table.default_theta(3)))
    with pytest.raises(KeyError):
        next(perceive_in_time(cortex, image, {"wavelength_px": torch.ones(2)}))


def test_what_cannot_be_read_is_told(cortex, image):
    for times in ((), (20.0, 10.0), (1.0,)):
        with pytest.raises(ValueError, match="rising times"):
            next(perceive_in_time(cortex, image, times_ms=times))
    with pytest.raises(TypeError, match="module v1"):
        next(perceive_in_time(Cortex(m1=nn.Identity()), image))
    plain = Population()
    with pytest.raises(ValueError, match="one dt_ms"):
        Spiking(v1=plain, m2=replace(plain, neuron=FINE))


def test_what_was_kept_of_v1_serves_another_population_of_m2(cortex, image):
    one = make_spiking("latency")
    other = replace(one, m2=replace(one.m2, rheobase=0.2))
    (alone,) = perceive_in_time(cortex, image, times_ms=(10.0,), spiking=other)
    kept = {}
    list(perceive_in_time(cortex, image, times_ms=(10.0,), spiking=one, kept=kept))
    n = len(kept)
    (moment,) = perceive_in_time(cortex, image, times_ms=(10.0,), spiking=other, kept=kept)
    assert len(kept) == n == 2  # the first step and after 5 ms
    assert torch.equal(moment.percept.boundary, alone.percept.boundary)
    assert torch.equal(moment.n_spikes["v1"], alone.n_spikes["v1"])


def test_thresholds_are_those_of_the_cortex(tmp_path):
    assert thresholds_of("cortex-all") == thresholds_of("cortex-contours")  # it has none of its own
    own = {"v1": {"rheobase": 0.5, "exponent": 0.25}, "m2": {"rheobase": 0.125, "exponent": 2.0}}
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"cortex": own | {"about": {}}}))
    assert thresholds_of("cortex", file) == own
    spiking = make_spiking("rate", thresholds=own)
    assert (spiking.v1.rheobase, spiking.v1.exponent, spiking.m2.rheobase) == (0.5, 0.25, 0.125)
    for broken in ("{", "[]", '{"cortex": {"v1": 3}}', "{}"):
        file.write_text(broken)
        with pytest.raises(ValueError, match="no file of thresholds; ciliary train spikes"):
            thresholds_of("cortex", file)


def test_the_retina_tells_light_and_colours_by_spikes(cortex, image):
    has = make_spiking("rate", FINE, has_retina=True)
    early, late = perceive_in_time(cortex, image, times_ms=(5.0, 60.0), spiking=has)
    plain = cortex(image)
    error = [(m.percept.retina.opponent - plain.retina.opponent).abs().mean() for m in (early, late)]
    assert error[1] < 0.25 * error[0]
    assert error[1] < 0.05 * plain.retina.opponent.std()
    assert (late.n_spikes["retina"] > early.n_spikes["retina"]).all()
    assert "retina" not in next(perceive_in_time(cortex, image, times_ms=(5.0,))).n_spikes


def test_what_the_retina_does_not_tell_nobody_knows(cortex):
    """Where no cell of the retina ever fires, no later one does."""
    grating = 0.5 + 0.05 * torch.sin(torch.arange(48) * 0.8).expand(1, 3, 48, 48)
    slow = make_spiking("latency", has_retina=True)
    slow = replace(slow, retina=replace(slow.retina, rheobase=10.0))
    (moment,) = perceive_in_time(cortex, grating, times_ms=(20.0,), spiking=slow)
    assert moment.n_spikes["retina"] == moment.n_spikes["v1"] == moment.n_spikes["m2"] == 0
