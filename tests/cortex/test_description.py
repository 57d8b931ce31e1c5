"""What M5 is told of proto-objects: each part on scenes whose answer has a closed form, and what may not change it."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex import Cues
from ciliary.cortex.description import N_DESCRIPTION, PARTS, SHAPE_CELLS, STROKE_CELLS, describe_objects
from ciliary.cortex.percept import N_ORIENTATIONS, M1Out, RetinaOut
from ciliary.cortex.stages.m1_perception import M1, N_SCALES
from ciliary.cortex.stages.retina import retina
from ciliary_tests.theta_scenes import scene_theta

SIZE = (80, 120)
COLOUR, GROUND = (0.3, -0.2, 0.5), (0.6, 0.1, -0.1)
Y, X = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")  # middles of pixels


def square(top=16, left=24, side=48):
    """(H, W) bool."""
    return (top <= Y) & (top + side > Y) & (left <= X) & (left + side > X)


def objects(*masks):
    """M4's answer, as far as it is looked at: these, what is left, and an empty slot."""
    stack = torch.stack([m.float() for m in masks])
    stack = torch.cat([stack, 1 - stack.sum(0, keepdim=True), torch.zeros(1, *SIZE)])
    return SimpleNamespace(masks_coarse=F.avg_pool2d(stack[None], 2))


def eye(opponent):
    """The retina's answer: these opponent channels (1, 3, H, W)."""
    return RetinaOut(torch.zeros_like(opponent), opponent, torch.zeros(1, 2, *SIZE))


def painted(mask, inside=COLOUR, outside=GROUND):
    return torch.where(mask, torch.tensor(inside)[:, None, None], torch.tensor(outside)[:, None, None])[None]


def v1(energy):
    """M1's answer: this energy (1, A, O, H, W)."""
    blank = torch.zeros(1, 1, *SIZE)
    return M1Out(energy.flatten(1, 2), blank, blank, blank, blank, blank)


def flat_energy(value=0.04):
    return torch.full((1, N_SCALES, N_ORIENTATIONS, *SIZE), value)


def described(mask, *, opponent=None, energy=None):
    """The parts of the description of one object by name, each (1, S, size)."""
    opponent = painted(mask) if opponent is None else opponent
    energy = flat_energy() if energy is None else energy
    found = describe_objects(eye(opponent), v1(energy), objects(mask))
    assert found.shape == (1, 3, N_DESCRIPTION)
    return {name: found[..., part] for name, part in PARTS.items()}


# --- the vector


def test_parts_follow_each_other_without_gaps():
    ends = [0, *(part.stop for part in PARTS.values())]
    assert [part.start for part in PARTS.values()] == ends[:-1]
    assert ends[-1] == N_DESCRIPTION
    sizes = {name: part.stop - part.start for name, part in PARTS.items()}
    assert sizes == {"colour": 6, "texture": 18, "place": 5, "shape": SHAPE_CELLS**2, "strokes": 6 * STROKE_CELLS**2}


# --- colour


def test_a_uniform_object_has_its_colour_and_no_spread():
    colour = described(square())["colour"][0]
    torch.testing.assert_close(colour[:2, :3], torch.tensor([COLOUR, GROUND]), atol=1e-5, rtol=0)
    assert colour[:2, 3:].abs().max() < 2e-3  # the rounding of a variance of 1e-6


def test_the_spread_of_two_halves_is_half_their_difference():
    mask = square()
    opponent = torch.where(square(side=24) | square(top=40, side=24), painted(mask, (0.7, 0.0, 0.5)), painted(mask))
    colour = described(mask, opponent=opponent)["colour"][0, 0]
    torch.testing.assert_close(colour, torch.tensor([0.5, -0.1, 0.5, 0.2, 0.1, 0.0]), atol=1e-3, rtol=0)


def test_grain_finer_than_the_masks_counts_in_the_spread():
    """Black and white by turns, pixel by pixel: halving the image must not hide it."""
    chequer = ((Y + X).long() % 2).float().expand(1, 3, -1, -1)
    colour = described(square(), opponent=chequer)["colour"][0, 0]
    torch.testing.assert_close(colour, torch.full((6,), 0.5), atol=1e-4, rtol=0)


# --- texture


def test_texture_is_root_energy_relative_to_its_mean():
    energy = torch.zeros(1, N_SCALES, N_ORIENTATIONS, *SIZE)
    energy[0, 1, 4], energy[0, 2, 0] = 0.09, 0.01  # roots 0.3 and 0.1; without energy the root is 0.001
    mean = (0.3 + 0.1 + 16 * 0.001) / 18
    expected = torch.full((18,), 0.001 / mean)
    expected[1 * N_ORIENTATIONS + 4], expected[2 * N_ORIENTATIONS] = 0.3 / mean, 0.1 / mean
    found = described(square(), energy=energy)["texture"][0, 0]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_contrast_changes_neither_texture_nor_strokes():
    energy = torch.rand(1, N_SCALES, N_ORIENTATIONS, *SIZE, generator=torch.Generator().manual_seed(0)) + 0.2
    one, other = (described(square(), energy=gain * energy) for gain in (1.0, 0.04))
    for name in ("texture", "strokes"):
        torch.testing.assert_close(one[name][:, :2], other[name][:, :2], atol=2e-3, rtol=0)


# --- place


@pytest.mark.parametrize(("top", "left", "side"), [(16, 24, 48), (0, 0, 32), (40, 80, 40), (24, 60, 16)])
def test_place_of_a_square(top, left, side):
    place = described(square(top, left, side))["place"][0, 0]
    long_side = SIZE[1]
    expected = [
        math.log(side**2 / (SIZE[0] * SIZE[1]) + 1e-4),
        (top + side / 2 - SIZE[0] / 2) / long_side,
        (left + side / 2 - SIZE[1] / 2) / long_side,
        side / math.sqrt(12) / long_side,
        side / math.sqrt(12) / long_side,
    ]
    assert place.tolist() == pytest.approx(expected, abs=1e-3)


def test_spreads_are_those_of_each_axis():
    bar = (Y < 20) & (X < 100)
    assert described(bar)["place"][0, 0, 3:].tolist() == pytest.approx(
        [20 / math.sqrt(12) / 120, 100 / math.sqrt(12) / 120], abs=1e-3
    )


# --- shape


@pytest.mark.parametrize(("top", "left", "side"), [(16, 24, 48), (0, 0, 64), (0, 40, 80)])
def test_a_square_fills_its_frame(top, left, side):
    """Two standard deviations are 0.58 of the side; the outermost cells stand at 5/6 of that, 0.48: inside."""
    shape = described(square(top, left, side))["shape"][0, 0]
    assert shape.min() > 0.9
    assert shape.max() <= 1 + 1e-5


def test_a_disc_leaves_the_corners_of_its_frame():
    """The standard deviation of a disc is half its radius: the frame is the square around it."""
    shape = described((Y - 40) ** 2 + (X - 60) ** 2 < 32**2)["shape"][0, 0].view(SHAPE_CELLS, SHAPE_CELLS)
    step = (torch.arange(SHAPE_CELLS) + 0.5) / SHAPE_CELLS * 2 - 1
    radius = torch.hypot(step[:, None], step[None])
    assert shape[radius > 1.05].max() < 0.05
    assert shape[radius < 0.95].min() > 0.95


def test_rows_are_rows_and_columns_columns():
    """An L: its upper right quarter is not there."""
    upright, foot = (X > 30) & (X < 50) & (Y > 10) & (Y < 70), (X > 30) & (X < 90) & (Y > 50) & (Y < 70)
    shape = described(upright | foot)["shape"][0, 0].view(SHAPE_CELLS, SHAPE_CELLS)
    assert shape[0, -1] < 0.05
    assert shape[2, -1] < 0.05
    assert shape[0, 1] > 0.95  # the upright goes up
    assert shape[4, -1] > 0.95  # the foot goes right


# --- strokes


def test_strokes_of_one_orientation_stand_in_their_place():
    energy = torch.zeros(1, N_SCALES, N_ORIENTATIONS, *SIZE)
    energy[0, :, 2] = torch.where(X < 48, 0.09, 0.0)  # the left half of the square
    strokes = described(square(), energy=energy)["strokes"][0, 0].view(N_ORIENTATIONS, STROKE_CELLS, STROKE_CELLS)
    floor = 0.001  # of the root
    mean = (0.3 / 2 + floor / 2 + 5 * floor) / N_ORIENTATIONS
    expected = torch.full_like(strokes, floor / mean)
    expected[2, :, :2] = 0.3 / mean
    torch.testing.assert_close(strokes, expected, atol=0.02, rtol=0)


def test_strokes_outside_of_the_object_do_not_count():
    """A diamond of radius r: the corner cells of its frame stand at 1.2 r, the others inside."""
    diamond = (Y - 40).abs() + (X - 60).abs() < 36
    loud, still = (described(diamond, energy=torch.where(diamond, 0.04, v) * flat_energy(1.0)) for v in (1.0, 0.0))
    cells = loud["strokes"][0, 0].view(N_ORIENTATIONS, STROKE_CELLS, STROKE_CELLS)
    assert cells[:, [0, 0, -1, -1], [0, -1, 0, -1]].abs().max() < 1e-3
    assert cells[:, 1:3].min() > 1
    torch.testing.assert_close(loud["strokes"][:, 0], still["strokes"][:, 0], atol=0.1, rtol=0)


# --- what may not change it


def star(top, left, scale):
    """A scene that is drawn in the object's own coordinates: mask, and energy that is told by place in the object."""
    y, x = (Y - top) / scale, (X - left) / scale
    mask = (y > 0) & (y < 48) & (x > 0) & (x < 48 - 0.5 * y)
    energy = torch.stack(
        [0.02 + 0.1 * (torch.sin(x / (9 + o)) * torch.cos(y / 12)) ** 2 for o in range(N_ORIENTATIONS)]
    )
    return described(mask, energy=energy.expand(1, N_SCALES, -1, -1, -1).clone())


@pytest.mark.parametrize(("top", "left", "scale"), [(8, 40, 1.0), (30, 70, 1.0), (0, 0, 1.5), (20, 50, 0.75)])
def test_moving_and_scaling_changes_the_place_alone(top, left, scale):
    one, other = star(16, 24, 1.0), star(top, left, scale)
    for name in ("colour", "texture"):
        torch.testing.assert_close(other[name][0, 0], one[name][0, 0], atol=0.03, rtol=0)
    for name in ("shape", "strokes"):
        change = (other[name][0, 0] - one[name][0, 0]).square().mean().sqrt() / one[name][0, 0].square().mean().sqrt()
        assert change < 0.12, name
    share, y, x, *spread = (other["place"][0, 0] - one["place"][0, 0]).tolist()
    assert share == pytest.approx(2 * math.log(scale), abs=0.03)
    assert y == pytest.approx((top - 16 + (scale - 1) * 64 / 3) / 120, abs=0.02)
    assert spread == pytest.approx([(scale - 1) * s for s in one["place"][0, 0, 3:].tolist()], abs=0.004)
    if scale == 1:
        assert x == pytest.approx((left - 24) / 120, abs=1e-3)


def test_a_moved_object_looks_the_same_to_a_real_eye():
    """Through retina and V1, from pixels; by a multiple of all strides."""

    def look(top, left):
        mask = square(top, left, 32)
        stripes = 0.5 + 0.3 * torch.sin((Y - top) * 0.8 + (X - left) * 0.5)
        image = torch.where(mask, stripes, 0.4).expand(1, 3, -1, -1).contiguous()
        theta = scene_theta(1)
        seen = retina(image, theta)
        m1 = M1()(seen, Cues(torch.zeros_like(image[:, :1]), None), theta)
        return describe_objects(seen, m1, objects(mask))[0, 0]

    one, other = look(16, 24), look(32, 56)
    for name, part in PARTS.items():
        if name == "place":
            assert (other - one)[part].tolist() == pytest.approx([0, 16 / 120, 32 / 120, 0, 0], abs=1e-4)
        else:
            torch.testing.assert_close(other[part], one[part], atol=0.01, rtol=0, msg=lambda m, n=name: f"{n}: {m}")


def test_the_size_of_the_image_does_not_matter():
    """The same scene with twice the pixels."""
    mask = square()
    energy = torch.rand(1, 1, 1, 5, 6, generator=torch.Generator().manual_seed(0)).expand(
        1, N_SCALES, N_ORIENTATIONS, 5, 6
    )
    energy = F.interpolate(energy.flatten(1, 2), size=SIZE, mode="bilinear")
    small = describe_objects(eye(painted(mask)), v1(energy.unflatten(1, (N_SCALES, -1))), objects(mask))

    def double(x):
        return F.interpolate(x, scale_factor=2)

    masks = SimpleNamespace(masks_coarse=double(objects(mask).masks_coarse))
    seen = RetinaOut(*(double(x) for x in (torch.zeros(1, 3, *SIZE), painted(mask), torch.zeros(1, 2, *SIZE))))
    blank = torch.zeros(1, 1, 2 * SIZE[0], 2 * SIZE[1])
    large = describe_objects(seen, M1Out(double(energy), *[blank] * 5), masks)
    torch.testing.assert_close(large[:, :2], small[:, :2], atol=0.05, rtol=0.05)


# --- slots with nothing in them


@pytest.mark.parametrize("value", [0.0, 1e-6])
def test_empty_slots_are_told_in_finite_numbers_with_finite_slopes(value):
    masks = objects(square()).masks_coarse
    masks[:, -1] += value
    masks.requires_grad_()
    opponent, energy = painted(square()).requires_grad_(), flat_energy(0.0).requires_grad_()
    found = describe_objects(eye(opponent), v1(energy), SimpleNamespace(masks_coarse=masks))
    assert torch.isfinite(found).all()
    assert found[0, -1].abs().max() < 10
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    for slope in torch.autograd.grad((found * weight).sum(), [masks, opponent, energy]):
        assert torch.isfinite(slope).all()
