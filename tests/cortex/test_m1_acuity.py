"""M1 before a mosaic: an edge of acuity is no contour, an edge of the scene is one, and a photograph is as it was."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import UniformLattice
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic
from ciliary.cortex.integration.glances import perceive_mosaic
from ciliary.cortex.stages.m1_acuity import acuity_discount, carried_share, envelope_sigma_px
from ciliary.cortex.stages.retina import linear_to_srgb

SIZE, PX_PER_DEG = (96, 128), 10.0
FINE_DEG, COARSE_DEG = 0.1, 2.4
WAVE, OCTAVES = torch.tensor([4.4]), torch.tensor([1.6])


@pytest.fixture(scope="module")
def cortex():
    return Cortex().eval().requires_grad_(False)


def smooth() -> torch.Tensor:
    """(1, 3, H, W) light without a contour."""
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in SIZE), indexing="ij")
    return (0.3 + 0.12 * torch.sin(x / 9) + 0.06 * torch.cos(y / 8)).expand(1, 3, -1, -1).contiguous()


def seen(light: torch.Tensor, *, n_fine: tuple[int, int] | None = (48, 40), coarse_deg: float = COARSE_DEG) -> Mosaic:
    """The whole field coarsely, and a window in its middle pixel by pixel."""
    n = [math.ceil(side / PX_PER_DEG / coarse_deg) + 1 for side in SIZE]
    mosaic = blank_mosaic(1, SIZE, PX_PER_DEG, ground=0.2)
    mosaic = add_glance(mosaic, take_glance(light, UniformLattice(*n, coarse_deg), torch.zeros(1, 2), PX_PER_DEG))
    if n_fine is None:
        return mosaic
    window = UniformLattice(*n_fine, FINE_DEG, moves=True)
    return add_glance(mosaic, take_glance(light, window, torch.zeros(1, 2), PX_PER_DEG))


def border(mosaic: Mosaic) -> torch.Tensor:
    """(H, W) bool: pixels beside a change of acuity."""
    spacing = mosaic.spacing_deg[0, 0]
    found = torch.zeros_like(spacing, dtype=torch.bool)
    for dim in (0, 1):
        n = spacing.shape[dim] - 1
        changes = spacing.narrow(dim, 0, n) != spacing.narrow(dim, 1, n)
        for start in (0, 1):
            found.narrow(dim, start, n).logical_or_(changes)
    return found


def boundary(cortex, mosaic: Mosaic, *, discounts: bool) -> torch.Tensor:
    return perceive_mosaic(cortex, mosaic, discounts_acuity=discounts).m1.boundary[0, 0]


def test_the_border_of_acuity_is_a_contour_without_the_discount_and_none_with_it(cortex):
    mosaic = seen(smooth())
    at = border(mosaic)
    assert 100 < at.sum() < 600
    without, with_it = (boundary(cortex, mosaic, discounts=d)[at] for d in (False, True))
    sharp = cortex(linear_to_srgb(smooth())).m1.boundary[0, 0][at]
    assert without.mean() > 10 * sharp.mean()  # a false contour
    assert with_it.mean() < 0.05 * without.mean()
    assert with_it.max() < 0.05 * without.max()


def test_the_border_of_what_was_seen_is_no_contour(cortex):
    window = UniformLattice(48, 40, FINE_DEG, moves=True)
    blank = blank_mosaic(1, SIZE, PX_PER_DEG, ground=0.05)
    mosaic = add_glance(blank, take_glance(smooth(), window, torch.zeros(1, 2), PX_PER_DEG))
    at = border(mosaic)
    without, with_it = (boundary(cortex, mosaic, discounts=d)[at] for d in (False, True))
    assert without.mean() > 0.1
    assert with_it.mean() < 0.05 * without.mean()


@pytest.mark.parametrize("spacing_px", [0.5, 1.0, 6.0, 40.0, math.inf])
def test_uniform_acuity_changes_nothing(cortex, spacing_px, small_image):
    cues = cortex.cues(small_image)
    told = replace(cues, spacing_px=torch.full((1, 1, *small_image.shape[-2:]), spacing_px))
    plain, other = (cortex(small_image, None, one).m1 for one in (cues, told))
    torch.testing.assert_close(other.boundary, plain.boundary, rtol=0, atol=1e-5)
    for name in ("energy", "affinity", "features"):
        assert torch.equal(getattr(other, name), getattr(plain, name))


def test_an_edge_of_the_scene_is_kept_within_a_region_of_one_acuity(cortex):
    light = smooth()
    light[..., SIZE[1] // 2 :] *= 2.5
    mosaic = seen(light)
    plain, other = (boundary(cortex, mosaic, discounts=d) for d in (False, True))
    edge = (slice(42, 54), slice(SIZE[1] // 2 - 1, SIZE[1] // 2 + 1))  # in the window, far from its border
    assert plain[edge].mean() > 0.05
    torch.testing.assert_close(other[edge], plain[edge], rtol=0.05, atol=0.01)
    coarse = seen(light, n_fine=None)
    torch.testing.assert_close(*(boundary(cortex, coarse, discounts=d) for d in (True, False)), rtol=0, atol=1e-5)


def test_carried_share_falls_by_half_at_two_samples_a_wave():
    spacing = torch.tensor([0.0, 2.2, 4.4, math.inf]).view(1, 1, 1, 4)
    share = carried_share(spacing, WAVE)[0, 0, 0]
    torch.testing.assert_close(share[:3], torch.tensor([1.0, 0.5, 1 / 17]))
    assert 0 < share[3] <= 1e-4


def test_the_envelope_is_daugmans():
    """1.6 octaves: sigma = .37 wavelengths; of the Gabor's spectrum the half-height points lie so far apart."""
    sigma = envelope_sigma_px(WAVE, OCTAVES)
    assert sigma.item() == pytest.approx(0.371 * 4.4, abs=0.01)
    spread = math.sqrt(2 * math.log(2)) / (2 * math.pi * sigma.item())  # half width at half height, cycles per pixel
    low, high = 1 / 4.4 - spread, 1 / 4.4 + spread
    assert math.log2(high / low) == pytest.approx(1.6, abs=1e-3)


def test_discount_is_the_ratio_of_means_worked_by_hand():
    """A straight border, s = 1 px left and 8 px right: at the border half of the envelope lies on either side."""
    spacing = torch.ones(1, 1, 9, 64)
    spacing[..., 32:] = 8
    found = acuity_discount(spacing, WAVE, OCTAVES)[0, 0, 4]
    fine, coarse = carried_share(torch.tensor([1.0, 8.0]).view(1, 1, 1, 2), WAVE).flatten().tolist()
    share = [0.5 * (1 - math.erf(0.5 / (envelope_sigma_px(WAVE, OCTAVES).item() * math.sqrt(2))))]
    share.append(1 - share[0])
    expected = 1 / ((share[1] / fine + share[0] / coarse) * (share[1] * fine + share[0] * coarse))
    assert found[31].item() == pytest.approx(expected, rel=0.1)
    assert found[31] < 0.05
    torch.testing.assert_close(found[[0, 63]], torch.ones(2), rtol=0, atol=1e-4)


def test_scenes_of_a_batch_do_not_know_each_other_and_gradients_are_finite():
    spacing = torch.ones(2, 1, 24, 32)
    spacing[1, ..., 16:] = math.inf
    spacing.requires_grad_()
    wave = torch.tensor([4.4, 8.0], requires_grad=True)
    both = acuity_discount(spacing, wave, torch.tensor([1.6, 1.0]))
    alone = acuity_discount(spacing[1:], wave[1:], torch.tensor([1.0]))
    torch.testing.assert_close(both[1:], alone)
    torch.testing.assert_close(both[:1], torch.ones_like(both[:1]), rtol=0, atol=1e-5)
    both.sum().backward()
    assert torch.isfinite(spacing.grad).all()
    assert torch.isfinite(wave.grad).all()
    assert wave.grad[1] != 0
