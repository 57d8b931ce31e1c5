"""What an episode remembers: the finest sample of any glance, wherever it was."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice, UniformLattice, pixel_lattice
from ciliary.cortex.eye.mosaic import add_glance, blank_mosaic, render_glance

SIZE, PX_PER_DEG = (48, 64), 12.0
LATTICE = FoveatedLattice(12, 24, foveal_spacing_deg=0.15)


def smooth_image(batch=1, size=SIZE, dtype=torch.float32):
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    one = torch.stack([0.5 + 0.3 * torch.sin(x / 7), 0.5 + 0.3 * torch.cos(y / 9), (x + y) / 200])
    return torch.stack([one.roll(5 * i, -1) for i in range(batch)]).to(dtype)


def glance_at(*gaze, image=None, lattice=LATTICE):
    image = smooth_image() if image is None else image
    return take_glance(image, lattice, torch.tensor([gaze], dtype=image.dtype).expand(len(image), 2), PX_PER_DEG)


def blank(batch=1, size=SIZE):
    return blank_mosaic(batch, size, PX_PER_DEG)


def test_one_sample_a_pixel_fills_it_with_the_image():
    image = torch.rand(1, 3, *SIZE)
    mosaic = add_glance(blank(), glance_at(0.0, 0.0, image=image, lattice=pixel_lattice(SIZE, PX_PER_DEG)))
    torch.testing.assert_close(mosaic.image, image, rtol=0, atol=1e-6)
    torch.testing.assert_close(mosaic.acuity, torch.full((1, 1, *SIZE), 12.0))


def test_a_glance_comes_back_near_the_image_where_it_was_fine():
    mosaic = add_glance(blank(), glance_at(0.0, 0.0))
    off = (mosaic.image - smooth_image()).abs()
    assert float(off[..., 18:30, 26:38].max()) < 0.02
    assert float(off[mosaic.is_seen.expand_as(off)].max()) < 0.2


def test_acuity_is_that_of_the_eccentricity_and_zero_where_nothing_was_seen():
    size = (96, 224)
    mosaic = add_glance(blank(size=size), glance_at(0.0, 0.0, image=smooth_image(size=size)))
    place = [(torch.arange(n) - (n - 1) / 2) / PX_PER_DEG for n in size]
    eccentricity = (place[0][:, None] ** 2 + place[1] ** 2).sqrt()
    expected = 1 / (0.15 * (1 + eccentricity / 0.75))
    reached = eccentricity < LATTICE.reach_deg - 0.1
    torch.testing.assert_close(mosaic.acuity[0, 0][reached], expected[reached])
    assert float(mosaic.acuity[0, 0][eccentricity > LATTICE.reach_deg + 0.01].max()) == 0
    assert float(mosaic.image[0, 0][eccentricity > LATTICE.reach_deg + 0.01].max()) == 0


def test_the_map_of_a_fixation_moves_with_the_gaze():
    size = (96, 96)
    image = smooth_image(size=size)
    still = add_glance(blank(size=size), glance_at(0.0, 0.0, image=image)).acuity
    moved = add_glance(blank(size=size), glance_at(0.5, -1.0, image=image)).acuity  # 6 px down, 12 px to the left
    torch.testing.assert_close(moved[..., 30:66, 30:66], still.roll((6, -12), (2, 3))[..., 30:66, 30:66])


def test_the_finest_sample_stays():
    left, right = glance_at(0.0, -1.5), glance_at(0.0, 1.5)
    both, other_way = (
        add_glance(add_glance(blank(), first), second) for first, second in ((left, right), (right, left))
    )
    alone = [add_glance(blank(), one) for one in (left, right)]
    torch.testing.assert_close(both.spacing_deg, torch.minimum(alone[0].spacing_deg, alone[1].spacing_deg))
    torch.testing.assert_close(both.image[..., :30], alone[0].image[..., :30])
    torch.testing.assert_close(both.image[..., 34:], alone[1].image[..., 34:])
    torch.testing.assert_close(both.image, other_way.image)


def test_two_identical_glances_are_one_mosaic_and_cost_two():
    once = add_glance(blank(), glance_at(0.3, 0.2))
    twice = add_glance(once, glance_at(0.3, 0.2))
    assert torch.equal(once.image, twice.image)
    assert torch.equal(once.spacing_deg, twice.spacing_deg)
    assert (int(once.n_samples[0]), int(twice.n_samples[0]), int(twice.n_glances[0])) == (288, 576, 2)


def test_samples_off_the_scene_take_no_part():
    image = torch.full((1, 3, *SIZE), 0.6)
    for lattice in (LATTICE, UniformLattice(9, 9, 0.4, moves=True)):
        mosaic = add_glance(blank(), glance_at(1.9, 2.6, image=image, lattice=lattice))
        seen = mosaic.is_seen.expand_as(mosaic.image)
        torch.testing.assert_close(mosaic.image[seen], torch.full_like(mosaic.image[seen], 0.6))
        assert 0 < float(mosaic.is_seen.float().mean()) <= 1


def test_a_batch_is_its_scenes_one_by_one():
    image, gaze = smooth_image(2), torch.tensor([[0.0, 0.5], [1.0, -1.0]])
    both = add_glance(blank(2), take_glance(image, LATTICE, gaze, PX_PER_DEG))
    for i in range(2):
        alone = add_glance(blank(), take_glance(image[i, None], LATTICE, gaze[i, None], PX_PER_DEG))
        assert torch.equal(both.image[i], alone.image[0])
        assert torch.equal(both.spacing_deg[i], alone.spacing_deg[0])


def test_gradients_reach_the_gaze():
    image = smooth_image(size=(24, 30), dtype=torch.float64)
    lattice = FoveatedLattice(3, 5, foveal_spacing_deg=0.3)

    def render(gaze):
        return render_glance(take_glance(image, lattice, gaze, PX_PER_DEG), (5, 6), 5.0)[0]

    gaze = torch.tensor([[0.113, -0.071]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(render, gaze, eps=1e-7, atol=1e-4)
    at_a_pixel = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)  # an odd size has one at the gaze itself
    render_glance(take_glance(image, lattice, at_a_pixel, PX_PER_DEG), (9, 13), 10.0)[0].sum().backward()
    assert bool(torch.isfinite(at_a_pixel.grad).all())


def test_complaints():
    with pytest.raises(ValueError, match="a glance at 2 scenes, got one at 1"):
        add_glance(blank(2), glance_at(0.0, 0.0))
    with pytest.raises(ValueError, match="batch, sides and px_per_deg"):
        blank_mosaic(1, (0, 4), 1.0)
