"""The association field: co-circular, two lobes, per-sample reach, no wrapping round, and it bridges what lines up."""

import math

import pytest
import torch

from ciliary.cortex.ops.association import REACHES_PX, lobe_kernel, reach_weights, two_sided_support

N = 6
STEP = math.pi / N


def element(y, x, channel, size=(32, 48), b=1):
    oriented = torch.zeros(b, N, *size)
    oriented[:, channel, y, x] = 1.0
    return oriented


def support(oriented, reach_px=8.0, stride=1):
    return two_sided_support(oriented, torch.full((len(oriented),), reach_px), stride=stride)


def both(oriented, reach_px=8.0, stride=1):
    ahead, behind = support(oriented, reach_px, stride)
    return torch.sqrt(ahead * behind)


# --- the kernel


def test_each_orientation_listens_with_weight_one():
    kernel = lobe_kernel(N, 5.0, 12)
    assert (kernel >= 0).all()
    torch.testing.assert_close(kernel.sum((1, 2, 3)), torch.ones(N))
    assert kernel[:, :, 12, 12].max() == 0  # not to itself


@pytest.mark.parametrize("degrees", [0, 15, 30, -15, -30])
def test_the_partner_listened_to_most_is_co_circular(degrees):
    """theta_p + theta_q = 2 phi: from p along the tangent 0, in direction phi, the best partner has tangent 2 phi."""
    radius = 14
    kernel = lobe_kernel(12, 7.0, radius)
    phi = math.radians(degrees)
    dy, dx = round(8 * math.sin(phi)), round(8 * math.cos(phi))
    best = kernel[0, :, radius + dy, radius + dx].argmax().item()
    tangent = best * math.pi / 12
    wanted = 2 * math.atan2(dy, dx)
    error = (tangent - wanted + math.pi / 2) % math.pi - math.pi / 2
    assert abs(error) <= math.pi / 24 + 1e-6


def test_the_kernel_is_symmetric_between_partners():
    """p hears q from ahead as q hears p from behind, up to the normalisation of each listener and both directions."""
    radius = 10
    kernel = lobe_kernel(N, 5.0, radius)
    straight = kernel[0, 0]
    assert straight[radius, radius + 4] > 10 * straight[radius + 4, radius].clamp_min(1e-12)  # ahead, not beside
    assert straight[radius, :radius].max() < 1e-6  # nothing from behind
    torch.testing.assert_close(straight, straight.flip(0))  # curving either way alike
    quarter = kernel[N // 2, N // 2]  # tangent 90 degrees: the same lobe turned
    torch.testing.assert_close(quarter, straight.T, atol=1e-6, rtol=0)


def test_support_against_a_plain_sum():
    oriented = torch.rand(1, N, 12, 15, generator=torch.Generator().manual_seed(0))
    ahead, behind = support(oriented, REACHES_PX[0])
    radius = math.ceil(2 * REACHES_PX[-1])
    kernel = lobe_kernel(N, REACHES_PX[0], radius)
    for y, x, channel in ((6, 7, 0), (0, 0, 2), (11, 3, 5)):
        total = {1: 0.0, -1: 0.0}
        for sign in (1, -1):
            for v in range(12):
                for u in range(15):
                    dy, dx = sign * (v - y), sign * (u - x)
                    total[sign] += float(kernel[channel, :, radius + dy, radius + dx] @ oriented[0, :, v, u])
        assert ahead[0, channel, y, x].item() == pytest.approx(total[1], abs=1e-5)
        assert behind[0, channel, y, x].item() == pytest.approx(total[-1], abs=1e-5)


# --- support


def test_one_element_helps_one_side_only():
    oriented = element(16, 24, 0)
    ahead, behind = support(oriented)
    assert ahead[0, 0, 16, 18] > 1e-3  # what lies to the left has it ahead
    assert ahead[0, 0, 16, 30] < 1e-6
    torch.testing.assert_close(behind[0, 0].flip(-1)[:, :-1], ahead[0, 0, :, 1:])  # column 24 mirrors to 23
    assert both(oriented).max() < 1e-3 * ahead.max()


def test_aligned_elements_bridge_a_gap_and_others_do_not():
    gap = (0, 0, 16, 24)
    aligned = both(element(16, 18, 0) + element(16, 30, 0))[gap]
    perpendicular = both(element(16, 18, 0) + element(16, 30, N // 2))[gap]
    shifted = both(element(11, 18, 0) + element(21, 30, 0))[gap]  # parallel, 10 px apart
    parallel_bars = both(element(16, 18, N // 2) + element(16, 30, N // 2))[gap]
    assert aligned > 1e-3
    for other in (perpendicular, shifted, parallel_bars):
        assert other < 0.15 * aligned


def test_a_curve_is_bridged_along_the_circle():
    """Two elements 30 degrees to either side, as on an arc, carry each other over the top."""
    # Tangent rises (y down: falls) towards the middle: -30 degrees is channel 5, +30 is channel 1.
    arc = both(element(17, 18, 5) + element(17, 30, 1))[0, 0]
    zigzag = both(element(17, 18, 1) + element(17, 30, 5))[0, 0]
    assert arc[:16, 24].max() > 1.5 * zigzag[:16, 24].max()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("column", [1, 46])
def test_nothing_wraps_round_the_picture(stride, column):
    """Lobes reach twice the longest reach; with a margin of once, the left border supported the right one."""
    ahead, behind = support(element(16, column, 0), reach_px=16.0, stride=stride)
    far = slice(40, 48) if column == 1 else slice(0, 8)
    assert max(ahead[..., far].max(), behind[..., far].max()) < 1e-6
    assert max(ahead.max(), behind.max()) > 1e-3


def test_nothing_wraps_round_from_top_to_bottom():
    ahead, behind = support(element(1, 24, N // 2, size=(40, 48)), reach_px=16.0)
    assert max(ahead[..., 34:, :].max(), behind[..., 34:, :].max()) < 1e-6


# --- reach


def test_reach_weights_by_hand():
    weights = reach_weights(torch.tensor([3.0, 16.0, math.sqrt(REACHES_PX[1] * REACHES_PX[2])]))
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1], [0, 0.5, 0.5, 0]])
    torch.testing.assert_close(weights, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("reach_px", [3.0, 5.0, 11.0, 16.0])
def test_reach_has_a_gradient_also_at_its_bounds(reach_px):
    oriented = torch.rand(1, N, 16, 20, generator=torch.Generator().manual_seed(0))
    reach = torch.tensor([reach_px], requires_grad=True)
    ahead, _ = two_sided_support(oriented.square(), reach, stride=2)
    ahead.square().sum().backward()
    assert torch.isfinite(reach.grad).all()
    assert reach.grad.abs() > 1e-5


def test_a_longer_reach_helps_farther():
    oriented = element(16, 10, 0)
    far = [support(oriented, reach)[1][0, 0, 16, 26].item() for reach in (3.0, 8.0, 16.0)]
    assert far[0] < far[1] < far[2]


def test_reach_is_per_sample():
    oriented = torch.rand(3, N, 16, 20, generator=torch.Generator().manual_seed(0))
    reach = torch.tensor([3.0, 7.0, 16.0])
    together = two_sided_support(oriented, reach, stride=2)
    for i in range(3):
        alone = two_sided_support(oriented[i : i + 1], reach[i : i + 1], stride=2)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, atol=1e-6, rtol=0)
