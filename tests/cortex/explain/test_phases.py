"""V1 with phases by lot: as much of each frequency and orientation, elsewhere."""

from __future__ import annotations

import torch

from ciliary.cortex import default_theta
from ciliary.cortex.explain.phases import RandomPhases
from ciliary.cortex.percept import RetinaOut
from ciliary.cortex.stages.m1_perception import BankV1


def retina_of(contrast):
    on_off = torch.cat([contrast.relu(), (-contrast).relu()], 1)
    return RetinaOut(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64), on_off)


def test_as_much_of_each_orientation_but_not_where_it_was():
    contrast = torch.zeros(1, 1, 64, 64)
    contrast[..., 20:24, 8:56] = 0.5  # a bar that lies
    theta = default_theta(1)
    plain, _ = BankV1()(retina_of(contrast), theta)
    lot, _ = RandomPhases(BankV1(), seed=0)(retina_of(contrast), theta)
    share, moved = (x.square().mean((0, 3, 4)).flatten() for x in (plain, lot))
    assert torch.corrcoef(torch.stack([share, moved]))[0, 1] > 0.9
    assert plain.amax(2)[0, 0, 18:26].mean() > 3 * plain.amax(2)[0, 0].mean()
    assert lot.amax(2)[0, 0, 18:26].mean() < 1.5 * lot.amax(2)[0, 0].mean()


def test_the_lot_is_its_seed():
    contrast = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    theta = default_theta(1)
    one, again, other = (RandomPhases(BankV1(), seed=seed)(retina_of(contrast), theta)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
