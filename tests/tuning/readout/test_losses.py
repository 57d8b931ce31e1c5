"""Losses by hand, by their identities, and beside those of segmentation_models_pytorch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ciliary.envs.metrics.classes import UNLABELLED
from ciliary.tuning.readout.losses import (
    LOSSES,
    cross_entropy,
    dice_loss,
    focal_loss,
    iou_loss,
    parse_loss,
    tversky_loss,
)


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(3, (2, 9, 11), generator=generator)
    return torch.randn(2, 3, 9, 11, generator=generator), target


def sure(target: torch.Tensor, n_classes: int) -> torch.Tensor:
    return 40.0 * F.one_hot(target, n_classes).movedim(-1, 1).float()


def test_four_pixels_by_hand():
    """p of class 1 is .5, .5, .5, .5; two of four are drawn: TP 1, sum p 2, sum g 2, of both classes."""
    logits, target = torch.zeros(1, 2, 1, 4), torch.tensor([[[0, 0, 1, 1]]])
    assert float(dice_loss(logits, target, smooth=0)) == pytest.approx(1 - 2 / 4)
    assert float(iou_loss(logits, target, smooth=0)) == pytest.approx(1 - 1 / 3)
    assert float(tversky_loss(logits, target, fp=0.3, fn=0.7, smooth=0)) == pytest.approx(1 - 1 / (1 + 0.3 + 0.7))
    assert float(dice_loss(logits, target, smooth=1)) == pytest.approx(1 - 3 / 5)
    assert float(focal_loss(logits, target)) == pytest.approx(0.25 * 0.6931, abs=1e-4)


def test_identities(scene):
    logits, target = scene
    given = {"smooth": 0.0}
    assert torch.allclose(tversky_loss(logits, target, fp=0.5, fn=0.5, **given), dice_loss(logits, target, **given))
    assert torch.allclose(tversky_loss(logits, target, fp=1.0, fn=1.0, **given), iou_loss(logits, target, **given))
    assert torch.allclose(focal_loss(logits, target, gamma=0.0), F.cross_entropy(logits, target))
    weight = torch.tensor([0.2, 1.0, 3.0])
    assert torch.allclose(cross_entropy(logits, target, weight), F.cross_entropy(logits, target, weight))
    one = torch.zeros(1, 1, 9, 11)  # a single class: 1 - Dice and 1 - IoU of the same overlap
    iou = 1 - iou_loss(one, torch.zeros(1, 9, 11, dtype=torch.long), **given)
    assert torch.allclose(1 - dice_loss(one, torch.zeros(1, 9, 11, dtype=torch.long), **given), 2 * iou / (1 + iou))


def test_beside_segmentation_models_pytorch(scene):
    oracle = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, target = scene
    given = {"mode": "multiclass", "from_logits": True, "smooth": 1.0}
    # Their Dice is Tversky's of .5 and .5, smoothed as that is: twice in the fraction of 2 TP.
    theirs = oracle.DiceLoss(**given)(logits, target)
    assert torch.allclose(dice_loss(logits, target, smooth=2.0), theirs, atol=1e-6)
    assert torch.allclose(iou_loss(logits, target), oracle.JaccardLoss(**given)(logits, target), atol=1e-6)
    theirs = oracle.TverskyLoss(alpha=0.3, beta=0.7, **given)(logits, target)
    assert torch.allclose(tversky_loss(logits, target, fp=0.3, fn=0.7), theirs, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_each_is_about_0_when_right_more_when_wrong_and_falls_along_its_gradient(name, scene):
    loss, (logits, target) = parse_loss(name), scene
    right, wrong = (float(loss(sure(t, 3), target)) for t in (target, (target + 1) % 3))
    assert right == pytest.approx(0, abs=1e-4)
    assert wrong > right + 0.5
    logits = logits.requires_grad_()
    before = loss(logits, target)
    (gradient,) = torch.autograd.grad(before, logits)
    with torch.no_grad():
        assert float(loss(logits - 0.1 * gradient / gradient.norm(), target)) < float(before)


@pytest.mark.parametrize("name", LOSSES)
def test_what_nobody_labelled_costs_nothing(name, scene):
    loss, (logits, target) = parse_loss(name), scene
    half = target.clone()
    half[:, :, 5:] = UNLABELLED
    assert torch.allclose(loss(logits, half), loss(logits[..., :5], target[..., :5]))
    assert torch.isfinite(loss(logits, torch.full_like(target, UNLABELLED)))


def test_a_class_that_a_batch_lacks_costs_what_is_given_to_it():
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    clean, dirty = sure(target, 2), sure(target, 2)
    dirty[0, :, 0, 0] = torch.tensor([0.0, 40.0])
    assert float(dice_loss(clean, target)) == pytest.approx(0, abs=1e-4)
    assert float(dice_loss(dirty, target)) > 0.2


def test_a_sum_is_the_sum_and_weights_are_of_pixels(scene):
    (logits, target), weight = scene, torch.tensor([0.1, 1.0, 2.0])
    both = parse_loss("dice+focal:1")(logits, target, weight)
    assert torch.allclose(both, dice_loss(logits, target) + focal_loss(logits, target, weight, gamma=1.0))
    assert torch.allclose(parse_loss("tversky:0.4:0.6")(logits, target), tversky_loss(logits, target, fp=0.4, fn=0.6))


@pytest.mark.parametrize("text", ["lovasz", "dice+ce+iou", "tversky:1", "focal:x", "focal:-1", "dice:1", ""])
def test_a_wrong_name_is_answered_with_the_right_ones(text):
    with pytest.raises(ValueError, match=r"dice|focal"):
        parse_loss(text)
