"""Steady pupil against the formula's expanded form, light against area, photons against Poisson."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.eye.pupil import (
    PHOTONS_PER_TROLAND_S_DEG2,
    draw_photons,
    expected_photons,
    seen_light,
    steady_pupil_mm,
    trolands,
)

LUMINANCE = torch.logspace(-4, 4, 17, dtype=torch.float64)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("age", [20.0, 30.0, 50.0, 83.0])
def test_the_formula_equals_its_expanded_form(age):
    # Watson & Yellott 2012, appendix 2: one fraction in f = (flux density)^0.41
    area = 60.0**2 * math.pi / 4
    f = (LUMINANCE * area) ** 0.41
    expanded = (18.5172 + 0.122165 * f - 0.105569 * age + 0.000138645 * f * age) / (2 + 0.0630635 * f)
    torch.testing.assert_close(steady_pupil_mm(LUMINANCE, area, age_years=age), expanded, rtol=0, atol=2e-4)


def test_known_values_and_limits():
    # Stanley & Davies at the reference age: 100 cd/m2 over 25 degrees
    assert float(steady_pupil_mm(torch.tensor(100.0), math.pi * 12.5**2)) == pytest.approx(3.578, abs=1e-3)
    dark, bright = (float(steady_pupil_mm(torch.tensor(x, dtype=torch.float64), 1.0)) for x in (0.0, 1e15))
    assert dark == pytest.approx(7.75, abs=1e-3)
    assert bright == pytest.approx(2.0, abs=1e-2)
    one, both = steady_pupil_mm(LUMINANCE * 10, 1e3, n_eyes=1), steady_pupil_mm(LUMINANCE, 1e3, n_eyes=2)
    torch.testing.assert_close(one, both)


@pytest.mark.parametrize("age", [20.0, 80.0])
def test_more_light_a_smaller_pupil(age):
    mm = steady_pupil_mm(LUMINANCE, 1000.0, age_years=age)
    assert bool((mm.diff() < 0).all())
    assert bool(((mm > 2) & (mm < 8.3)).all())


def test_complaints():
    with pytest.raises(ValueError, match="n_eyes 1 or 2, got 3"):
        steady_pupil_mm(LUMINANCE, 1.0, n_eyes=3)
    with pytest.raises(ValueError, match="age_years from 20 to 83, got 5"):
        steady_pupil_mm(LUMINANCE, 1.0, age_years=5)
    with pytest.raises(ValueError, match="one generator or 2, one a row of the batch, got 1"):
        draw_photons(torch.ones(2, 3), [rng()])


def test_a_pupil_twice_as_wide_takes_four_times_the_light():
    light = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(trolands(light, torch.tensor([4.0, 6.0])), 4 * trolands(light, torch.tensor([2.0, 3.0])))
    assert float(trolands(torch.tensor([1.0]), torch.tensor([2.0]))) == pytest.approx(math.pi)
    counts = expected_photons(light, torch.tensor([4.0, 4.0]), area_deg2=1 / 576)
    torch.testing.assert_close(counts, 4 * expected_photons(light, torch.tensor([2.0, 2.0]), area_deg2=1 / 576))
    assert pytest.approx(1.246e6, rel=1e-3) == PHOTONS_PER_TROLAND_S_DEG2


@pytest.mark.parametrize("mean", [0.3, 4.0, 1e4])
def test_counts_are_poisson(mean):
    counts = draw_photons(torch.full((1, 20000), mean, dtype=torch.float64), rng())
    assert float(counts.mean()) == pytest.approx(mean, rel=0.03)
    assert float(counts.var()) == pytest.approx(mean, rel=0.05)
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-6)
    assert float(counts.min()) > -1e-6


def test_the_gradient_knows_mean_and_noise():
    mean = torch.tensor([[400.0, 0.0]], dtype=torch.float64, requires_grad=True)
    counts = draw_photons(mean, rng())
    (gradient,) = torch.autograd.grad(counts.sum(), mean)
    z = (counts[0, 0] - 400) / 20
    assert float(gradient[0, 0]) == pytest.approx(1 + float(z.detach()) / 40)
    assert bool(torch.isfinite(gradient).all())


def test_without_noise_the_light_is_the_light_and_with_it_a_seed_repeats():
    light, pupil = torch.rand(2, 3, 6, 7) * 100, torch.tensor([3.0, 5.0])
    assert seen_light(light, pupil, area_deg2=1e-3, generator=None) is light
    noisy = [seen_light(light, pupil, area_deg2=1e-3, generator=rng(s)) for s in (1, 1, 2)]
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[0], noisy[2])
    both = seen_light(light, pupil, area_deg2=1e-3, generator=[rng(1), rng(2)])
    alone = [seen_light(light[i, None], pupil[i, None], area_deg2=1e-3, generator=[rng(i + 1)]) for i in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone))


def test_a_wider_pupil_sees_with_less_noise():
    light = torch.full((2, 1, 100, 100), 0.1)
    seen = seen_light(light, torch.tensor([2.0, 8.0]), area_deg2=1 / 576, generator=rng())
    ratio = float(seen[0].std() / seen[1].std())
    assert ratio == pytest.approx(4.0, rel=0.1)
    torch.testing.assert_close(seen.mean((1, 2, 3)), torch.full((2,), 0.1), rtol=0.02, atol=0)
