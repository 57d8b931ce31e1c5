"""Dice, intersection over union, accuracy and Hausdorff distance of classes, by hand and beside torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.envs.metrics.classes import (
    UNLABELLED,
    ClassCounts,
    hausdorff,
    mean_of_present,
    mean_with_absent,
)


def test_ships_that_are_all_missed():
    """100 pixels, 5 of a ship, none found. The ground's Dice is 2 * 95 / (95 + 100), not 2 * 95 / 200."""
    drawn = np.zeros((10, 10), int)
    drawn[0, :5] = 1
    counts = ClassCounts.of(np.zeros_like(drawn), drawn, 2)
    assert counts.iou.tolist() == [0.95, 0.0]
    assert mean_of_present(counts.iou) == pytest.approx(0.475)
    assert counts.dice[0] == pytest.approx(190 / 195)
    assert mean_of_present(counts.dice) == pytest.approx(0.4872, abs=1e-4)
    assert counts.accuracy == pytest.approx(0.95), "which is why nothing is chosen by accuracy"


def test_accuracy_counts_every_kind_of_mistake_once():
    found, drawn = np.array([[0, 1, 1, 0]]), np.array([[0, 1, 0, 1]])  # of class 1: one TP, FP, FN and TN each
    counts = ClassCounts.of(found, drawn, 2)
    assert (counts.true_positive.tolist(), counts.false_positive.tolist(), counts.false_negative.tolist()) == (
        [1, 1],
        [1, 1],
        [1, 1],
    )
    assert counts.accuracy == 0.5


def test_a_class_that_is_absent_is_left_out_or_counts_as_one():
    drawn = np.array([[0, 0, 1, 1]])
    counts = ClassCounts.of(np.array([[0, 0, 0, 1]]), drawn, 3)
    assert math.isnan(counts.iou[2])
    assert mean_of_present(counts.iou) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert mean_with_absent(counts.iou) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    found_where_none_is = ClassCounts.of(np.array([[0, 0, 2, 1]]), drawn, 3)
    assert found_where_none_is.iou[2] == 0, "found and not drawn is a mistake, no absence"
    assert math.isnan(mean_of_present(np.array([np.nan])))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_dice_and_iou_say_the_same(seed):
    rng = np.random.default_rng(seed)
    counts = ClassCounts.of(rng.integers(0, 3, (6, 7)), rng.integers(0, 3, (6, 7)), 4)
    assert np.allclose(counts.dice, 2 * counts.iou / (1 + counts.iou), equal_nan=True)
    assert np.allclose(counts.iou, counts.dice / (2 - counts.dice), equal_nan=True)


def test_pixels_that_nobody_labelled_do_not_count():
    drawn = np.array([[0, 1, UNLABELLED, UNLABELLED]])
    counts = ClassCounts.of(np.array([[0, 1, 0, 1]]), drawn, 2)
    assert counts.iou.tolist() == [1.0, 1.0]
    assert hausdorff(np.array([[0, 1, 0, 1]]), drawn, 2).tolist() == [0.0, 0.0]


def test_beside_torchmetrics():
    torch, oracle = pytest.importorskip("torch"), pytest.importorskip("torchmetrics.functional.segmentation")
    rng = np.random.default_rng(0)
    drawn = (rng.random((2, 24, 20)) * 3).astype(int)
    found = np.where(rng.random(drawn.shape) < 0.7, drawn, rng.integers(0, 3, drawn.shape))
    given_maps = {"num_classes": 3, "input_format": "index", "include_background": True}
    theirs = [torch.from_numpy(one) for one in (found, drawn)]
    ours = [ClassCounts.of(one, other, 3) for one, other in zip(found, drawn, strict=True)]
    iou = oracle.mean_iou(*theirs, per_class=True, **given_maps)
    assert np.allclose(np.stack([one.iou for one in ours]), iou.numpy(), atol=1e-6)
    dice = oracle.dice_score(*theirs, average="none", **given_maps)
    assert np.allclose(np.stack([one.dice for one in ours]), dice.numpy(), atol=1e-6)


def test_hausdorff_by_hand():
    drawn, found = np.zeros((8, 10), int), np.zeros((8, 10), int)
    drawn[2, 2] = 1
    found[2, 2] = found[6, 5] = 1  # one pixel more, 4 down and 3 across
    assert hausdorff(found, drawn, 3)[1] == 5
    assert hausdorff(drawn, found, 3)[1] == 5, "the larger of both directions, whichever comes first"
    assert hausdorff(found, np.zeros_like(drawn), 3)[1] == pytest.approx(math.hypot(8, 10))
    assert math.isnan(hausdorff(found, drawn, 3)[2])


def test_hausdorff_of_large_masks_beside_a_search_tree():
    from skimage.metrics import hausdorff_distance

    rng = np.random.default_rng(1)
    found, drawn = (rng.random((2, 40, 50)) < 0.02).astype(int)
    assert hausdorff(found, drawn, 2)[1] == pytest.approx(hausdorff_distance(found == 1, drawn == 1))


@pytest.mark.parametrize(
    ("found", "drawn", "words"),
    [(np.zeros((2, 2), int), np.zeros((2, 3), int), "one size"), (np.full((2, 2), 3), np.zeros((2, 2), int), "0 .. 1")],
)
def test_what_cannot_be_counted_is_named(found, drawn, words):
    with pytest.raises(ValueError, match=words):
        ClassCounts.of(found, drawn, 2)
