"""Which looks are averaged, by hand; and a head read through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.envs.data.cells import synthetic_cells
from ciliary.tuning.readout.fields import CortexFields
from ciliary.tuning.readout.looks import Looking, choose
from ciliary.tuning.readout.models import make_head


def agreement(found, drawn):
    return float((found == drawn).mean())


def test_two_looks_that_mend_each_other_are_chosen_and_a_third_that_adds_nothing_is_not():
    """Four pixels, all of class 1. Look 0 is sure of two, look 1 of the other two, look 2 is wrong everywhere."""
    says = torch.tensor([[0.9, 0.9, 0.45, 0.4], [0.3, 0.4, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1]])
    found = torch.stack([1 - says, says], 1)[:, :, None]  # (M, K, 1, 4)
    drawn = np.ones((1, 4), int)
    assert choose([found], [drawn], agreement) == (0, 1)
    assert choose([found], [drawn], agreement, most=1) == (0,)
    assert choose([found[2:]], [drawn], agreement) == (0,), "never none"


@pytest.fixture(scope="module")
def looking():
    torch.manual_seed(0)
    cortex = Cortex().eval().requires_grad_(False)
    return Looking.of(CortexFields(cortex), make_head("linear", 28, 3).eval(), n_looks=4)


def test_the_first_look_is_the_default_and_every_look_lies_in_the_image_s_frame(looking):
    image = synthetic_cells(0, size_px=64)[0]
    found = looking.read_all(image)
    assert found.shape == (4, 3, 64, 64)
    assert torch.allclose(found.sum(1), torch.ones(4, 64, 64), atol=1e-4)
    assert torch.allclose(found[0], looking.read(image), atol=1e-3)
    assert not torch.allclose(found[1], found[0], atol=1e-2)


def test_the_reflex_finds_a_setting_and_the_head_reads_it(looking):
    image = synthetic_cells(0, size_px=64)[0]
    u = looking.settle(image)
    assert u.shape == (len(looking.fields.cortex.table),)
    assert looking.read_settled(image).shape == (3, 64, 64)
