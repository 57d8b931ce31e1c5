"""The learned parts alone: experts and gates, ruptures by hand, the reach of the texture code, blank images."""

import math

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.cortex.stages.m2_learned import rupture
from ciliary.cortex.stages.m3_learned import N_CODE as N_TEXTURE_CODE
from ciliary.cortex.stages.m3_learned import TextureNet
from ciliary.cortex.stages.m5_learned import N_CODE, ExpertBank, LearnedM5, spread_parts
from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.testing.stage import photograph, tensors, with_cues


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- experts


@pytest.mark.parametrize(("n_experts", "n_active"), [(16, 2), (5, 5), (7, 1)])
def test_exactly_k_experts_answer(n_experts, n_active):
    bank = ExpertBank(n_experts, n_active)
    code, completed, gate, full = bank(normal(40, N_DESCRIPTION))
    assert (code.shape, completed.shape) == ((40, N_CODE), (40, N_DESCRIPTION))
    assert gate.shape == full.shape == (40, n_experts)
    assert ((gate > 0).sum(1) == n_active).all()
    torch.testing.assert_close(gate.sum(1), torch.ones(40))
    torch.testing.assert_close(full.sum(1), torch.ones(40))
    # the largest of the shares before the choice, in their proportions
    kept = full.topk(n_active, 1)
    torch.testing.assert_close(gate.gather(1, kept.indices), kept.values / kept.values.sum(1, keepdim=True))


def test_the_code_is_the_sum_of_the_answers_by_their_shares():
    bank = ExpertBank(3, 2)
    x = normal(1, N_DESCRIPTION)
    code, _, gate, _ = bank(x)
    seen = torch.cat([x, torch.ones(1, len(PARTS))], 1)
    answers = [torch.relu(seen @ bank.enter[e] + bank.enter_bias[e]) @ bank.leave[e] for e in range(3)]
    torch.testing.assert_close(code, sum(gate[0, e] * answers[e] for e in range(3)))


def test_experts_that_are_not_chosen_have_no_say_and_no_gradient():
    bank = ExpertBank(6, 2)
    x = normal(1, N_DESCRIPTION)
    code, _, gate, _ = bank(x)
    silent = gate[0] == 0
    (slope,) = torch.autograd.grad(code.sum(), bank.leave)
    assert not slope[silent].any()
    assert slope[~silent].abs().sum((1, 2)).min() > 0
    with torch.no_grad():
        bank.leave[silent] = 1e3
        torch.testing.assert_close(bank(x)[0], code)


@pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
def test_a_cold_gate_decides(temperature):
    bank = ExpertBank()
    x = normal(30, N_DESCRIPTION)
    warm = bank(x)[2].amax(1).mean()
    bank.temperature = temperature
    gate = bank(x)[2]
    assert gate.amax(1).mean() >= warm - 1e-6
    assert torch.isfinite(gate).all()
    torch.testing.assert_close(gate.sum(1), torch.ones(30))


@pytest.mark.parametrize("part", list(PARTS))
def test_what_is_hidden_does_not_influence_the_answer(part):
    bank = ExpertBank()
    one = normal(12, N_DESCRIPTION)
    other = one.clone()
    other[:, PARTS[part]] = normal(12, PARTS[part].stop - PARTS[part].start, seed=1)
    visible = torch.ones(12, len(PARTS))
    visible[:, list(PARTS).index(part)] = 0
    hidden, changed = bank(one, visible), bank(other, visible)
    assert all(torch.equal(a, b) for a, b in zip(hidden, changed, strict=True))
    assert not torch.equal(bank(one)[1], bank(other)[1])  # seen, it does
    assert not torch.equal(hidden[1], bank(torch.where(torch.isnan(one), one, one))[1])


def test_a_hidden_part_is_not_the_same_as_one_of_zeros():
    """Zero is the mean; not to know is told."""
    bank = ExpertBank()
    x = normal(5, N_DESCRIPTION)
    x[:, PARTS["shape"]] = 0
    visible = torch.ones(5, len(PARTS))
    visible[:, list(PARTS).index("shape")] = 0
    assert not torch.allclose(bank(x)[0], bank(x, visible)[0])


def test_parts_are_spread_over_their_entries():
    values = torch.arange(5.0)[None]
    spread = spread_parts(values)
    assert spread.shape == (1, N_DESCRIPTION)
    for value, part in zip(values[0], PARTS.values(), strict=True):
        assert (spread[0, part] == value).all()


def test_standardised_entries_are_clipped():
    bank = ExpertBank()
    bank.mean.fill_(1.0)
    bank.spread.fill_(0.5)
    x = torch.tensor([1.0, 2.0, 1e4, -1e4]).repeat(N_DESCRIPTION, 1).T
    torch.testing.assert_close(bank.standardise(x)[:, 0], torch.tensor([0.0, 2.0, 5.0, -5.0]))


def test_completion_comes_back_in_the_units_of_the_description():
    stage = LearnedM5().eval()
    image = photograph(size=(48, 64))
    cortex = Cortex(m5=stage)
    with torch.no_grad():
        plain = cortex(image).m5
        stage.net.decoder[1].weight.zero_()
        stage.net.decoder[1].bias.zero_()
        stage.net.mean.fill_(7.0)
        stage.net.spread.fill_(3.0)
        at_the_mean = cortex(image).m5
    assert torch.equal(plain.description, at_the_mean.description)
    torch.testing.assert_close(at_the_mean.completed, torch.full_like(plain.completed, 7.0))


@pytest.mark.parametrize(("n_experts", "n_active"), [(4, 0), (4, 5)])
def test_as_many_as_there_are_can_answer(n_experts, n_active):
    with pytest.raises(ValueError, match="expected 1 <= n_active <= n_experts"):
        ExpertBank(n_experts, n_active)


# --- ruptures


def test_rupture_by_hand():
    """Two regions; the middle column goes to both."""
    left = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0])
    regions = torch.stack([left, 1 - left])[None, :, None].expand(1, 2, 3, 5)
    half = 1 - math.cos(math.pi / 4)
    expected = torch.tensor([0.0, half, half, half, 0.0]).expand(1, 1, 3, 5)
    torch.testing.assert_close(rupture(regions), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(rupture(regions.transpose(2, 3)), expected.transpose(2, 3), atol=1e-6, rtol=0)


def test_a_hard_border_breaks_both_pixels_beside_it():
    label = torch.zeros(6, 7, dtype=torch.long)
    label[2:, 4:] = 1
    out = rupture(torch.nn.functional.one_hot(label, 3).movedim(-1, 0)[None].float())[0, 0]
    expected = torch.zeros(6, 7)
    expected[2:, 3:5] = 1
    expected[1:3, 4:] = 1
    torch.testing.assert_close(out, expected)


def test_equal_soft_assignments_are_no_rupture():
    soft = torch.softmax(normal(1, 5, 1, 1), 1).expand(1, 5, 4, 6)
    assert rupture(soft).max() < 1e-6
    assert rupture(torch.full((1, 12, 4, 6), 1 / 12)).max() < 1e-6


def test_ruptures_do_not_depend_on_the_names_of_regions():
    regions = torch.softmax(3 * normal(2, 6, 8, 9), 1)
    torch.testing.assert_close(rupture(regions[:, torch.tensor([3, 0, 5, 1, 4, 2])]), rupture(regions))
    assert 0 <= rupture(regions).min() <= rupture(regions).max() <= 1


# --- texture


def test_the_texture_code_sees_nothing_beyond_its_reach():
    """No padding of zeros, no pooling over the image: far away a change is not seen."""
    net = TextureNet()
    one = torch.rand(1, 18, 40, 40, generator=torch.Generator().manual_seed(0)) + 0.1
    other = one.clone()
    other[..., 20, 20] += 0.5
    changed = (net(one) - net(other)).abs().amax((0, 1)) > 0
    y, x = torch.nonzero(changed, as_tuple=True)
    assert max((y - 20).abs().max(), (x - 20).abs().max()) == 1
    flat = net(torch.full((1, 18, 20, 20), 0.3))
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat))


# --- blanks


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_blank_image_is_one_thing(value):
    torch.manual_seed(0)
    cortex = Cortex(**{name: make() for name, make in LEARNED_STAGES.items()})
    image = torch.full((1, 3, 33, 47), value)
    percept = cortex(image, cues=with_cues(image))
    everything = tensors(percept)
    assert all(torch.isfinite(x).all() for name, x in everything.items() if name != "m4.merge_height")
    code = percept.m3.texture_coarse[:, -N_TEXTURE_CODE:]
    torch.testing.assert_close(code, code[..., :1, :1].expand_as(code), atol=1e-4, rtol=0)
