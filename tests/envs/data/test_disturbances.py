"""The eight disturbances: laws all of them obey, then closed forms of each."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex.stages.retina import linear_to_srgb, srgb_to_linear
from ciliary.envs.data.disturbances import DISTURBANCES, Disturbance, disturb, parse_disturbance

EVERY_KIND = pytest.mark.parametrize("name", DISTURBANCES)
SEEDED = ("gaussian_noise", "motion_blur", "low_light", "fog", "colour_cast")


def test_the_eight_kinds_are_there():
    assert set(DISTURBANCES) == {
        "gaussian_noise", "defocus_blur", "motion_blur", "low_light", "low_contrast", "fog", "colour_cast", "jpeg",
    }  # fmt: skip


@EVERY_KIND
def test_severity_zero_is_the_identity(name, chelsea):
    out = disturb(chelsea, name, 0, 3)
    assert torch.equal(out, chelsea)
    assert out.data_ptr() != chelsea.data_ptr()


@EVERY_KIND
def test_shape_type_and_range(name, chelsea):
    batch = chelsea.repeat(3, 1, 1, 1)
    before = batch.clone()
    out = disturb(batch, name, 5, 0)
    assert out.shape == batch.shape
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(batch, before)


@EVERY_KIND
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_severe_is_further_from_clean(name, chelsea, seed):
    distances = [(disturb(chelsea, name, s, seed) - chelsea).square().mean() for s in (0, 0.5, 1, 2, 3, 4, 5)]
    assert all(low < high for low, high in pairwise(distances)), distances


@EVERY_KIND
def test_a_small_severity_is_a_small_change(name, chelsea):
    """A disturbance that jumps as soon as it is switched on has no severity below 1. JPEG has: its chroma halves."""
    full = (disturb(chelsea, name, 5, 0) - chelsea).abs().mean()
    little = (disturb(chelsea, name, 0.05, 0) - chelsea).abs().mean()
    assert little < (0.35 if name == "jpeg" else 0.06) * full


@EVERY_KIND
def test_same_seed_same_image(name, chelsea):
    assert torch.equal(disturb(chelsea, name, 3, 7), disturb(chelsea, name, 3, 7))


@EVERY_KIND
def test_other_seed_other_image_where_there_is_chance(name, chelsea):
    differs = not torch.equal(disturb(chelsea, name, 3, 7), disturb(chelsea, name, 3, 8))
    assert differs == (name in SEEDED)


@EVERY_KIND
def test_global_random_state_is_left_alone(name, chelsea):
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the very state that must not be touched
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    disturb(chelsea, name, 3, 1)
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002


@EVERY_KIND
def test_a_sample_does_not_depend_on_those_after_it(name, chelsea):
    other = chelsea.flip(-1)
    both = disturb(torch.cat((chelsea, other)), name, 3, 5)
    torch.testing.assert_close(both[:1], disturb(chelsea, name, 3, 5), atol=1e-6, rtol=0)


@EVERY_KIND
@pytest.mark.parametrize("size", [(32, 192), (192, 32), (33, 47), (3, 3)])
def test_odd_sizes(name, size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    assert disturb(image, name, 5, 0).shape == image.shape


@pytest.mark.slow
def test_same_seed_same_image_in_another_process(chelsea):
    program = (
        "import torch; from ciliary.envs.data.disturbances import *; "
        "x = torch.linspace(0, 1, 3 * 8 * 8).reshape(1, 3, 8, 8); "
        "print([round(float(disturb(x, n, 3, 11).double().sum()), 4) for n in DISTURBANCES])"
    )
    image = torch.linspace(0, 1, 3 * 8 * 8).reshape(1, 3, 8, 8)
    here = [round(float(disturb(image, n, 3, 11).double().sum()), 4) for n in DISTURBANCES]
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str(here)


# --- each kind by its closed form


def test_noise_has_the_stated_spread():
    grey = torch.full((1, 3, 128, 128), 0.5)
    noise = disturb(grey, "gaussian_noise", 2, 0) - grey
    assert float(noise.std()) == pytest.approx(0.08, rel=0.02)
    assert abs(float(noise.mean())) < 0.002


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur"])
@given(severity=st.floats(0.1, 5), value=st.floats(0, 1, allow_subnormal=False))
def test_blur_keeps_a_constant(name, severity, value):
    image = torch.full((1, 3, 20, 24), value)
    torch.testing.assert_close(disturb(image, name, severity, 1), image, atol=2e-5, rtol=0)


def spot(size_px: int) -> torch.Tensor:
    image = torch.zeros(1, 3, size_px, size_px)
    image[..., size_px // 2, size_px // 2] = 1
    return image


def spread(image: torch.Tensor) -> torch.Tensor:
    """Covariance (2, 2) in px^2 of the light of one spot."""
    light = srgb_to_linear(image)[0, 0].double()
    y, x = torch.meshgrid(*(torch.arange(n).double() for n in light.shape), indexing="ij")
    weight = light / light.sum()
    dy, dx = y - (weight * y).sum(), x - (weight * x).sum()
    yy, yx, xx = ((weight * a * b).sum() for a, b in ((dy, dy), (dy, dx), (dx, dx)))
    return torch.stack((yy, yx, yx, xx)).view(2, 2)


def test_a_spot_out_of_focus_is_a_disc():
    """At 192 px and severity 5 the radius is 4 px: light within 4 px (and one of reading), nothing beyond, sum kept."""
    light = srgb_to_linear(disturb(spot(192), "defocus_blur", 5, 0))[0, 0]
    y, x = torch.meshgrid(torch.arange(192) - 96, torch.arange(192) - 96, indexing="ij")
    distance = (y**2 + x**2).float().sqrt()
    assert float(light.sum()) == pytest.approx(1, abs=1e-3)
    assert light[distance > 4 + math.sqrt(2)].max() == 0
    inside = light[distance < 4 - math.sqrt(2)]
    assert float(inside.mean()) == pytest.approx(1 / (math.pi * 16), rel=0.02)
    assert float(inside.std() / inside.mean()) < 0.05


def test_a_spot_in_motion_is_a_line():
    """Severity 4 at 192 px: 10 px long, variance 100/12 along the line; across it only that of reading, under 0.5."""
    across, along = torch.linalg.eigvalsh(spread(disturb(spot(192), "motion_blur", 4, 3)))
    assert float(along) == pytest.approx(100 / 12, rel=0.06)
    assert float(across) < 0.5


def test_each_sample_moves_in_its_own_direction():
    out = disturb(spot(96).repeat(2, 1, 1, 1), "motion_blur", 5, 0)
    assert not torch.allclose(spread(out[:1]), spread(out[1:]), rtol=0.05)


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur"])
def test_blur_means_the_same_at_any_size(name):
    """Twice the size, twice the blur: four times the variance (a constant part is that of reading bilinearly)."""
    small, large = (spread(disturb(spot(n), name, 5, 2)).trace() for n in (192, 384))
    assert float(large / small) == pytest.approx(4, rel=0.1)


def test_low_light_is_dark_grainy_and_eight_bit():
    grey = torch.full((1, 3, 64, 64), 0.5)
    out = disturb(grey, "low_light", 4, 0)
    electrons = 4000 * float(srgb_to_linear(torch.tensor(0.5))) * 10**-1.2
    light = srgb_to_linear(out).double() * 4000
    assert float(light.mean()) == pytest.approx(electrons, rel=0.03)
    assert float(light.var()) == pytest.approx(electrons + 4, rel=0.15)  # Poisson: variance = mean, and 2 e- squared
    assert torch.equal((out * 255).round() / 255, out)
    assert len(out.unique()) < 64


def test_low_contrast_shrinks_about_the_mean():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    out = disturb(image, "low_contrast", 5, 0)
    assert float(out.std() / image.std()) == pytest.approx(0.08, rel=0.05)
    assert float(out.mean()) == pytest.approx(float(image.mean()), abs=0.003)
    stretched = (out - out.min()) / (out.max() - out.min())
    assert (stretched - image).abs().max() > 0.01  # eight bits: no stretch brings it back


def test_fog_is_thicker_at_the_top_and_never_exceeds_its_airlight():
    out = disturb(torch.zeros(1, 3, 60, 90), "fog", 4, 0)
    light = srgb_to_linear(out)[0, 0].mean(1)
    assert light[:10].mean() > 1.3 * light[-10:].mean()
    assert light.max() < 0.8


def test_fog_is_not_a_global_gain():
    """What a percentile stretch would undo: one affine map for all pixels. The fog's veil leaves a large residue."""
    ramp = torch.linspace(0.1, 0.9, 96).expand(1, 3, 64, 96)
    out = disturb(ramp, "fog", 3, 0)
    a, b = ramp.flatten(), out.flatten()
    slope = ((a - a.mean()) * (b - b.mean())).mean() / (a - a.mean()).square().mean()
    residue = b - b.mean() - slope * (a - a.mean())
    assert float(residue.std()) > 0.05


def test_colour_cast_is_one_gain_to_each_channel_in_linear_light():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    ratio = srgb_to_linear(disturb(image, "colour_cast", 5, 0)) / srgb_to_linear(image)
    gain = ratio.mean((0, 2, 3), keepdim=True)
    torch.testing.assert_close(ratio, gain.expand_as(ratio), rtol=2e-3, atol=0)
    luminance = float((gain.flatten() * torch.tensor([0.2126, 0.7152, 0.0722])).sum())
    assert luminance == pytest.approx(1, abs=2e-3)
    red_over_blue = float(gain[0, 0] / gain[0, 2])
    assert max(red_over_blue, 1 / red_over_blue) > 3


def test_colour_cast_is_sometimes_warm_and_sometimes_cold():
    grey = torch.full((24, 3, 4, 4), 0.4)
    out = disturb(grey, "colour_cast", 3, 0)
    is_warm = out[:, 0, 0, 0] > out[:, 2, 0, 0]
    assert 4 < int(is_warm.sum()) < 20


def test_jpeg_shows_its_blocks(chelsea):
    """At severity 5, steps across block borders are much larger than steps within blocks."""
    step = disturb(chelsea, "jpeg", 5, 0).diff(dim=-1).abs().mean((0, 1, 2))
    at_border = step[7::8].mean()
    within = torch.cat([step[i::8] for i in range(7)]).mean()
    assert at_border > 2 * within


@given(value=st.floats(0, 1, allow_subnormal=False))
def test_srgb_there_and_back(value):
    light = torch.tensor([value])
    torch.testing.assert_close(srgb_to_linear(linear_to_srgb(light)), light, atol=1e-6, rtol=1e-5)


# --- the text form


@pytest.mark.parametrize("text", ["gaussian_noise:3", "jpeg:0", "fog:2.5", "none"])
def test_parse_there_and_back(text):
    assert str(parse_disturbance(text)) == text


def test_parse_gives_kind_and_severity(chelsea):
    fog = parse_disturbance(" fog:2.5 ")
    assert fog == Disturbance("fog", 2.5)
    assert torch.equal(fog.apply(chelsea, seed=4), disturb(chelsea, "fog", 2.5, 4))
    assert torch.equal(parse_disturbance("none").apply(chelsea), chelsea)


@pytest.mark.parametrize("text", ["haze:3", "", ":3", "none:3", "Fog:1"])
def test_an_unknown_kind_is_answered_with_the_list(text):
    with pytest.raises(ValueError, match=r"gaussian_noise, defocus_blur.*jpeg"):
        parse_disturbance(text)


@pytest.mark.parametrize("text", ["fog", "fog:", "fog:six", "fog:6", "fog:-1", "fog:nan", "fog:1:2"])
def test_a_wrong_severity_is_answered_with_the_range(text):
    with pytest.raises(ValueError, match=r"severity from 0 to 5.*fog:3"):
        parse_disturbance(text)


@pytest.mark.parametrize("severity", [-0.1, 5.1, math.nan])
def test_severity_is_checked_without_parsing_too(severity, chelsea):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.5"):
        disturb(chelsea, "fog", severity, 0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 8, 8, 3)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"expected a float image of shape \(B, 3, H, W\), got"):
        disturb(torch.zeros(shape), "fog", 1, 0)


def test_bytes_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        disturb(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "fog", 1, 0)
