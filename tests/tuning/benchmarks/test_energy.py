"""Third exam: operations against torch's own count and by hand, the load of experts, and naming with fewer of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ciliary.cortex import Cortex
from ciliary.cortex.description import N_DESCRIPTION
from ciliary.cortex.stages.m5_learned import N_CODE, N_EXPERTS, ExpertBank
from ciliary.tuning.benchmarks.energy import ACTIVITY, energy, stage_gini
from ciliary.tuning.benchmarks.operations import expert_multiply_adds, stage_costs
from ciliary.tuning.benchmarks.representations import LEARNED, codes_with, expert_load, representations, with_active


@pytest.mark.parametrize("n_experts", [3, 16])
def test_experts_against_torch(n_experts):
    """The bank computes all of its experts: torch counts what all of them cost."""
    bank = ExpertBank(n_experts, 1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        bank(torch.randn(10, N_DESCRIPTION))
    assert counter.get_total_flops() == 2 * 10 * expert_multiply_adds(n_experts, n_experts)


def test_experts_by_hand():
    """166 inputs: a router to 16, two experts of 166 x 24 + 24 x 48, a decoder of 48 x 161."""
    assert expert_multiply_adds(16, 2) == 166 * 16 + 2 * (166 * 24 + 24 * 48) + 48 * 161
    assert expert_multiply_adds(16, 16) - expert_multiply_adds(16, 15) == 166 * 24 + 24 * 48


class Toy(nn.Module):
    """A cortex of two stages whose operations fit on paper."""

    def __init__(self):
        super().__init__()
        self.retina, self.m1 = Product(), Transform()
        self.deep = None

    def forward(self, image):
        return self.m1(self.retina(image))


class Product(nn.Module):
    def forward(self, x):
        return x @ x + 1  # 3 x (8 x 8 x 8) multiply-adds, 192 sums


class Transform(nn.Module):
    def forward(self, x):
        spectrum = torch.fft.fft2(x.to(torch.complex64))  # 3 x 5 x 64 x log2(64) operations
        return torch.fft.irfft2(torch.fft.rfft2(x)) * spectrum.real  # 2 x half of that; 192 products


def test_operations_by_hand():
    toy = Toy()
    retina, m1 = stage_costs(toy, torch.rand(1, 3, 8, 8))
    assert (retina.stage, retina.multiply_adds, retina.fourier, retina.elementwise) == ("retina", 3 * 512, 0, 192)
    assert (m1.stage, m1.multiply_adds, m1.fourier) == ("m1", 0, 2 * 3 * 5 * 64 * 6 // 2)
    assert m1.elementwise == 192
    assert not toy.retina._forward_hooks  # nothing is left on it
    with pytest.raises(ValueError, match="one image"):
        stage_costs(toy, torch.rand(2, 3, 8, 8))


def test_operations_of_the_cortex(eye, shapes):
    image = shapes.test.images[:1].float() / 255
    costs = {one.stage: one for one in stage_costs(eye.cortex, image)}
    assert list(costs) == ["retina", "m1", "m2", "m3", "m4", "m5"]  # there is no backbone, and depth does nothing
    assert all(one.elementwise > 0 for one in costs.values())
    assert costs["m1"].fourier > 0
    assert costs["m5"].multiply_adds > 32 * expert_multiply_adds(N_EXPERTS, N_EXPERTS)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        eye.cortex(image)
    assert 2 * sum(one.multiply_adds for one in costs.values()) == counter.get_total_flops()


def test_load_by_hand(seen):
    """Two images of two objects; three experts."""
    gate = np.array([[[1, 0, 0], [0.5, 0.5, 0]], [[1, 0, 0], [0, 1, 0]]])
    tokens = replace(seen[1], gate=gate, weight=np.array([[0.5, 0.5], [0.75, 0.25]]))
    load = expert_load(tokens)
    assert load.n_active == pytest.approx((0.5 * 1 + 0.5 * 2 + 1) / 2)
    assert load.share == pytest.approx([(0.75 + 0.75) / 2, 0.25, 0])
    assert load.n_effective == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))
    assert load.n_experts == 3


def test_fewer_experts_answer(net, seen):
    tokens = seen[1]
    own = codes_with(tokens, net, net.n_active)
    assert np.allclose(own.vectors, representations_of(tokens).vectors, atol=1e-4)  # as perceived
    one = codes_with(tokens, net, 1)
    assert not np.allclose(one.vectors, own.vectors, atol=1e-2)
    assert one.vectors.shape[1] == N_CODE
    assert net.n_active == 2  # the bank itself is as it was
    full = with_active(net, N_EXPERTS)
    gate = full(torch.randn(4, N_DESCRIPTION))[2]
    assert ((gate > 0).sum(1) == N_EXPERTS).all()
    assert full.router.weight is net.router.weight
    with pytest.raises(ValueError, match="1 to 16"):
        with_active(net, 17)


def representations_of(tokens):
    from ciliary.tuning.benchmarks.perceive import Look

    return representations(Look(("m5",)))[LEARNED](tokens)


def test_gini_of_stages(shapes):
    cortex = Cortex(recognise=True).eval()
    images = shapes.test.images[:3].float() / 255
    found = stage_gini(cortex, images, batch_size=2)
    assert set(found) == set(ACTIVITY)
    assert found["m5"] == 0  # one expert, always
    assert all(0 <= value < 1 for value in found.values())
    # a blank image has fewer slots that are proto-objects than one with something on it
    assert stage_gini(Cortex().eval(), torch.full((1, 3, 48, 48), 0.5)).keys() == set(ACTIVITY) - {"m5"}


@pytest.mark.slow
def test_the_exam(shapes, seen, eye, net):
    steps = []
    found = energy(shapes, *seen, eye.cortex, net, n_shots=3, n_episodes=4, seed=0, progress=steps.append)
    assert len(steps) == 4
    operations, bank, frugal, told = found.tables
    assert [row[0] for row in operations.rows] == ["retina", "m1", "m2", "m3", "m4", "m5", "all"]
    assert dict(bank.rows)["experts that answer, mean"] == "2.00 of 16"
    assert [one["active"] for one in found.numbers["naming"]] == [1, 2, 4, 16]
    assert frugal.rows[-1][-1] == "–"  # all against all
    assert [row[0] for row in told.rows] == [*6 * ["latency"], *6 * ["rate"], "without spikes"]
    assert list(found.figures) == ["Accuracy against active experts", "Operations"]


def test_without_experts(shapes, seen):
    found = energy(shapes, *seen, Cortex(recognise=True).eval(), None, n_shots=1, n_episodes=1, seed=0)
    assert len(found.tables) == 1
    assert "no experts" in found.notes[0]
    assert list(found.figures) == ["Operations"]
