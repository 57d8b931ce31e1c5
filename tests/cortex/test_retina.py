"""Retina: its contract, light and cones in closed form, adaptation without a pole, and a difference of Gaussians."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2xyz

from ciliary.cortex import Cortex
from ciliary.cortex.stages.retina import (
    _COMMON_CONTRAST,
    _LEAST_CONTRAST,
    LMS_FROM_RGB,
    GreyRetina,
    Retina,
    adapt_contrast,
    linear_to_srgb,
    naka_rushton,
    retina,
    srgb_to_linear,
)
from ciliary.testing.stage import StageContract, photograph
from ciliary_tests.theta_scenes import scene_theta


class TestRetina(StageContract):
    name = "retina"

    @pytest.fixture
    def stage(self):
        return Retina()


def column(*values):
    return torch.tensor(values)


# --- light


def test_linear_light_against_scikit_image():
    image = photograph()[0]
    matrix = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    expected = rgb2xyz(image.permute(1, 2, 0).double().numpy()) @ np.linalg.inv(matrix).T
    np.testing.assert_allclose(srgb_to_linear(image).permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_values_outside_are_clipped_and_dark_ones_keep_their_gradient():
    x = torch.tensor([-0.5, 0.0, 0.02, 0.5, 1.0, 2.0], requires_grad=True)
    light = srgb_to_linear(x)
    assert light[:2].tolist() == [0, 0]
    assert light[-2:].tolist() == pytest.approx([1, 1])
    light.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad[2].item() == pytest.approx(1 / 12.92, rel=1e-5)


def test_white_excites_all_cones_alike_and_red_the_long_ones_most():
    torch.testing.assert_close(LMS_FROM_RGB.sum(1), torch.ones(3))
    red, _, blue = LMS_FROM_RGB.T
    assert red[0] > red[1] > red[2]
    assert blue[2] > blue[1] > blue[0]


# --- adaptation


@given(st.floats(0, 1), st.floats(0.01, 2), st.floats(0.4, 1.6))
def test_adaptation_has_no_pole(r, sigma, exponent):
    """The lesson: on normalised input the same formula ran from -1e4 to 7e4."""
    answer = naka_rushton(column(r), column(sigma), column(exponent)).item()
    assert 0 <= answer < 1
    expected = max(r, 1e-5) ** exponent / (max(r, 1e-5) ** exponent + sigma**exponent)
    assert answer == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("exponent", [0.4, 0.8, 1.6])
@pytest.mark.parametrize("sigma", [0.02, 0.3, 2.0])
def test_half_at_sigma_and_monotone(sigma, exponent):
    assert naka_rushton(column(sigma), column(sigma), column(exponent)).item() == pytest.approx(0.5)
    r = torch.linspace(1e-4, 1, 200)
    assert (naka_rushton(r, column(sigma), column(exponent)).diff() > 0).all()


def test_gradient_at_no_light_is_finite():
    r = torch.zeros(3, requires_grad=True)
    naka_rushton(r, column(0.2), column(0.4)).sum().backward()
    assert torch.isfinite(r.grad).all()


def test_more_light_on_everything_changes_nothing():
    """Sigma follows the mean light: the scene at half the light looks the same."""
    light = srgb_to_linear(photograph())
    dimmed = torch.where(
        light / 2 <= 0.0031308, 12.92 * light / 2, 1.055 * (light / 2).clamp_min(1e-9) ** (1 / 2.4) - 0.055
    )
    one, other = (retina(x, scene_theta(1)).cones for x in (photograph(), dimmed))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


# --- contrast


def opponent_of(contrast, mean=(0.5, -0.1, 0.2), seed=0):
    """(1, 3, 16, 24) channels of that rms contrast about their means."""
    x = torch.randn(1, 3, 16, 24, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x * torch.tensor([1.0, 0.3, 0.6]).view(1, 3, 1, 1)
    x = x - x.mean((2, 3), keepdim=True)
    return (contrast * x / rms(x) + torch.tensor(mean, dtype=torch.float64).view(1, 3, 1, 1)).float()


def rms(x):
    """Root of the summed variances of the channels, (B, 1, 1, 1)."""
    return x.var((2, 3), correction=0, keepdim=True).sum(1, keepdim=True).sqrt()


def test_no_contrast_adaptation_is_the_identity():
    x = opponent_of(0.05)
    torch.testing.assert_close(adapt_contrast(x, column(0.0)), x, atol=1e-6, rtol=0)


@given(st.floats(0, 1), st.floats(0.003, 1.0), st.integers(0, 99))
def test_contrast_adaptation_in_closed_form(strength, contrast, seed):
    x = opponent_of(contrast, seed=seed)
    answer = adapt_contrast(x, column(strength))
    gain = (_COMMON_CONTRAST / math.hypot(contrast, _LEAST_CONTRAST)) ** strength
    assert rms(answer).item() == pytest.approx(gain * contrast, rel=1e-4)
    torch.testing.assert_close(answer.mean((2, 3)), x.mean((2, 3)), atol=1e-5, rtol=0)
    # One pool: the ratio of any two channels' deviations, their hue, stays.
    deviation, adapted = (y - y.mean((2, 3), keepdim=True) for y in (x, answer))
    torch.testing.assert_close(adapted, gain * deviation, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("contrast", [0.1, 0.3, 1.0])
def test_full_adaptation_gives_every_image_the_common_contrast(contrast):
    assert rms(adapt_contrast(opponent_of(contrast), column(1.0))).item() == pytest.approx(_COMMON_CONTRAST, rel=2e-3)


@pytest.mark.parametrize(("strength", "left"), [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)])
def test_a_veil_on_the_channels_is_lifted_by_the_strength(strength, left):
    """Fog pulls every channel towards one value: in log contrast, 1 - strength of it is left."""
    clear = opponent_of(0.4)
    foggy = 0.25 * clear + 0.75 * torch.tensor([0.8, 0.0, 0.1]).view(1, 3, 1, 1)
    one, other = (rms(adapt_contrast(x, column(strength))).log().item() for x in (clear, foggy))
    assert one - other == pytest.approx(left * math.log(4), abs=3e-3)
    if strength == 1:
        shape = [adapt_contrast(x, column(1.0)) for x in (clear, foggy)]
        shape = [x - x.mean((2, 3), keepdim=True) for x in shape]
        torch.testing.assert_close(shape[0], shape[1], atol=3e-3 * _COMMON_CONTRAST, rtol=2e-3)


def test_noise_nobody_sees_is_not_raised_to_a_picture():
    x = opponent_of(1e-4)
    assert rms(adapt_contrast(x, column(1.0))).item() < 1.01 * 1e-4 * _COMMON_CONTRAST / _LEAST_CONTRAST


def test_on_a_blank_contrast_adaptation_does_nothing_and_its_gradient_is_finite():
    x, strength = torch.full((2, 3, 8, 8), 0.3, requires_grad=True), column(0.0, 1.0).requires_grad_()
    answer = adapt_contrast(x, strength)
    torch.testing.assert_close(answer, x, atol=1e-6, rtol=0)
    answer.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(strength.grad).all()


def test_each_sample_has_its_own_contrast_and_strength():
    x, strength = torch.cat([opponent_of(0.05), opponent_of(0.5, seed=1)]), column(1.0, 0.3)
    together = adapt_contrast(x, strength)
    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], adapt_contrast(x[i : i + 1], strength[i : i + 1]))


def test_a_photograph_in_fog_looks_more_like_the_clear_one():
    foggy = 0.3 * photograph() + 0.7 * 0.8

    def distance(strength):
        clear, veiled = (
            retina(x, scene_theta(1, contrast_adaptation=strength)).opponent for x in (photograph(), foggy)
        )
        clear, veiled = (x - x.mean((2, 3), keepdim=True) for x in (clear, veiled))
        return ((clear - veiled).square().mean().sqrt() / clear.square().mean().sqrt()).item()

    far = [distance(strength) for strength in (0.0, 0.5, 1.0)]
    assert far[0] > far[1] > far[2]
    assert far[2] < 0.6 * far[0]


# --- opponency


@pytest.mark.parametrize("value", [0.1, 0.5, 1.0])
def test_grey_has_no_colour(value):
    out = retina(torch.full((1, 3, 32, 32), value), scene_theta(1))
    assert out.opponent[:, 1:].abs().max() < 1e-5
    assert out.on_off.max() < 1e-5


def test_opponent_signs():
    patch = torch.full((1, 3, 32, 128), 0.4)
    for i, colour in enumerate(([0.9, 0.2, 0.2], [0.2, 0.9, 0.2], [0.2, 0.2, 0.9], [0.9, 0.9, 0.2])):
        patch[0, :, :, 32 * i : 32 * i + 32] = torch.tensor(colour)[:, None, None]
    red_green, blue_yellow = retina(patch, scene_theta(1)).opponent[0, 1:, 16, [16, 48, 80, 112]]
    assert red_green[0] > 0 > red_green[1]
    assert blue_yellow[2] > 0 > blue_yellow[3]


def test_on_and_off_are_a_difference_of_gaussians():
    theta = scene_theta(1, blur_sigma_px=1.0, surround_ratio=3.0, adaptation_exponent=1.0, adaptation_sigma=1.0)
    out = retina(photograph(), theta)
    luminance = out.opponent[0, 0].double().numpy()  # blurred by the centre already
    surround = gaussian_filter(luminance, math.sqrt(8), mode="reflect", truncate=5.5)
    on, off = out.on_off[0].double().numpy()
    np.testing.assert_allclose(on - off, luminance - surround, atol=1e-5)
    assert (np.minimum(on, off) == 0).all()


def test_a_bright_spot_is_on_and_its_surround_off():
    image = torch.full((1, 3, 48, 48), 0.3)
    image[..., 22:26, 22:26] = 0.9
    on, off = retina(image, scene_theta(1, blur_sigma_px=0.6, surround_ratio=3.0)).on_off[0]
    assert on[24, 24] > 0.05
    assert off[24, 24] == 0
    assert off[24, 28] > 0
    assert max(on[2, 2], off[2, 2]) < 1e-3


def test_blur_is_of_light_before_adaptation():
    image = photograph()
    theta = scene_theta(1, blur_sigma_px=2.0)
    light = srgb_to_linear(image)[0].double().numpy()
    blurred = gaussian_filter(light, (0, 2.0, 2.0), mode="reflect", truncate=5.5)
    cones = torch.einsum("ij,jhw->ihw", LMS_FROM_RGB, torch.from_numpy(blurred).float()).clamp_min(0)
    sigma = theta["adaptation_sigma"] * cones.mean()
    expected = naka_rushton(cones, sigma, theta["adaptation_exponent"])
    torch.testing.assert_close(retina(image, theta).cones[0], expected, atol=1e-5, rtol=0)


class TestGreyRetina(StageContract):
    name = "retina"

    @pytest.fixture
    def stage(self):
        return GreyRetina()


def test_a_grey_retina_sees_no_colour_and_the_same_light():
    theta = scene_theta(1)
    out = GreyRetina()(photograph(), theta)
    assert out.opponent[:, 1:].abs().max() < 1e-4
    grey = photograph().mean(1, keepdim=True).expand(-1, 3, -1, -1)  # has no colour to lose
    torch.testing.assert_close(GreyRetina()(grey, theta).opponent, retina(grey, theta).opponent, atol=1e-5, rtol=0)


def test_a_cortex_without_colour():
    cortex = Cortex(retina="ciliary.cortex.stages.retina:GreyRetina").eval()
    red, green = (torch.zeros(1, 3, 48, 48) for _ in range(2))
    red[:, 0, :, 24:] = 1.0  # beside black, and of the same luminance
    green[:, 1, :, 24:] = float(linear_to_srgb(torch.tensor(0.2126 / 0.7152)))
    torch.testing.assert_close(cortex(red).boundary, cortex(green).boundary, atol=1e-4, rtol=0)
