"""V4's bank on contours drawn by formula: lines, circles, corners, ends; turned, mirrored, and none at all."""

import math
from itertools import pairwise

import pytest
import torch

from ciliary.cortex.v4.bank import (
    N_CELLS,
    N_PAIRS,
    N_RAYS,
    OPENINGS,
    REACH,
    STEP_RAD,
    STRIDES,
    cells,
    respond,
    respond_at_scales,
)

SIDE, MIDDLE = 41, 20
Y, X = torch.meshgrid(torch.arange(SIDE) - float(MIDDLE), torch.arange(SIDE) - float(MIDDLE), indexing="ij")
BANK = cells()
STRAIGHT = slice(0, N_RAYS // 2)


def drawn(distance, tangent, is_there=True):
    """(1, O, h, w): a contour 0 away, as V1 with 25 degrees of tolerance sees it."""
    preferred = torch.arange(N_RAYS // 2).view(-1, 1, 1) * STEP_RAD
    off = torch.remainder(tangent - preferred + math.pi / 2, math.pi) - math.pi / 2
    seen = torch.exp(-0.5 * (distance / 0.8) ** 2) * torch.exp(-0.5 * (off / math.radians(25)) ** 2)
    return (seen * is_there)[None]


def segment(angle, first=-99.0, last=99.0):
    """The part of a line through the middle between two places along it."""
    along, across = X * math.cos(angle) + Y * math.sin(angle), Y * math.cos(angle) - X * math.sin(angle)
    beyond = (first - along).clamp_min(0) + (along - last).clamp_min(0)
    return drawn(torch.hypot(across, beyond), torch.tensor(float(angle)))


def circle(radius):
    return drawn(torch.hypot(X, Y) - radius, torch.atan2(Y, X) + math.pi / 2)


def winner(answers, y=0, x=0):
    return int(answers[0, :, MIDDLE + y, MIDDLE + x].argmax())


def turned(direction):
    return torch.remainder(direction + math.pi, 2 * math.pi) - math.pi


@pytest.mark.parametrize("steps", range(N_RAYS // 2))
def test_a_straight_line_has_straight_cells_alone(steps):
    answers = respond(segment(steps * STEP_RAD))
    first = winner(answers)
    assert first == steps
    others = answers[0, N_RAYS // 2 :, MIDDLE, MIDDLE]
    assert others.max() < 0.3 * answers[0, first, MIDDLE, MIDDLE]


@pytest.mark.parametrize("opening", [5, 4])
def test_a_circle_has_the_bend_of_its_radius(opening):
    """Of radius 1 / curvature: that cell wins at more of the circle's points than any other, and points outwards."""
    bend = 2 * math.cos(opening * STEP_RAD / 2)
    radius = REACH / bend
    answers = respond(circle(radius))[0, :N_PAIRS]
    on_it = (torch.hypot(X, Y) - radius).abs() < 0.4
    won = answers.argmax(0)[on_it]
    curvature = BANK.bend[won] / REACH
    values, counts = curvature.unique(return_counts=True)
    assert values[counts.argmax()] == pytest.approx(1 / radius, rel=1e-5)
    outwards = torch.atan2(Y, X)[on_it]
    is_bent = BANK.bend[won] > 0
    assert turned(BANK.direction[won] - outwards)[is_bent].abs().max() < math.radians(31)  # convex all around


def test_the_mean_curvature_falls_with_the_radius():
    found = []
    for radius in (2, 3, 4, 6, 8, 12):
        answers = respond(circle(radius))[0, :N_PAIRS]
        on_it = (torch.hypot(X, Y) - radius).abs() < 0.4
        found.append(float((answers * BANK.bend[:N_PAIRS, None, None]).sum(0)[on_it].sum() / answers[:, on_it].sum()))
    assert all(a > b for a, b in pairwise(found))


def test_a_square_has_four_corners_that_point_outwards():
    half = 10.0
    beyond = torch.maximum(X.abs(), Y.abs())
    tangent = torch.where(X.abs() > Y.abs(), math.pi / 2, 0.0)
    answers = respond(drawn(beyond - half, tangent))
    for y in (-1, 1):
        for x in (-1, 1):
            at = answers[0, :, MIDDLE + y * int(half), MIDDLE + x * int(half)]
            best = int(at.argmax())
            assert BANK.bend[best] == pytest.approx(2 * math.cos(math.pi / 4))
            assert turned(BANK.direction[best] - math.atan2(y, x)).abs() < 1e-4
    assert winner(answers, -int(half), 0) == 0  # a side is straight


def test_an_end_points_where_the_contour_does_not_go():
    answers = respond(segment(0.0, first=0.0))
    best = winner(answers)
    assert best >= N_PAIRS
    assert turned(BANK.direction[best] - math.pi).abs() < 1e-4
    assert respond(segment(0.0))[0, N_PAIRS:, MIDDLE, MIDDLE].max() < 0.1 * answers[0, best, MIDDLE, MIDDLE]


def quarter_turn(oriented):
    """Turned by 90 degrees, from x to y: places, and tangents by three of six."""
    return torch.rot90(oriented, -1, (2, 3)).roll(3, 1)


def test_a_quarter_turn_permutes_the_cells_exactly():
    generator = torch.Generator().manual_seed(0)
    oriented = torch.rand(2, N_RAYS // 2, 24, 24, generator=generator)
    for plain, found in zip(respond_at_scales(oriented), respond_at_scales(quarter_turn(oriented)), strict=True):
        expected = torch.rot90(plain, -1, (2, 3))
        sizes = [N_RAYS // 2 if opening == N_RAYS // 2 else N_RAYS for opening in OPENINGS] + [N_RAYS]
        groups = [group.roll(3, 1) for group in expected.split(sizes, 1)]
        torch.testing.assert_close(found, torch.cat(groups, 1), atol=1e-6, rtol=1e-5)


def test_blank_says_nothing_and_answers_lie_between_0_and_1():
    assert not respond(torch.zeros(1, N_RAYS // 2, 9, 9)).any()
    answers = respond(torch.ones(1, N_RAYS // 2, 30, 30))
    assert answers.shape == (1, N_CELLS, 30, 30)
    assert answers.min() >= 0
    assert answers.max() <= 1 + 1e-5


def test_scales_are_a_pyramid():
    assert [x.shape[-1] for x in respond_at_scales(torch.rand(1, N_RAYS // 2, 21, 21))] == [21, 11, 6]
    assert len(STRIDES) == 3
