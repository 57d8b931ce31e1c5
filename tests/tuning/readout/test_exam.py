"""Scores of one map, and the table's rows: what is beside what, and what absent classes do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ciliary.envs.metrics.classes import UNLABELLED
from ciliary.tuning.readout.exam import Answer, image_rows, mean_dice, rows_of, score


@pytest.fixture
def drawn():
    labels = np.zeros((20, 20), int)
    labels[5:15, 5:15] = 1
    return labels


def answer(model, maps, drawn, *, disturbance="none", read="default"):
    return Answer(model, 1, disturbance, read, tuple(score(one, drawn, 3) for one in maps))


def test_what_was_drawn_scores_highest(drawn):
    right, blank = score(drawn, drawn, 3), score(np.zeros_like(drawn), drawn, 3)
    assert right.dice[:2].tolist() == [1.0, 1.0]
    assert math.isnan(right.dice[2])
    assert (right.accuracy, right.boundary_f, right.hausdorff_px[1]) == (1.0, 1.0, 0.0)
    assert blank.accuracy == 0.75, "three quarters are right of who finds nothing"
    assert (blank.iou[1], blank.boundary_f) == (0.0, 0.0)
    assert mean_dice(np.zeros_like(drawn), drawn, 3) == pytest.approx(2 * 300 / (300 + 400) / 2)


def test_a_border_to_what_nobody_labelled_is_none_that_was_missed(drawn):
    labels = drawn.copy()
    labels[:, 16:] = UNLABELLED
    assert score(drawn, labels, 3).boundary_f == 1.0
    assert mean_dice(drawn, np.full_like(drawn, UNLABELLED), 3) == 0.0


def test_rows_are_beside_the_first_of_their_disturbance(drawn):
    blank = np.zeros_like(drawn)
    answers = [
        answer("a", [drawn, blank], drawn),
        answer("b", [blank, blank], drawn),
        answer("a", [blank, blank], drawn, disturbance="fog:3"),
        answer("a", [drawn, drawn], drawn, disturbance="fog:3", read="8 looks"),
    ]
    one, two, three, four = rows_of(answers, ("0", "1", "2"))
    worst = 300 / 700
    assert one.less is three.less is None
    assert one.dice.mean == pytest.approx((1 + worst) / 2)
    assert two.less.mean == pytest.approx((worst - 1) / 2)
    assert four.less.mean == pytest.approx(1 - worst)
    assert one.by_class["IoU 1"] == pytest.approx(0.5)
    assert math.isnan(one.by_class["IoU 2"])
    assert four.dice_absent_as_1 == 1.0
    assert two.dice_absent_as_1 == pytest.approx((2 * worst + 1) / 3), "a class that nobody drew flatters"
    told = image_rows(answers[:1], ["x", "y"])
    assert [(row.image, row.dice) for row in told] == [("x", 1.0), ("y", pytest.approx(worst))]
