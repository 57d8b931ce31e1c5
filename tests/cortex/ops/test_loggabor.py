"""Log-Gabor filters and the dominant orientation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ciliary.cortex.ops.loggabor import (
    cut_padding,
    dominant_orientation,
    log_gabor,
    reflect_pad,
    spectrum_of,
    upsample_aligned,
)

N = 6  # orientations
PAD = 16


def grating(wavelength_px, tangent_rad, phase=0.0, size=64):
    """Amplitude 1; x to the right, y down; constant along the tangent."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    across = -x * math.sin(tangent_rad) + y * math.cos(tangent_rad)
    return torch.cos(2 * math.pi * across / wavelength_px + phase)[None, None]


def energy(image, wavelength_px=8.0, bandwidth=1.4, stride=1):
    b = len(image)
    response = log_gabor(
        spectrum_of(image, pad_px=PAD),
        torch.full((b,), wavelength_px),
        torch.full((b,), bandwidth),
        n_orientations=N,
        stride=stride,
    )
    size = tuple(image.shape[-2:])
    return upsample_aligned(cut_padding(response.abs(), pad_px=PAD, stride=stride, size=size), stride, size)


def inner(x, margin=16):
    return x[..., margin:-margin, margin:-margin]


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (32, 32)])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("wavelength_px", "stride"), [(4.0, 1), (12.0, 1), (16.0, 4)])
def test_a_constant_has_no_energy_anywhere(size, value, wavelength_px, stride):
    assert energy(torch.full((1, 1, *size), value), wavelength_px, 2.5, stride).max() < 1e-6


def test_zero_padding_would_have_filled_the_border():
    """The lesson: without reflection a constant image's border is full of energy."""
    constant = torch.ones(1, 1, 64, 64)
    naive = torch.fft.fft2(torch.nn.functional.pad(constant, (PAD,) * 4))
    response = log_gabor(naive, torch.tensor([8.0]), torch.tensor([1.4]), n_orientations=N).abs()
    assert response[..., PAD : PAD + 4, :].max() > 0.1
    assert energy(constant).max() < 1e-6


def test_a_ramp_is_quieter_at_the_border_than_an_edge_inside():
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    edge = (torch.arange(64) >= 32).float().expand(1, 1, 64, 64)
    for wavelength_px in (4.0, 8.0, 12.0):
        at_border = torch.cat([energy(ramp, wavelength_px)[..., :4], energy(ramp, wavelength_px)[..., -4:]], -1)
        assert at_border.max() < 0.1 * energy(edge, wavelength_px).max()


@pytest.mark.parametrize("channel", range(N))
def test_matched_grating_has_half_its_amplitude_in_the_channel_of_its_tangent(channel):
    tangent = channel * math.pi / N
    response = inner(energy(grating(8.0, tangent)))
    # A cosine is two waves of amplitude 1/2, and the filter is one-sided with gain 1 at its centre.
    torch.testing.assert_close(response[0, 0, channel], torch.full((32, 32), 0.5), atol=0.03, rtol=0)
    assert (response[0, 0].mean((1, 2)).argmax()) == channel
    assert response[0, 0, (channel + N // 2) % N].max() < 0.05


@pytest.mark.parametrize("tangent_rad", [0.0, 0.4, math.pi / 2, 2.5])
def test_energy_does_not_depend_on_phase(tangent_rad):
    phases = torch.cat([grating(8.0, tangent_rad, phase) for phase in torch.linspace(0, math.pi, 7)])
    response = inner(energy(phases))
    strongest = response[0, 0].mean((1, 2)).argmax()
    response = response[:, 0, strongest]
    assert response.mean() > 0.4
    assert (response.amax(0) - response.amin(0)).max() < 0.06 * response.mean()  # over phases
    assert response.flatten(1).std(1).max() < 0.03 * response.mean()  # over places: no ripple of the wave itself


def test_real_part_alone_would_depend_on_phase():
    phases = torch.cat([grating(8.0, 0.0, phase) for phase in torch.linspace(0, math.pi, 7)])
    response = log_gabor(
        spectrum_of(phases, pad_px=PAD), torch.full((7,), 8.0), torch.full((7,), 1.4), n_orientations=N
    )
    even = inner(response.real[..., PAD:-PAD, PAD:-PAD])[:, 0, 0].abs()
    assert (even.amax(0) - even.amin(0)).max() > 0.4


@pytest.mark.parametrize("bandwidth", [1.0, 2.0])
def test_bandwidth_is_the_full_width_at_half_height(bandwidth):
    n, centre = 128, 16  # f0 = 1/8 cycles per pixel
    ones = torch.ones(1, 1, n, n, dtype=torch.complex64)
    response = log_gabor(ones, torch.tensor([8.0]), torch.tensor([bandwidth]), n_orientations=N)
    gain = torch.fft.fft2(response)[0, 0, 0, :, 0].real  # tangent 0: waves travel along y
    octaves = torch.log2(torch.arange(1, n // 2) / centre)
    expected = torch.exp(-math.log(2) * (2 * octaves / bandwidth) ** 2)
    torch.testing.assert_close(gain[1 : n // 2], expected, atol=1e-4, rtol=0)
    assert gain[centre].item() == pytest.approx(1, abs=1e-5)
    assert gain[0].abs() < 1e-6
    assert gain[n // 2 + 1 :].abs().max() < 1e-3  # one-sided


def test_wavelength_and_bandwidth_are_per_sample():
    image = torch.rand(1, 1, 40, 56, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    wavelength, bandwidth = torch.tensor([4.0, 7.0, 12.0]), torch.tensor([0.6, 1.4, 2.5])
    spectrum = spectrum_of(image, pad_px=PAD)
    together = log_gabor(spectrum, wavelength, bandwidth, n_orientations=N)
    for i in range(3):
        alone = log_gabor(spectrum[i : i + 1], wavelength[i : i + 1], bandwidth[i : i + 1], n_orientations=N)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("stride", "wavelength_px"), [(2, 10.0), (4, 20.0)])
def test_cropping_the_spectrum_samples_the_same_response(stride, wavelength_px):
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    spectrum = spectrum_of(image, pad_px=PAD)
    arguments = (torch.tensor([wavelength_px]), torch.tensor([0.6]))
    full = log_gabor(spectrum, *arguments, n_orientations=N)
    coarse = log_gabor(spectrum, *arguments, n_orientations=N, stride=stride)
    torch.testing.assert_close(coarse, full[..., ::stride, ::stride], atol=2e-3 * full.abs().max().item(), rtol=0)


@pytest.mark.parametrize("size", [(33, 47), (32, 32), (5, 9)])
def test_padding_is_half_sample_reflection_as_often_as_needed(size):
    x = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    padded = reflect_pad(x, PAD, 8)[0, 0]
    h, w = padded.shape
    assert h % 8 == w % 8 == 0
    widths = ((PAD, h - PAD - size[0]), (PAD, w - PAD - size[1]))
    np.testing.assert_array_equal(padded.numpy(), np.pad(x[0, 0].numpy(), widths, mode="symmetric"))


@pytest.mark.parametrize("size", [(33, 47), (32, 32)])
@pytest.mark.parametrize("stride", [2, 4])
def test_upsampling_keeps_places(size, stride):
    """Sample k sits on pixel k * stride: a plane comes back as itself."""
    y, x = torch.meshgrid(torch.arange(0.0, 80, stride), torch.arange(0.0, 80, stride), indexing="ij")
    full = upsample_aligned((2 * y + 3 * x)[None, None], stride, size)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(float(size[0])), torch.arange(float(size[1])), indexing="ij")
    torch.testing.assert_close(full, 2 * rows + 3 * columns, atol=1e-3, rtol=0)


def test_gradient_in_wavelength_is_the_slope():
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    spectrum = spectrum_of(image, pad_px=PAD)

    def value(wavelength):
        return log_gabor(spectrum, wavelength, torch.tensor([1.4]), n_orientations=N).abs().square().mean() * 1e3

    wavelength = torch.tensor([6.0], requires_grad=True)
    (slope,) = torch.autograd.grad(value(wavelength), wavelength)
    with torch.no_grad():
        expected = (value(wavelength + 0.01) - value(wavelength - 0.01)) / 0.02
    assert slope.item() == pytest.approx(expected.item(), rel=0.02)


@pytest.mark.parametrize("channel", range(6))
def test_one_channel_alone_is_its_tangent(channel):
    energy = torch.zeros(1, 6, 2, 2)
    energy[:, channel] = 3.0
    torch.testing.assert_close(dominant_orientation(energy), torch.full((1, 1, 2, 2), channel * math.pi / 6))


def test_between_two_channels_and_across_the_seam():
    energy = torch.zeros(1, 6, 1, 2)
    energy[0, 1:3, 0, 0] = 1.0  # 30 and 60 degrees
    energy[0, [0, 5], 0, 1] = 1.0  # 0 and 150 degrees: 165, not 75
    expected = torch.tensor([math.radians(45), math.radians(165)]).view(1, 1, 1, 2)
    torch.testing.assert_close(dominant_orientation(energy), expected, atol=1e-5, rtol=0)


def test_range_scale_and_a_blank():
    energy = torch.rand(1, 6, 20, 20, generator=torch.Generator().manual_seed(0))
    angle = dominant_orientation(energy)
    assert 0 <= angle.min() <= angle.max() < math.pi
    torch.testing.assert_close(dominant_orientation(10 * energy), angle, atol=1e-5, rtol=0)
    blank = torch.zeros(1, 6, 2, 2, requires_grad=True)
    dominant_orientation(blank).sum().backward()
    assert torch.isfinite(blank.grad).all()


def test_upsampling_repeats_what_is_missing_on_either_side():
    row = torch.tensor([[[[0.0, 1.0]]]])  # samples at 0 and 2; the one at 4 is missing
    torch.testing.assert_close(upsample_aligned(row, 2, (1, 5)), torch.tensor([[[[0.0, 0.5, 1.0, 1.0, 1.0]]]]))
    column = row.transpose(2, 3)
    torch.testing.assert_close(upsample_aligned(column, 2, (5, 1))[0, 0, :, 0], torch.tensor([0.0, 0.5, 1.0, 1.0, 1.0]))
