"""How contours are taught: closed forms of the losses, mirrored inputs, and a learning that can be stopped."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.parameters import default_unit
from ciliary.cortex.stages.contour_net import STRIDES
from ciliary.tuning.training.contours import learn as module
from ciliary.tuning.training.contours.learn import (
    Learning,
    State,
    balanced_cross_entropy,
    contour_loss,
    dice_loss,
    learn,
    mirrored,
)
from ciliary.tuning.training.contours.pool import UNDECIDED, inputs_of


def picture(*rows):
    return torch.tensor(rows, dtype=torch.uint8)[None, None]


#: One contour, six pixels of nothing, one undecided.
TARGET = picture([0, 200, 0, 0], [0, UNDECIDED, 0, 0])


# --- losses


def test_both_classes_weigh_the_same():
    """log 2 if nothing is known; of a logit x everywhere, half of each class's loss."""
    for x in (0.0, 1.3, -2.0):
        loss = balanced_cross_entropy(torch.full((1, 1, 2, 4), x), TARGET)
        expected = 0.5 * (math.log1p(math.exp(-x)) + math.log1p(math.exp(x)))
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_with_power_0_each_pixel_weighs_the_same():
    x = 1.3
    loss = balanced_cross_entropy(torch.full((1, 1, 2, 4), x), TARGET, power=0.0)
    assert float(loss) == pytest.approx((math.log1p(math.exp(-x)) + 6 * math.log1p(math.exp(x))) / 7, rel=1e-5)


@pytest.mark.parametrize("loss", [balanced_cross_entropy, dice_loss])
def test_undecided_pixels_have_no_gradient(loss):
    logits = torch.randn(1, 1, 2, 4, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(logits, TARGET), logits)
    assert slope[0, 0, 1, 1] == 0
    assert (slope != 0).sum() == 7
    assert slope[0, 0, 0, 1] < 0  # more of a contour would be better


def test_dice_is_0_for_a_perfect_sure_answer_and_1_for_its_opposite():
    sure = torch.where(TARGET == 200, 40.0, -40.0)
    assert dice_loss(sure, TARGET) == pytest.approx(0, abs=1e-6)
    big = torch.zeros(1, 1, 40, 40, dtype=torch.uint8)
    big[..., 20] = 200
    assert dice_loss(torch.where(big == 200, -40.0, 40.0), big) > 0.99


def test_thick_lines_cost_more_than_thin_ones():
    target = torch.zeros(1, 1, 20, 20, dtype=torch.uint8)
    target[..., 10] = 200
    losses = []
    for breadth in range(4):
        logits = torch.full((1, 1, 20, 20), -20.0)
        logits[..., 10 - breadth : 11 + breadth] = 20.0
        losses.append(float(dice_loss(logits, target)))
    assert losses == sorted(losses)
    assert losses[1] == pytest.approx(1 - (2 * 20 + 1) / (60 + 20 + 1), abs=1e-4)


@pytest.mark.parametrize(
    "target", [TARGET, 0 * TARGET, torch.full_like(TARGET, UNDECIDED), torch.full_like(TARGET, 200)]
)
def test_every_picture_has_a_loss(target):
    target = target.repeat_interleave(9, 2).repeat_interleave(9, 3)
    logits = torch.zeros(1, 1, 18, 36, requires_grad=True)
    sides = [torch.zeros(1, 1, math.ceil(18 / s), math.ceil(36 / s)) for s in STRIDES]
    loss = contour_loss(logits, sides, target)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def test_a_contour_is_seen_at_every_stride():
    target = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    target[0, 0, 5, 7], target[0, 0, 20, 20] = 200, UNDECIDED
    for stride in STRIDES:
        small = module._shrink(target, stride)[0, 0]
        assert small.shape == (32 // stride,) * 2
        assert (small > 0).nonzero().tolist() == [[5 // stride, 7 // stride], [20 // stride, 20 // stride]]
        assert small[5 // stride, 7 // stride] == 200
        assert small[20 // stride, 20 // stride] == UNDECIDED


# --- mirrored inputs


def test_mirrored_inputs_are_those_of_the_mirrored_image():
    """A smooth picture of stripes and blobs, without symmetry."""
    coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    image = F.interpolate(coarse, size=(48, 64), mode="bicubic", align_corners=False).clamp(0, 1)
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    image = (0.8 * image + 0.1 + 0.1 * torch.sin(0.9 * x + 0.5 * y)).clamp(0, 1)
    u = default_unit()
    ours, theirs = mirrored(*inputs_of(image, u)), inputs_of(image.flip(-1), u)
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).abs().mean() < 0.05 * other.abs().mean()
        assert (one - other).abs().max() < 0.15 * other.abs().max()
    plain = inputs_of(image, u)[1].flip(-1)  # orientations do turn: without it, they are others
    assert (plain - theirs[1]).abs().mean() > 0.1 * theirs[1].abs().mean()


def test_mirrored_twice_is_as_before():
    full, half = torch.rand(1, 4, 8, 6), torch.rand(1, 18, 4, 3)
    for a, b in zip(mirrored(*mirrored(full, half)), (full, half), strict=True):
        assert torch.equal(a, b)


# --- learning


HOW = Learning(n_steps=7, shares=(0.6, 0.4), in_bfloat16=False)


class Stopped(Exception):
    """In the middle of it."""


def test_it_learns_and_goes_on_as_if_nothing_had_happened(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_EVERY", 3)
    losses, before = {}, torch.get_rng_state()
    whole = learn(pool, [0, 1], HOW, on_step=losses.__setitem__)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(losses) == list(range(1, 8))
    values = list(losses.values())
    assert sum(values[-2:]) < 0.97 * sum(values[:2])
    assert not any(p.requires_grad for p in whole.parameters())
    assert not whole.training

    def stop(step, loss):
        assert loss == losses[step]
        if step == 5:  # two steps after it was saved
            raise Stopped

    checkpoint, again = tmp_path / "net.pt", {}
    with pytest.raises(Stopped):
        learn(pool, [0, 1], HOW, checkpoint=checkpoint, on_step=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]
    parts = learn(pool, [0, 1], HOW, checkpoint=checkpoint, on_step=again.__setitem__)
    assert again == {step: loss for step, loss in losses.items() if step > 3}
    one, other = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_images_and_other_seeds_teach_something_else(pool):
    how = replace(HOW, n_steps=1)
    nets = [learn(pool, owners, replace(how, seed=seed)) for owners, seed in (([0], 0), ([1], 0), ([0], 1))]
    first, *others = (net.leave.weight for net in nets)
    assert not any(torch.equal(first, other) for other in others)


def test_contours_that_go_on_make_little_of_a_new_trunk_at_first():
    how = Learning(n_steps=1)
    before = State.newborn(how, ()).net.eval()
    after = State.newborn(replace(how, seed=1), (3, 4, 5), before).net.eval()
    full, half = torch.rand(1, 4, 32, 48), torch.rand(1, 18, 16, 24)
    maps = tuple(torch.rand(1, n, 32 // s, 48 // s) for n, s in zip((3, 4, 5), (4, 8, 16), strict=True))
    known, expected, other = (
        net(full, half, seen)[0].detach()
        for net, seen in ((after, maps), (before, ()), (State.newborn(how, (3, 4, 5)).net.eval(), maps))
    )
    assert not torch.equal(known, expected)  # it is seen
    assert (known - expected).abs().mean() < 0.05 * (other - expected).abs().mean()
