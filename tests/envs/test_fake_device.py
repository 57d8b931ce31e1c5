"""Terms of the objective, views and their way back under torch's fake tensors, on a device that is not there.

Whole episodes, disturbances and batches read values to go on, and run with numbers in ``test_any_device.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.envs.objective.agreement import adjusted_rand, contingency, sharpen
from ciliary.envs.objective.recognition import gate_entropy
from ciliary.envs.objective.reference import make_reference
from ciliary.envs.objective.terms import collapse_loss, economy_loss, view_agreement
from ciliary.envs.objective.views import apply_views, sample_views, way_back
from ciliary_tests.fake_device import BACKWARD, devices_of, fake_device

SIZE = (16, 24)
VIEWS = sample_views(0, n_photometric=1, n_geometric=2)
BACK = way_back(sample_views(0, n_photometric=0, n_geometric=2), size=SIZE)


def masks_on(device: str, *lead: int) -> Tensor:
    return torch.softmax(torch.rand(*lead, 5, *SIZE, device=device), -3).requires_grad_()


def views(device: str) -> tuple[Any, Tensor]:
    image = torch.rand(3, 3, 32, 48, device=device).requires_grad_()
    return apply_views(image[:1].expand(len(VIEWS), -1, -1, -1), to_device(VIEWS, device)), image


def agreement(device: str) -> tuple[Any, Tensor]:
    masks = masks_on(device, 1, 4)
    return view_agreement(masks, to_device(BACK, device), n_photometric=1), masks


def pairs(device: str) -> tuple[Any, Tensor]:
    masks, other = masks_on(device, 2), masks_on(device, 2)
    return (adjusted_rand(contingency(sharpen(masks, power=2.0), other)),), masks


def collapse(device: str) -> tuple[Any, Tensor]:
    masks = masks_on(device, 2)
    return collapse_loss(masks, make_reference(torch.rand(2, 3, 32, 48, device=device), size=SIZE)), masks


def economy(device: str) -> tuple[Any, Tensor]:
    masks = masks_on(device, 2)
    return economy_loss(masks, torch.rand(2, 6, 32, 48, device=device), min_segments=3.0), masks


def recognition(device: str) -> tuple[Any, Tensor]:
    gate = torch.softmax(torch.rand(2, 5, 4, device=device), -1).requires_grad_()
    return gate_entropy(gate, torch.rand(2, 5, device=device)), gate


CASES = [views, agreement, pairs, collapse, economy, recognition]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("device", ["cuda", BACKWARD])
def test_all_of_it_lies_there(case: Callable[[str], tuple[Any, Tensor]], device: str):
    with fake_device(device) as watch:
        answer, leaf = case(device)
        assert devices_of(answer) == {watch.device}
        if device == BACKWARD:
            values = answer.values() if isinstance(answer, dict) else [answer] if isinstance(answer, Tensor) else answer
            (slope,) = torch.autograd.grad(torch.stack([x.sum() for x in values]).sum(), leaf)
            assert devices_of(slope) == {watch.device}
