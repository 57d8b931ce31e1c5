"""The direction process: mass, mean places and second moments in closed form, turned pictures, lines and circles."""

import math

import pytest
import torch

from ciliary.cortex.ops.association import two_sided_support
from ciliary.cortex.ops.direction_process import _WIDTH_PX, LONGEST_PATH_PX, spread_heat, two_way_density

N = 16
SIZE = 121
MIDDLE = SIZE // 2
Y, X = torch.meshgrid(torch.arange(float(SIZE)) - MIDDLE, torch.arange(float(SIZE)) - MIDDLE, indexing="ij")


def element(*placed, size=(SIZE, SIZE), dtype=torch.float32):
    """Ones at (y, x, channel)."""
    oriented = torch.zeros(1, N, *size, dtype=dtype)
    for y, x, channel in placed:
        oriented[0, channel, y, x] = 1.0
    return oriented


def density(oriented, path_px=6.0, wander=0.02, stride=1):
    path, width = (oriented.new_full((len(oriented),), x) for x in (path_px, wander))
    return two_way_density(oriented, path, width, stride=stride)


def completion(oriented, path_px=10.0, wander=0.004):
    ahead, behind = density(oriented, path_px, wander)
    return (ahead.clamp_min(0) * behind.clamp_min(0)).sqrt()[0]


# --- closed forms

PROCESSES = [(6.0, 0.02, 1, 0), (4.0, 0.1, 1, 3), (12.0, 0.004, 2, 5)]


@pytest.mark.parametrize(("path_px", "wander", "stride", "channel"), PROCESSES)
def test_moments_of_the_process(path_px, wander, stride, channel):
    """Killed at the rate 1/path: E[|X|^2] = 2 / (a (a + D)); displacement along its last heading 1 / (a + D)."""
    ahead, behind = density(element((MIDDLE, MIDDLE, channel), dtype=torch.float64), path_px, wander, stride)
    a, d = stride / path_px, wander * stride
    assert ahead.sum().item() == pytest.approx(1, rel=1e-3)
    assert behind.sum().item() == pytest.approx(1, rel=1e-3)
    both = (ahead + behind).sum((0, 1)) / 2
    spread = (both * (X * X + Y * Y)).sum().item() - 2 * _WIDTH_PX**2
    assert spread == pytest.approx(2 / (a * (a + d)), rel=1e-2)
    assert (both * X).sum().abs() < 1e-3  # as much either way
    heading = (torch.arange(N) * math.pi / N).view(-1, 1, 1)
    along = X * heading.cos() + Y * heading.sin()
    assert ((ahead - behind)[0] * along).sum().item() / 2 == pytest.approx(1 / (a + d), rel=2e-3)


def test_moments_of_the_heat():
    """It keeps its mass; its variance along the orientation, of a start of every orientation: length^2 in x and y."""
    every = element(*((MIDDLE, MIDDLE, channel) for channel in range(N)), dtype=torch.float64) / N
    length = torch.tensor([5.0], dtype=torch.float64)
    heat = spread_heat(every, length, 0.0 * length + 0.02, stride=1).sum(1)[0]
    assert heat.sum().item() == pytest.approx(1, rel=1e-3)
    for axis in (X, Y):
        assert (heat * axis * axis).sum().item() - _WIDTH_PX**2 == pytest.approx(25.0, rel=1e-2)
    torch.testing.assert_close(heat, heat.flip(0, 1))


def test_a_field_of_ones_has_ones():
    ahead, behind = density(torch.ones(1, 4, 96, 96), path_px=3.0)
    torch.testing.assert_close(ahead[..., 40:56, 40:56], torch.ones(1, 4, 16, 16), atol=1e-3, rtol=0)
    torch.testing.assert_close(behind, ahead.flip(2, 3), atol=1e-4, rtol=0)


def test_against_walks():
    """Where 40,000 paths that are walked step by step stop, in blocks of 4 px."""
    path_px, wander, step, n = 8.0, 0.02, 0.25, 40_000
    rng = torch.Generator().manual_seed(0)
    left = torch.empty(n).exponential_(1 / path_px, generator=rng)
    # The start is as wide as the solver's: in angle 0.75 steps between orientations.
    theta = 0.75 * math.pi / N * torch.randn(n, generator=rng)
    place = _WIDTH_PX * torch.randn(2, n, generator=rng)
    for _ in range(int(8 * path_px / step)):
        there = left.clamp(0, step)
        place = place + there * torch.stack([theta.sin(), theta.cos()])
        theta = theta + (2 * wander * there).sqrt() * torch.randn(n, generator=rng)
        left = left - there
    # As many start to the left: the same, mirrored.
    walked = torch.zeros(30, 30)
    for there in (place, -place):
        row, column = ((there + MIDDLE + 0.5) // 4).long().clamp(0, 29)
        walked.index_put_((row, column), torch.full((n,), 1 / n), accumulate=True)
    ahead, behind = density(element((MIDDLE, MIDDLE, 0)), path_px, wander)
    solved = (ahead + behind)[0].sum(0)[:120, :120].unflatten(0, (30, 4)).unflatten(2, (30, 4)).sum((1, 3))
    assert (solved - walked).abs().max() < 0.01
    assert solved.max() > 0.1


# --- symmetry


def test_a_turned_picture_has_a_turned_density():
    oriented = torch.rand(1, N, 48, 48, generator=torch.Generator().manual_seed(0))
    turned = torch.rot90(oriented, -1, (2, 3)).roll(N // 2, 1)
    directions, other = (torch.cat(density(x, stride=2), 1) for x in (oriented, turned))
    torch.testing.assert_close(other, torch.rot90(directions, -1, (2, 3)).roll(N // 2, 1), atol=1e-6, rtol=0)


def test_the_opposite_heading_is_the_mirrored_picture():
    oriented = torch.rand(1, N, 32, 40, generator=torch.Generator().manual_seed(0))
    _, behind = density(oriented)
    mirrored, _ = density(oriented.flip(2, 3))
    torch.testing.assert_close(behind, mirrored.flip(2, 3), atol=1e-5, rtol=0)


def test_an_odd_number_of_orientations_is_refused():
    with pytest.raises(ValueError, match="even number"):
        density(torch.rand(1, 5, 8, 8))


# --- completion


def test_what_lines_up_is_completed_on_the_line():
    middle = (slice(None), slice(None), MIDDLE)
    field = completion(element((MIDDLE, MIDDLE - 8, 0), (MIDDLE, MIDDLE + 8, 0)))[middle]
    best, row = divmod(field.argmax().item(), SIZE)
    assert (best, row) == (0, MIDDLE)
    for other in (
        element((MIDDLE, MIDDLE - 8, 0), (MIDDLE, MIDDLE + 8, N // 2)),  # at right angles
        element((MIDDLE - 8, MIDDLE - 8, 0), (MIDDLE + 8, MIDDLE + 8, 0)),  # parallel, beside each other
        element((MIDDLE, MIDDLE - 8, N // 2), (MIDDLE, MIDDLE + 8, N // 2)),  # two bars
        element((MIDDLE, MIDDLE - 8, 0)),  # one alone
    ):
        assert completion(other)[middle].max() < 0.1 * field.max()


def test_what_lies_on_a_circle_is_completed_on_the_circle():
    """Tangents 33.75 degrees up and down, 14 px from the top of a circle's arc of radius 25.2."""
    radius, angle = 25.2, 3 * math.pi / N
    dx, sag = radius * math.sin(angle), radius * (1 - math.cos(angle))
    y, left, right = MIDDLE + round(sag), MIDDLE - round(dx), MIDDLE + round(dx)
    arc = completion(element((y, left, N - 3), (y, right, 3)), wander=0.01)  # y is down: to the right the arc falls
    row = arc[:, :, MIDDLE].amax(0).argmax().item()
    assert abs(row - MIDDLE) <= 1
    zigzag = completion(element((y, left, 3), (y, right, N - 3)), wander=0.01)
    assert arc[:, MIDDLE, MIDDLE].max() > 3 * zigzag[:, MIDDLE, MIDDLE].max()


def test_it_tells_more_apart_than_the_association_field():
    """The same elements, the same reach: aligned against at right angles, in the middle of a gap of 16 px."""

    def ratio(run):
        aligned = element((20, 12, 0), (20, 28, 0), size=(41, 41))
        crossed = element((20, 12, 0), *((k, 28, N // 2) for k in range(12, 29)), size=(41, 41))
        found = [run(x)[0, :, 20, 20].max() for x in (aligned, crossed)]
        return (found[0] / found[1]).item()

    def association(x):
        ahead, behind = two_sided_support(x, torch.tensor([10.0]), stride=1)
        return (ahead * behind).sqrt()

    assert ratio(lambda x: completion(x)[None]) > 3 * ratio(association)


# --- samples and gradients


def test_constants_are_per_sample_and_have_gradients():
    oriented = torch.rand(2, 8, 16, 20, generator=torch.Generator().manual_seed(0)).requires_grad_()
    path, wander = (torch.tensor(x, requires_grad=True) for x in ([4.0, 16.0], [0.02, 0.001]))
    ahead, behind = two_way_density(oriented, path, wander, stride=2)
    for i in range(2):
        alone = two_way_density(oriented[i : i + 1], path[i : i + 1], wander[i : i + 1], stride=2)
        torch.testing.assert_close(alone[0], ahead[i : i + 1], atol=1e-6, rtol=0)
    (ahead * behind).sum().backward()
    for leaf in (oriented, path, wander):
        assert torch.isfinite(leaf.grad).all()
        assert (leaf.grad != 0).all()


def test_gradients_against_differences():
    oriented = torch.rand(1, 4, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    constants = (torch.tensor([3.0], dtype=torch.float64), torch.tensor([0.05], dtype=torch.float64))

    def total(x, path, wander):
        ahead, behind = two_way_density(x, path, wander, stride=1)
        return (ahead * behind).sum()

    leaves = [x.clone().requires_grad_() for x in (oriented, *constants)]
    assert torch.autograd.gradcheck(total, leaves, eps=1e-5, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("stride", [1, 2])
def test_little_comes_in_across_the_margin(stride):
    """Longest paths, straight out of the picture: an exponential's tail, e^-3 of it at most."""
    size = (24, 48)
    ahead, behind = density(element((12, 1, 0), size=size), LONGEST_PATH_PX, 0.001, stride)
    assert behind[..., 40:].sum() < 0.05
    assert ahead[..., 2:].sum() > 0.5
