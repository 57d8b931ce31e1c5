"""Economy: closed forms, what changes it and what does not, blank layers."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.ops.phase_scramble import phase_scramble
from ciliary.envs.data.sources import bundled
from ciliary.tuning.fluency.economy import STAGES, active_share, activity, economy, null_of, sparsity


@pytest.fixture(scope="module")
def cortex():
    return Cortex().eval()


@pytest.fixture(scope="module")
def image():
    return bundled(48, ["coffee"])[0].image


@pytest.fixture(scope="module")
def percept(cortex, image):
    return cortex(torch.cat([image[None], phase_scramble(image, n=4).clamp(0, 1)])).detach()


def test_closed_forms():
    drawn = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 200_000, generator=drawn)
    assert float(sparsity(noise.relu())) == pytest.approx(math.sqrt(0.5), abs=0.005)  # the null of rectified noise
    assert float(sparsity(noise)) == pytest.approx(math.sqrt(2) - 1, abs=0.005)
    assert float(sparsity(torch.eye(1, 1000))) == pytest.approx(0.999)
    assert float(active_share(torch.tensor([[1.0, 0.2, 0.05, 0.0]]))) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", [sparsity, active_share])
def test_scale_does_not_matter_and_a_shift_does(measure):
    """Over images of other contrast a count above a fixed threshold would follow the contrast."""
    drawn = torch.Generator().manual_seed(1)
    x = torch.rand(1, 1000, generator=drawn) ** 3
    torch.testing.assert_close(measure(1e-3 * x), measure(x))
    assert float(measure(x + 0.5)) != pytest.approx(float(measure(x)), abs=0.01)


@pytest.mark.parametrize("measure", [sparsity, active_share])
def test_of_nothing_there_is_no_share(measure):
    assert math.isnan(float(measure(torch.zeros(1, 100))))


def test_a_gain_control_in_between_changes_nothing(cortex, image):
    """Contrast adaptation divides the whole image: it would cancel a cost of amplitudes, not one of shares."""
    both = [cortex(image[None], cortex.table.default_theta(1, contrast_adaptation=c)) for c in (0.0, 1.0)]
    sizes = [float(activity(one)["m1"].mean()) for one in both]
    assert abs(sizes[0] / sizes[1] - 1) > 0.03
    for stage in ("retina", "m1"):
        one, other = (float(sparsity(activity(percept)[stage])) for percept in both)
        assert one == pytest.approx(other, abs=1e-3)


def test_a_photograph_is_sparser_than_its_scrambles(percept):
    found, null = economy(percept), null_of(percept)
    assert found.keys() == {f"{a}_{s}{z}" for a in ("gini", "active") for s in STAGES for z in ("", "_z")}
    for stage in ("retina", "m1"):
        assert found[f"gini_{stage}"] > null[f"gini_{stage}"]
        assert found[f"gini_{stage}_z"] > 2
        assert found[f"active_{stage}_z"] < -2


def test_distance_by_hand(percept):
    values = sparsity(activity(percept)["m1"])
    z = float((values[0] - values[1:].mean()) / values[1:].std())
    assert economy(percept)["gini_m1_z"] == pytest.approx(z, rel=1e-4)
