"""The learned parts alone: experts and gates, ruptures by hand, the competition for patches, blank images."""

import math
from types import SimpleNamespace

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.stages.m1_learned import LEARNED_SHARE, N_LEARNED_REGIONS, LearnedM1, RegionNet, rupture
from ciliary.cortex.stages.m3_learned import TextureNet
from ciliary.cortex.stages.m4_learned import N_KEY, ObjectNet, compete
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


# --- the competition


N_PATCHES, N_SLOTS, N_OWNED = 40, 8, 5


def contest(merge_temperature, seed=0):
    """Patches of random cues that belong to the first slots for certain; the others have none."""
    owner = torch.arange(N_PATCHES) % N_OWNED
    assignment = torch.nn.functional.one_hot(owner, N_SLOTS).float()[None]
    m3 = SimpleNamespace(
        cue=normal(1, N_PATCHES, 22, seed=seed), patches=SimpleNamespace(size=torch.full((1, 40), 9.0))
    )
    return m3, assignment, {"merge_temperature": torch.tensor([merge_temperature])}


@pytest.mark.parametrize("merge_temperature", [PARAMETERS["merge_temperature"].low, 0.15, 1.0])
@pytest.mark.parametrize("log_gain", [0.0, 1.0])
def test_a_slot_without_patches_stays_without(merge_temperature, log_gain):
    net = ObjectNet()
    torch.nn.init.constant_(net.log_gain, log_gain)
    m3, assignment, theta = contest(merge_temperature)
    out = compete(net, m3, assignment, theta)
    torch.testing.assert_close(out.sum(2), torch.ones(1, N_PATCHES))
    assert out[..., N_OWNED:].sum(2).max() < 0.01


@pytest.mark.parametrize("gain", [1.0, 5.0, 20.0])
def test_a_patch_that_is_like_nobody_is_not_left_to_the_dead(gain):
    """Its key is the opposite of all others'; that of an empty slot is nothing, which is nearer than the opposite."""
    keys = torch.zeros(1, 12, 2)
    keys[..., 0] = 1.0
    keys[:, 11, 0] = -1.0
    net = SimpleNamespace(keys=lambda cue: keys, log_gain=torch.tensor(gain).log())
    assignment = torch.zeros(1, 12, 30)
    assignment[:, :6, 0] = assignment[:, 6:, 1] = 1.0
    m3 = SimpleNamespace(cue=keys, patches=SimpleNamespace(size=torch.ones(1, 12)))
    out = compete(net, m3, assignment, {"merge_temperature": torch.tensor([0.15])})
    assert out[0, 11, 1] > 0.98


def test_a_patch_goes_to_the_slot_it_is_like():
    """Two kinds of cues, two slots, and a patch in doubt between them."""
    net = ObjectNet()
    cue = torch.zeros(1, 10, 22)
    cue[:, 5:] = 1.0
    assignment = torch.zeros(1, 10, 3)
    assignment[:, :5, 0] = assignment[:, 5:, 1] = 1.0
    assignment[:, 9] = torch.tensor([0.5, 0.5, 0.0])
    m3 = SimpleNamespace(cue=cue, patches=SimpleNamespace(size=torch.ones(1, 10)))
    out = compete(net, m3, assignment, {"merge_temperature": torch.tensor([0.15])})
    assert out[0, 9, 1] > 0.55
    cold = compete(net, m3, assignment, {"merge_temperature": torch.tensor([0.05])})
    assert cold[0, 9, 1] > out[0, 9, 1]


def test_the_competition_does_not_depend_on_the_names_of_slots():
    net = ObjectNet()
    m3, _, theta = contest(0.1)
    assignment = torch.softmax(2 * normal(1, N_PATCHES, N_SLOTS, seed=3), 2)
    order = torch.tensor([4, 7, 1, 0, 6, 2, 5, 3])
    torch.testing.assert_close(
        compete(net, m3, assignment[..., order], theta), compete(net, m3, assignment, theta)[..., order]
    )


def test_keys_have_length_one_and_know_no_more_than_all_cortices_have():
    net = ObjectNet()
    cue = normal(2, 9, 30)
    keys = net.keys(cue)
    assert keys.shape == (2, 9, N_KEY)
    torch.testing.assert_close(keys.norm(dim=-1), torch.ones(2, 9))
    other = cue.clone()
    other[..., 22:] = 0.0
    assert torch.equal(net.keys(other), keys)


# --- regions and texture


def test_learned_regions_have_the_same_share_of_s1_everywhere():
    cortex = Cortex(m1=LearnedM1())
    regions = cortex(photograph(size=(48, 64))).m1.regions_coarse
    own = regions[:, -N_LEARNED_REGIONS:].sum(1)
    torch.testing.assert_close(own, torch.full_like(own, LEARNED_SHARE))


def test_networks_see_nothing_beyond_their_reach():
    """No padding of zeros, no pooling over the image: far away a change is not seen."""
    for net, n_in, reach in ((RegionNet(), 8, 7), (TextureNet(), 18, 1)):
        one = torch.rand(1, n_in, 40, 40, generator=torch.Generator().manual_seed(0)) + 0.1
        other = one.clone()
        other[..., 20, 20] += 0.5
        changed = (net(one) - net(other)).abs().amax((0, 1)) > 0
        y, x = torch.nonzero(changed, as_tuple=True)
        assert max((y - 20).abs().max(), (x - 20).abs().max()) == reach
        flat = net(torch.full((1, n_in, 20, 20), 0.3))
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
    assert rupture(percept.m1.regions_coarse[:, -N_LEARNED_REGIONS:]).max() < 1e-4
