"""A glance: the identity, the mean of an area, gradients, batches."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.eye.fovea import Fovea, field_deg, take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice, UniformLattice, pixel_lattice

SMALL = FoveatedLattice(8, 16, foveal_spacing_deg=0.2)


def rand_image(*size, batch=1, seed=0, dtype=torch.float32):
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("size", "px_per_deg"), [((33, 47), 24.0), ((240, 321), 9.6), ((8, 8), 1 / 3)])
def test_one_sample_a_pixel_is_the_image(size, px_per_deg):
    image = rand_image(*size)
    glance = take_glance(image, pixel_lattice(size, px_per_deg), torch.zeros(1, 2), px_per_deg)
    torch.testing.assert_close(glance.samples, image, rtol=0, atol=1e-6)
    assert bool(glance.is_inside.all())


def test_a_glance_has_its_shape_and_price():
    glance = Fovea()(rand_image(60, 80, batch=2), torch.zeros(2, 2), 24.0)
    assert glance.samples.shape == (2, 3, 36, 72)
    assert glance.n_samples == 2592
    assert not bool(glance.is_inside.all())
    assert float(glance.samples[(~glance.is_inside).expand_as(glance.samples)].abs().max()) == 0


def test_each_sample_is_the_mean_of_its_area():
    image = rand_image(32, 64)
    for block in (2, 4, 8):
        camera = UniformLattice(32 // block, 64 // block, block / 10)
        glance = take_glance(image, camera, torch.zeros(1, 2), 10.0)
        torch.testing.assert_close(glance.samples, torch.nn.functional.avg_pool2d(image, block), rtol=0, atol=1e-5)


def test_noise_is_averaged_more_the_farther_out():
    samples = take_glance(rand_image(480, 640), FoveatedLattice(), torch.zeros(1, 2), 24.0).samples
    contrast = samples[0].std((0, 2))
    assert float(contrast[2]) > 2 * float(contrast[15]) > 4 * float(contrast[26])
    constant = take_glance(torch.full((1, 3, 480, 640), 0.3), FoveatedLattice(), torch.zeros(1, 2), 24.0)
    inside = constant.is_inside.expand_as(constant.samples)
    torch.testing.assert_close(constant.samples[inside], torch.full_like(constant.samples[inside], 0.3))


def test_moving_the_gaze_by_pixels_is_moving_the_image():
    image = rand_image(60, 80)
    gaze = torch.tensor([[0.5, -1.0]])  # 8 and 16 px
    moved = take_glance(image, SMALL, gaze, 16.0).samples
    rolled = take_glance(image.roll((-8, 16), (2, 3)), SMALL, torch.zeros(1, 2), 16.0).samples
    near = slice(0, 3)  # rings read from levels whose pixels divide 8
    torch.testing.assert_close(moved[:, :, near], rolled[:, :, near], rtol=0, atol=1e-5)


def test_gradients_in_gaze_and_image():
    image = rand_image(8, 9, dtype=torch.float64).requires_grad_()
    gaze = torch.tensor([[0.013, -0.047]], dtype=torch.float64, requires_grad=True)
    lattice = FoveatedLattice(2, 5, foveal_spacing_deg=0.2)
    assert torch.autograd.gradcheck(lambda g: take_glance(image.detach(), lattice, g, 8.0).samples, gaze, eps=1e-6)
    take_glance(image, lattice, gaze, 8.0).samples.sum().backward()
    assert float(image.grad.sum()) == pytest.approx(3 * 10)  # a sample is a mean: its weights sum to 1


def test_a_batch_is_its_images_one_by_one_and_again():
    image, gaze = rand_image(30, 40, batch=3), torch.tensor([[0.0, 0.0], [0.5, 0.7], [-0.4, 1.0]])
    both = take_glance(image, SMALL, gaze, 12.0)
    alone = [take_glance(image[i, None], SMALL, gaze[i, None], 12.0) for i in range(3)]
    assert torch.equal(both.samples, torch.cat([one.samples for one in alone]))
    assert torch.equal(both.samples, take_glance(image, SMALL, gaze, 12.0).samples)


def test_a_fixed_camera_does_not_follow_the_gaze():
    image, camera = rand_image(30, 40), UniformLattice(6, 8, 0.4)
    looks = [take_glance(image, camera, gaze, 12.0).samples for gaze in (torch.zeros(1, 2), torch.ones(1, 2))]
    assert torch.equal(*looks)


def test_complaints():
    image = rand_image(8, 8)
    with pytest.raises(ValueError, match=r"expected image \(B, 3, H, W\)"):
        take_glance(image[0], SMALL, torch.zeros(1, 2), 1.0)
    with pytest.raises(ValueError, match=r"expected gaze_deg \(1, 2\)"):
        take_glance(image, SMALL, torch.zeros(2), 1.0)
    with pytest.raises(ValueError, match="px_per_deg > 0"):
        take_glance(image, SMALL, torch.zeros(1, 2), 0.0)
    assert field_deg((30, 60), 12.0) == (2.5, 5.0)
    with pytest.raises(ValueError, match="px_per_deg > 0"):
        field_deg((30, 60), -1.0)
