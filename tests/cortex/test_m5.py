"""M5: its contract; weights, pooled maps and what can be said without learning, by hand."""

from types import SimpleNamespace

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.cortex.stages.m5_recognition import M5, object_weight, pool_deep, recognise
from ciliary.testing.stage import StageContract, photograph, with_cues


class TestM5(StageContract):
    name = "m5"
    batch_tolerance = 1e-4  # the rounding of all the stages before it

    @pytest.fixture
    def stage(self):
        return M5()


def bands(*widths, objectness=None, height=4):
    """M4's answer, as far as it is looked at: upright bands of these widths, and an empty slot."""
    slot = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    masks = torch.nn.functional.one_hot(slot, len(widths) + 1).T[None, :, None].expand(1, -1, height, -1).float()
    objectness = [1.0] * len(widths) + [0.0] if objectness is None else objectness
    return SimpleNamespace(masks_coarse=masks, objectness=torch.tensor([objectness]))


# --- weights


def test_weight_is_objectness_times_the_root_of_the_share():
    weight = object_weight(bands(2, 6, objectness=[0.9, 0.4, 0.5]))
    raw = torch.tensor([0.9 * 0.25**0.5, 0.4 * 0.75**0.5, 0.0])
    torch.testing.assert_close(weight[0], raw / raw.sum(), atol=1e-4, rtol=0)


def test_weights_sum_to_one_and_nothing_is_finite_too():
    generator = torch.Generator().manual_seed(0)
    masks = torch.softmax(3 * torch.randn(5, 7, 6, 8, generator=generator), 1)
    weight = object_weight(SimpleNamespace(masks_coarse=masks, objectness=torch.rand(5, 7, generator=generator)))
    torch.testing.assert_close(weight.sum(1), torch.ones(5))
    assert weight.min() > 0
    nobody = object_weight(SimpleNamespace(masks_coarse=masks, objectness=torch.zeros(5, 7)))
    assert not nobody.any()


# --- deep maps


def test_deep_maps_are_averaged_over_each_mask():
    deep = torch.arange(2 * 4 * 8.0).view(1, 2, 4, 8)
    pooled = pool_deep(deep, bands(2, 6))
    expected = [deep[0, :, :, :2].mean((1, 2)), deep[0, :, :, 2:].mean((1, 2)), torch.zeros(2)]
    torch.testing.assert_close(pooled[0], torch.stack(expected))
    assert pool_deep(None, bands(2, 6)) is None


def test_half_a_cell_counts_half():
    """A border through the middle of a deep cell; soft masks at its own resolution."""
    masks = torch.tensor([[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 1.0]]).view(1, 2, 1, 4)
    pooled = pool_deep(torch.tensor([1.0, 4.0, 10.0, 20.0]).view(1, 1, 1, 4), SimpleNamespace(masks_coarse=masks))
    torch.testing.assert_close(pooled[0, :, 0], torch.tensor([(1 + 2) / 1.5, (2 + 10 + 20) / 2.5]))


def test_coarse_maps_lose_nothing():
    """Weighted by their masks, the objects' means are the image's mean, whatever the resolution."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.softmax(3 * torch.randn(1, 4, 24, 36, generator=generator), 1)
    deep = torch.rand(1, 3, 2, 3, generator=generator)
    pooled = pool_deep(deep, SimpleNamespace(masks_coarse=masks))
    low, high = deep.amin((2, 3)), deep.amax((2, 3))
    assert (pooled >= low[:, None] - 1e-5).all()
    assert (pooled <= high[:, None] + 1e-5).all()
    share = torch.nn.functional.interpolate(masks, size=(2, 3), mode="bilinear", antialias=True).mean((2, 3))
    torch.testing.assert_close((share[..., None] * pooled).sum(1), deep.mean((2, 3)))


# --- what can be said without learning


def told(n=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.rand(2, n, generator=generator)
    return torch.randn(2, n, N_DESCRIPTION, generator=generator), weight / weight.sum(1, keepdim=True)


def test_codes_have_length_one_whatever_they_are_told():
    description, weight = told()
    description[0, 0] = 0
    description[0, 1] = 1e3
    out = recognise(description, weight)
    torch.testing.assert_close(out.code.norm(dim=-1), torch.ones(2, 4))
    assert torch.isfinite(out.code).all()


def test_all_parts_have_the_same_say():
    """However large the numbers of a part, it has a fifth of the squared length."""
    description, weight = told()
    description[..., PARTS["strokes"]] *= 100
    code = recognise(description, weight).code
    for part in PARTS.values():
        torch.testing.assert_close(code[..., part].square().sum(-1), torch.full((2, 4), 0.2))


def test_one_expert_and_the_gist():
    description, weight = told()
    out = recognise(description, weight)
    assert torch.equal(out.gate, torch.ones(2, 4, 1))
    assert torch.equal(out.description, description)
    gist = sum(weight[1, s] * description[1, s] for s in range(4))
    for s in range(4):
        torch.testing.assert_close(out.completed[1, s], gist)


def test_a_cortex_recognises_when_it_is_asked_to():
    image = photograph(size=(48, 64))
    assert Cortex()(image).m5 is None
    percept = Cortex(recognise=True)(image, cues=with_cues(image))
    assert percept.m5.pooled.shape == (1, percept.m4.objectness.shape[1], 5)
    assert torch.equal(percept.m5.weight, object_weight(percept.m4))
    assert percept[0].detach().m5.code.shape == percept.m5.code.shape


def test_recognition_changes_nothing_before_it():
    image = photograph(size=(48, 64))
    one, other = Cortex()(image), Cortex(recognise=True)(image)
    assert torch.equal(one.m4.masks, other.m4.masks)
    assert torch.equal(one.m4.objectness, other.m4.objectness)
