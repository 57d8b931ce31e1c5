"""The disc of confusion against geometry, and its kernel against its moments."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.eye.disc import convolve_disc, disc_diameter_rad, disc_kernel, fast_length, px_per_rad


def moments(image):
    """Sum and effective diameter: 4 sigma, which is the diameter for an ideal disc."""
    y, x = (torch.arange(n, dtype=image.dtype) - (n - 1) / 2 for n in image.shape)
    total = image.sum()
    variance = ((image.sum(1) * y**2).sum() + (image.sum(0) * x**2).sum()) / 2 / total
    return float(total), 4 * float(variance) ** 0.5


def test_four_millimetres_and_one_dioptre_are_four_milliradians():
    diameter = disc_diameter_rad(torch.tensor(4.0), torch.tensor(2.0), torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(diameter, torch.tensor([0.004, 0.0, 0.004]))
    assert math.degrees(0.004) == pytest.approx(0.2292, abs=1e-4)
    # a thin lens: focal length f, sensor at v; the circle it draws, seen from the lens, is c / v
    aperture_m, f_m, near_m, far_m = 0.004, 0.017, 0.5, 2.0
    sensor_m, image_m = (1 / (1 / f_m - 1 / d) for d in (near_m, far_m))
    circle_rad = aperture_m * abs(sensor_m - image_m) / image_m / sensor_m
    ours = disc_diameter_rad(torch.tensor(4.0), torch.tensor(1 / near_m), torch.tensor(1 / far_m))
    assert float(ours) == pytest.approx(circle_rad, rel=1e-6)


@pytest.mark.parametrize("diameter_px", [0.0, 0.1, 0.5, 1.0, 1.7, 2.0, 3.3, 5.0, 8.0, 13.7, 30.0])
def test_a_point_becomes_a_disc_of_its_diameter_and_light(diameter_px):
    point = torch.zeros(65, 65, dtype=torch.float64)
    point[32, 32] = 3.0
    disc = convolve_disc(point[None], torch.tensor(diameter_px, dtype=torch.float64), radius_px=17)[0]
    total, measured_px = moments(disc)
    assert total == pytest.approx(3.0, abs=1e-9)
    assert measured_px == pytest.approx(diameter_px, abs=0.1)
    assert disc.min() > -1e-12


def test_large_discs_are_flat_and_end_where_they_should():
    point = torch.zeros(65, 65, dtype=torch.float64)
    point[32, 32] = 1.0
    row = convolve_disc(point[None], torch.tensor(20.0, dtype=torch.float64), radius_px=12)[0, 32]
    flat = row[32 - 9 : 32 + 10]
    torch.testing.assert_close(flat, torch.full_like(flat, 1 / (math.pi * 100)), rtol=0.02, atol=0)
    assert float(row[:21].abs().max()) < 1e-12


def test_diameter_zero_is_a_delta_by_the_same_code():
    image = torch.rand(3, 40, 50)
    assert torch.equal(convolve_disc(image, torch.tensor(0.0), radius_px=9), image)
    kernel, share = disc_kernel(torch.tensor(0.0), radius_px=5)
    assert float(share) == 0
    times = torch.tensor([1.0] + 5 * [2.0])
    assert float(times @ kernel @ times) == pytest.approx(1)


def test_constants_stay_and_larger_discs_are_cut():
    constant = torch.full((1, 1, 30, 30), 0.7)
    torch.testing.assert_close(convolve_disc(constant, torch.tensor([8.0]), radius_px=6), constant)
    kernels = [disc_kernel(torch.tensor(d), radius_px=6)[0] for d in (11.0, 40.0)]
    torch.testing.assert_close(*kernels)


def test_gradcheck():
    planes = torch.rand(2, 1, 9, 8, dtype=torch.float64, requires_grad=True)
    diameter = torch.tensor([0.4, 3.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, d: convolve_disc(p, d, radius_px=4), (planes, diameter))


def test_gradient_at_focus_is_zero_not_nan():
    focus = torch.tensor(1.0, requires_grad=True)
    diameter = disc_diameter_rad(torch.tensor(4.0), focus, torch.tensor(1.0)) * 500
    convolve_disc(torch.rand(1, 9, 9), diameter, radius_px=4)[0, 4, 4].backward()
    assert float(focus.grad) == 0


def test_lengths_for_the_transform():
    assert [fast_length(n) for n in (1, 7, 97, 640, 641)] == [1, 8, 100, 640, 648]
    assert float(px_per_rad(24.0)) == pytest.approx(1375.1, abs=0.1)


def test_planes_share_a_disc_and_discs_share_planes():
    planes, diameters = torch.rand(2, 3, 20, 24), torch.tensor([1.5, 6.0])
    together = convolve_disc(planes, diameters, radius_px=5)
    for i in range(2):
        for j in range(3):
            alone = convolve_disc(planes[i, j, None], diameters[i], radius_px=5)[0]
            torch.testing.assert_close(together[i, j], alone, rtol=0, atol=1e-6)
    both = convolve_disc(planes[0, None], diameters, radius_px=5)
    torch.testing.assert_close(both[1], convolve_disc(planes[0], diameters[1], radius_px=5), rtol=0, atol=1e-6)


def test_the_transform_equals_a_sum_over_the_kernel():
    image = torch.rand(1, 12, 13, dtype=torch.float64)
    quadrant, share = disc_kernel(torch.tensor(5.3, dtype=torch.float64), radius_px=4)
    whole = torch.cat([quadrant.flip(0)[:-1], quadrant])
    whole = share * torch.cat([whole.flip(1)[:, :-1], whole], 1)
    whole[4, 4] += 1 - share
    padded = torch.nn.functional.pad(image[None], (4, 4, 4, 4), mode="replicate")
    expected = torch.nn.functional.conv2d(padded, whole[None, None])[0]
    torch.testing.assert_close(convolve_disc(image, torch.tensor(5.3, dtype=torch.float64), radius_px=4), expected)
