"""M2: its contract; ends of lines, gaps that are bridged, barriers that hold, on scenes whose answer is known."""

import math

import pytest
import torch

from ciliary.cortex import Cues
from ciliary.cortex.stages.m1_perception import M1
from ciliary.cortex.stages.m2_grouping import M2, end_stopping, stabilise
from ciliary.cortex.stages.retina import retina
from ciliary.testing.stage import StageContract
from ciliary_tests.theta_scenes import scene_theta

SIZE = 64
Y, X = torch.meshgrid(torch.arange(float(SIZE)), torch.arange(float(SIZE)), indexing="ij")


class TestM2(StageContract):
    name = "m2"
    ignored = M2.inert

    @pytest.fixture
    def stage(self):
        return M2()


def segment(y0, x0, y1, x1, width=1.2):
    """Brightness of a thin straight line with round ends."""
    dy, dx = y1 - y0, x1 - x0
    t = (((Y - y0) * dy + (X - x0) * dx) / (dy * dy + dx * dx)).clamp(0, 1)
    return torch.exp(-0.5 * ((Y - y0 - t * dy) ** 2 + (X - x0 - t * dx) ** 2) / width**2)


def picture(*parts):
    return (0.2 + 0.7 * torch.stack(parts).amax(0)).expand(1, 3, -1, -1).contiguous()


def group(image, **settings):
    theta = scene_theta(len(image), **settings)
    m1 = M1()(retina(image, theta), Cues(torch.zeros_like(image[:, :1]), None), theta)
    return m1, M2()(m1, theta)


def around(field, y, x, radius=4):
    return field[0, 0, y - radius : y + radius + 1, x - radius : x + radius + 1].max().item()


# --- end-stopping


def drawn(strength_of_v, is_there, degrees):
    """A line through the middle at an angle, its true tangent, and where it is."""
    a = math.radians(degrees)
    u = (X - 32) * math.cos(a) + (Y - 32) * math.sin(a)
    v = (Y - 32) * math.cos(a) - (X - 32) * math.sin(a)
    line = torch.exp(-0.5 * (v / strength_of_v) ** 2) * is_there(u)
    return line[None, None], torch.full((1, 1, SIZE, SIZE), a % math.pi), u, v


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120, 165])
def test_an_end_fires_and_the_middle_does_not(degrees):
    """The lesson: eight quantised directions from the gradient of the edge map looked across diagonal contours."""
    line, tangent, u, v = drawn(1.5, lambda u: (u < 0).float(), degrees)
    ends = end_stopping(line, tangent, torch.tensor([5.0]))[0, 0]
    near, on_line = v.abs() < 1, u < -8
    assert ends[near & (u > -4) & (u < 0)].max() > 0.5
    inside = (X - 32).abs().maximum((Y - 32).abs()) < 24
    assert ends[near & on_line & inside].max() < 0.06
    assert ends[(u > 5)].max() < 1e-3


@pytest.mark.parametrize("degrees", [0, 30, 45, 90])
def test_a_line_that_leaves_the_picture_has_not_ended(degrees):
    line, tangent, _, v = drawn(1.5, torch.ones_like, degrees)
    ends = end_stopping(line, tangent, torch.tensor([5.0]))[0, 0]
    if degrees % 90 == 0:
        assert ends.max() < 0.02
    else:  # mirrored, an oblique line turns at the border: quieter than an end
        assert ends[v.abs() < 1].mean() < 0.15


def test_a_blank_and_a_plane_have_no_ends():
    flat = torch.full((1, 1, 32, 32), 0.7)
    tangent = torch.rand(1, 1, 32, 32) * math.pi
    assert end_stopping(flat, tangent, torch.tensor([4.0])).max() < 1e-6
    assert end_stopping(0 * flat, tangent, torch.tensor([4.0])).max() == 0


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135])
def test_ends_of_a_line_in_a_picture(degrees):
    a = math.radians(degrees)
    dy, dx = 16 * math.sin(a), 16 * math.cos(a)
    _, m2 = group(picture(segment(32 - dy, 32 - dx, 32 + dy, 32 + dx)), association_reach_px=8.0)
    middle = around(m2.end_points, 32, 32, radius=2)
    for sign in (-1, 1):
        end = around(m2.end_points, round(32 + sign * dy), round(32 + sign * dx))
        assert end > 0.05
        assert end > 5 * middle


# --- completion


def bridged(*parts, **settings):
    """Completion in the middle of the gap: what M2's contour has there beyond M1's boundary."""
    m1, m2 = group(picture(*parts), **{"association_reach_px": 16.0, "completion_gain": 4.0, **settings})
    gain = m2.contour - m1.boundary
    return gain[0, 0, 31:34, 31:34].mean().item()


@pytest.mark.parametrize("turned", [False, True])
def test_a_gap_in_a_line_is_bridged_and_nothing_else(turned):
    def line(y0, x0, y1, x1):
        return segment(x0, y0, x1, y1) if turned else segment(y0, x0, y1, x1)

    left, right = line(32, 4, 32, 22), line(32, 42, 32, 60)
    aligned = bridged(left, right)
    assert aligned > 0.1
    perpendicular = bridged(left, line(20, 42, 44, 42))
    shifted = bridged(line(23, 4, 23, 22), line(41, 42, 41, 60))
    assert bridged(left) < 0.1 * aligned  # support from one side is none
    # Coarse energy reaches beyond a line and its ends: what is merely near helps too, but less.
    assert max(perpendicular, shifted) < 0.75 * aligned
    assert bridged(left, right, completion_gain=0.05) < 0.1 * aligned
    assert bridged(left, right, association_reach_px=3.0) < 0.3 * aligned


def test_contour_is_at_least_the_boundary():
    m1, m2 = group(picture(segment(10, 10, 50, 40), segment(12, 50, 40, 8)))
    assert (m2.contour >= m1.boundary - 1e-6).all()


def test_a_blank_has_no_contour():
    _, m2 = group(torch.full((1, 3, 48, 64), 0.5), completion_gain=4.0, endstop_gain=4.0, barrier_gain=50.0)
    assert m2.contour.max() < 1e-3
    assert m2.end_points.max() < 1e-3
    assert m2.barrier.max() < 0.05


# --- the barrier and S2


def test_barrier_by_hand():
    _, m2 = group(picture(segment(10, 10, 50, 40)), barrier_gain=3.0)
    torch.testing.assert_close(m2.barrier, 1 - torch.exp(-3 * m2.contour), atol=1e-6, rtol=0)


def noisy_halves(seed=0):
    rng = torch.Generator().manual_seed(seed)
    side = (torch.arange(32) < 16).float() * 0.6 + 0.2
    p = (side + 0.15 * torch.randn(1, 1, 32, 32, generator=rng)).clamp(0.02, 0.98)
    return torch.cat([p, 1 - p], 1)


def test_s2_is_smoother_than_s1_where_nothing_stops_it():
    s1 = noisy_halves()
    s2 = stabilise(s1, torch.zeros(1, 1, 64, 64), torch.tensor([3.5]))
    assert s2[:, 0, :, :12].var() < 0.5 * s1[:, 0, :, :12].var()
    torch.testing.assert_close(s2.sum(1), torch.ones(1, 32, 32))


def test_a_full_barrier_leaves_s1_as_it_is():
    """The lesson: divided by the sum of weights, a strong barrier everywhere cancelled itself."""
    s1 = noisy_halves()
    torch.testing.assert_close(stabilise(s1, torch.ones(1, 1, 64, 64), torch.tensor([3.5])), s1, atol=1e-4, rtol=0)
    change = [
        (stabilise(s1, torch.full((1, 1, 64, 64), b), torch.tensor([3.5])) - s1).abs().mean() for b in (0.0, 0.5, 0.9)
    ]
    assert change[0] > change[1] > change[2] > 0


@pytest.mark.parametrize("column", [31, 32, 33])
def test_a_thin_barrier_does_not_leak(column):
    """One pixel wide at full resolution, while diffusion runs at half of it."""
    s1 = torch.zeros(1, 2, 32, 32)
    s1[:, 0, :, :16], s1[:, 1, :, 16:] = 0.95, 0.95
    s1 = s1 + 0.05 * (s1 == 0)
    wall = torch.zeros(1, 1, 64, 64)
    wall[..., column] = 1.0
    held = stabilise(s1, wall, torch.tensor([3.5]))
    free = stabilise(s1, 0 * wall, torch.tensor([3.5]))
    far = slice(18, None)
    torch.testing.assert_close(held[..., far], s1[..., far], atol=1e-4, rtol=0)
    assert (free[..., 16] - s1[..., 16]).abs().max() > 0.02


def test_the_smoothing_keeps_to_edges_in_a_picture():
    image = (0.2 + 0.6 * (X > 31).float()).expand(1, 3, -1, -1).contiguous()
    m1, m2 = group(image, n_regions=2.0, barrier_gain=50.0, stabilisation_time_px2=3.5, region_temperature=0.05)
    torch.testing.assert_close(m2.regions[..., :24], m1.regions[..., :24], atol=0.02, rtol=0)
    assert m2.regions[0, :, :, :24].mean((1, 2)).argmax() != m2.regions[0, :, :, 40:].mean((1, 2)).argmax()
