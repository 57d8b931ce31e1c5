"""Every learned stage sits the exam of its stage, with weights that learned nothing yet; and all of them in a row."""

import pytest
import torch

from ciliary.cortex import Cortex, Cues, default_theta
from ciliary.cortex.options import STAGES
from ciliary.cortex.stages.m5_recognition import M5
from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.testing.stage import StageContract, photograph, tensors, with_cues


def untrained(name):
    """The learned stage with seeded random weights, as a cortex would have it."""
    torch.manual_seed(0)
    return LEARNED_STAGES[name]().eval().requires_grad_(False)


class TestLearnedM2(StageContract):
    name = "m2"
    ignored = LEARNED_STAGES["m2"].inert

    @pytest.fixture
    def stage(self):
        return untrained("m2")


class TestLearnedM3(StageContract):
    name = "m3"
    choosing = frozenset({"linkage_exponent"})  # as in M3

    @pytest.fixture
    def stage(self):
        return untrained("m3")


class TestLearnedM5(StageContract):
    name = "m5"
    batch_tolerance = 1e-4  # the rounding of all the stages before it

    @pytest.fixture
    def stage(self):
        return untrained("m5")


# --- in a row


@pytest.fixture(scope="module")
def cortex():
    return Cortex(**{name: untrained(name) for name in LEARNED_STAGES})


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_they_see_a_photograph_in_a_row(cortex, size):
    image = photograph(size=size)
    theta = {name: value.requires_grad_() for name, value in default_theta(1).items()}
    percept = cortex(image, theta, with_cues(image))
    assert percept.m3.texture_coarse.shape[1] == 18 + 16
    everything = tensors(percept)
    assert all(torch.isfinite(x).all() for name, x in everything.items() if name != "m4.merge_height")
    total = percept.m4.masks_coarse.square().mean() + percept.m5.code.square().mul(percept.m5.weight[..., None]).mean()
    for name, slope in zip(theta, torch.autograd.grad(total, list(theta.values()), allow_unused=True), strict=True):
        assert slope is None or torch.isfinite(slope).all(), name


def test_each_has_another_answer_than_the_mathematics(cortex):
    image, cues = photograph(size=(48, 64)), with_cues(photograph(size=(48, 64)))
    plain = Cortex(recognise=True)
    for name in LEARNED_STAGES:
        one = Cortex(**{"m5": M5(), name: getattr(cortex, name)})(image, cues=cues)
        other = plain(image, cues=cues)
        changed = {
            stage
            for stage in STAGES
            if any(
                a.shape != b.shape or not torch.equal(a, b)
                for a, b in zip(
                    tensors(getattr(one, stage)).values(), tensors(getattr(other, stage)).values(), strict=True
                )
            )
        }
        assert changed == set(STAGES[STAGES.index(name) :]), name  # itself and all after it


def test_they_need_no_deep_maps(cortex):
    cues = with_cues(photograph(size=(48, 64)))
    percept = cortex(photograph(size=(48, 64)), cues=Cues(cues.depth, None))
    assert percept.m5.pooled is None
    assert torch.isfinite(percept.m5.code).all()
