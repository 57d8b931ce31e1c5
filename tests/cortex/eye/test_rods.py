"""Rods: the published numbers, no colour and no detail in the dark, and daylight left alone."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.eye.rods import (
    MESOPIC_CD_M2,
    acuity_cpd,
    cone_share,
    dim_light,
    scotopic_light,
    without_colour,
)
from ciliary.cortex.ops.guided import luminance


def grating(cpd: float, px_per_deg: float = 40.0, n: int = 200) -> torch.Tensor:
    x = torch.arange(n) / px_per_deg
    row = 0.5 + 0.5 * torch.cos(2 * math.pi * cpd * x)
    return row.expand(1, 3, 32, n).clone()


def contrast(light: torch.Tensor) -> float:
    inner = light[0, 0, 16, 60:140]
    return float((inner.max() - inner.min()) / (inner.max() + inner.min()))


def test_cones_share_as_cie_191_says():
    luminance_cd_m2 = torch.tensor([1e-4, 0.005, 0.05, 0.5, 1.0, 5.0, 100.0])
    by_cie = (0.767 + 0.3334 * torch.log10(luminance_cd_m2)).clamp(0, 1)
    torch.testing.assert_close(cone_share(luminance_cd_m2), by_cie, atol=1e-3, rtol=0)


def test_acuity_is_the_published_fit():
    # Larson et al. 1997, their eq. 13 and figure: about 50 cycles a degree in bright light, 2 at starlight.
    at = acuity_cpd(torch.tensor([1e-4, 1.0, 1000.0]))
    assert float(at[1]) == pytest.approx(17.25 * math.atan(0.35) + 25.72, rel=1e-5)
    assert 1.5 < float(at[0]) < 3
    assert 45 < float(at[2]) < 55
    assert (acuity_cpd(torch.logspace(-4, 3, 50)).diff() > 0).all()


def test_rods_see_white_as_white_red_dark_and_blue_bright():
    colours = torch.eye(3)[:, :, None, None]
    seen = scotopic_light(torch.cat([colours, torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)])).flatten()
    plain = luminance(colours).flatten()
    assert float(seen[3]) == pytest.approx(1, abs=1e-3)
    assert float(seen[4]) == 0
    assert float(seen[0]) < 0.5 * float(plain[0])  # Purkinje
    assert float(seen[2]) > 2 * float(plain[2])


def test_daylight_is_left_alone(small_image):
    for bright in (MESOPIC_CD_M2[1], 80.0, 1e4):
        adapted = torch.tensor([bright])
        assert torch.equal(dim_light(small_image, adapted, px_per_deg=9.6), small_image)
        assert torch.equal(without_colour(small_image, adapted), small_image)


def test_no_colour_in_the_dark_and_some_in_twilight(small_image):
    def chroma(adapted: float) -> float:
        seen = dim_light(small_image, torch.tensor([adapted]), px_per_deg=9.6)
        return float((seen.amax(1) - seen.amin(1)).max())

    assert chroma(1e-3) == 0
    assert chroma(0.005) < 1e-6
    assert 0 < chroma(0.02) < chroma(0.5) < chroma(5.0)


@pytest.mark.parametrize("adapted", [1e-3, 1e-4])
def test_detail_beyond_the_limit_is_gone(adapted):
    limit = float(acuity_cpd(torch.tensor(adapted)))
    for times, most, least in ((1.0, 0.02, 0.0), (2.0, 1e-3, 0.0), (0.25, 1.0, 0.6)):
        left = contrast(dim_light(grating(times * limit), torch.tensor([adapted]), px_per_deg=40.0))
        assert least <= left <= most


def test_each_of_a_batch_by_its_own_light_and_a_gradient(small_image):
    both = small_image.repeat(2, 1, 1, 1).requires_grad_()
    adapted = torch.tensor([1e-3, 100.0], requires_grad=True)
    seen = dim_light(both, adapted, px_per_deg=9.6)
    assert torch.equal(seen[1], both[1])
    torch.testing.assert_close(seen[0], dim_light(both[:1], adapted[:1], px_per_deg=9.6)[0])
    seen.square().sum().backward()
    assert torch.isfinite(both.grad).all()
    assert torch.isfinite(adapted.grad).all()
    assert both.grad[0].abs().sum() > 0


@pytest.mark.parametrize(
    ("shape", "n", "scale", "words"),
    [
        ((1, 1, 8, 8), 1, 9.0, "expected light"),
        ((2, 3, 8, 8), 1, 9.0, "expected light"),
        ((1, 3, 8, 8), 1, 0.0, "px_per_deg"),
    ],
)
def test_what_is_wrong_is_said(shape, n, scale, words):
    with pytest.raises(ValueError, match=words):
        dim_light(torch.zeros(shape), torch.ones(n), px_per_deg=scale)
