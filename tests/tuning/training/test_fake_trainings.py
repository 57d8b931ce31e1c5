"""What each training steps by, network and loss, under torch's fake tensors on a device that is not there.

Forward on ``cuda``; forward and backward, to the slopes of all weights, on a device whose backward pass runs without
it. Whole steps, with what is drawn for them and read out of them, run with numbers in ``test_trainings_elsewhere.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.learned_depth import DepthHead
from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.cortex.dorsal.expectation import ExpectationNet
from ciliary.cortex.stages.contour_net import N_FULL, N_HALF, ContourNet
from ciliary.cortex.stages.m1_taught import CodeNet
from ciliary.cortex.stages.m2_learned import ContourNet as LearnedContours
from ciliary.cortex.stages.m3_learned import TextureNet
from ciliary.cortex.stages.m4_basins import Objectness
from ciliary.cortex.stages.m5_learned import ExpertBank, spread_parts
from ciliary.cortex.stages.merge_cost import APART, EITHER, MergeCost
from ciliary.tuning.training import losses
from ciliary.tuning.training.contours.codes import apart_share, code_loss
from ciliary.tuning.training.contours.learn import contour_loss, mirrored
from ciliary.tuning.training.depth_losses import depth_loss
from ciliary.tuning.training.teaching import joined_borders
from ciliary_tests.fake_device import BACKWARD, fake_device

Net, Loss = nn.Module, Tensor


def contours(net: Net, device: str) -> Loss:
    full, half = mirrored(torch.rand(2, N_FULL, 32, 48, device=device), torch.rand(2, N_HALF, 16, 24, device=device))
    logits, sides = net(full, half)
    return contour_loss(logits, sides, torch.zeros(2, 1, 32, 48, dtype=torch.uint8, device=device))


def codes(net: Net, device: str) -> Loss:
    n_in = net.norm.num_features
    code = net(torch.rand(1, n_in, 12, 16, device=device))[0].flatten(1).T
    place = torch.zeros(20, dtype=torch.int64, device=device)
    return code_loss(code[place], apart_share(torch.zeros(3, 192, dtype=torch.int64, device=device), place))


def cost(net: Net, device: str) -> Loss:
    evidence = torch.rand(30, len(APART) + len(EITHER), device=device)
    return F.binary_cross_entropy_with_logits(net(evidence), torch.rand(30, device=device))


def objectness(net: Net, device: str) -> Loss:
    return F.binary_cross_entropy_with_logits(net(torch.rand(30, 9, device=device)), torch.rand(30, device=device))


def learned_contours(net: Net, device: str) -> Loss:
    logits = net(torch.rand(2, net.enter[0].in_channels, 16, 24, device=device))
    target = joined_borders(torch.zeros(2, 3, 16, 24, dtype=torch.uint8, device=device))
    seen = torch.sigmoid(logits)
    valid = torch.ones(2, 1, 16, 24, device=device)
    loss = F.binary_cross_entropy_with_logits(logits, target) + losses.density_excess(seen)
    return loss + losses.masked_mean((seen - target).abs(), valid)


def textures(net: Net, device: str) -> Loss:
    code = net(torch.rand(2, net.layers[0].in_channels, 8, 12, device=device)).flatten(2).mT.flatten(0, 1)
    same = torch.zeros(len(code), len(code), dtype=torch.bool, device=device)
    return losses.info_nce(code, code, temperature=0.1, same=same) + losses.redundancy(code)


def experts(net: Net, device: str) -> Loss:
    one, visible = torch.rand(6, N_DESCRIPTION, device=device), torch.ones(6, len(PARTS), device=device)
    code, completed, gate, full = net(one, visible)
    hidden = ((completed - one) * (1 - spread_parts(visible))).square().sum()
    alike = losses.overlap(gate[None, :, None], full[None, :, None]).sum()
    shared = losses.gate_entropy(gate) + losses.load_imbalance(full)
    return losses.info_nce(code, code, temperature=0.1) + hidden + alike + shared


def depth(net: Net, device: str) -> Loss:
    maps = [torch.rand(2, 3, 20 >> i, 28 >> i, device=device) for i in range(3)]
    return depth_loss(net(maps), torch.rand(2, 1, 20, 28, device=device), torch.ones(2, 1, 20, 28, device=device))


def expectation(net: Net, device: str) -> Loss:
    target = torch.rand(2, 1, 16, 24, device=device).flatten(1).softmax(1)
    return F.cross_entropy(net(torch.rand(2, 5, 32, 48, device=device)).flatten(1), target)


CASES = {
    contours: ContourNet,
    codes: CodeNet,
    cost: MergeCost,
    objectness: Objectness,
    learned_contours: LearnedContours,
    textures: TextureNet,
    experts: ExpertBank,
    depth: lambda: DepthHead([3, 3, 3]),
    expectation: ExpectationNet,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.slow), BACKWARD])
def test_the_loss_and_its_slopes_lie_there(case: Callable[[Net, str], Loss], device: str):
    net = CASES[case]().train()
    with fake_device(device) as watch:
        net = net.to(device)
        loss = case(net, device)
        assert loss.device.type == watch.device
        if device == BACKWARD:
            weights = [p for p in net.parameters() if p.requires_grad]
            slopes = torch.autograd.grad(loss, weights, allow_unused=True)
            there = [slope.device.type for slope in slopes if slope is not None]
            assert there == [watch.device] * len(there)
            assert len(there) > len(weights) / 2
