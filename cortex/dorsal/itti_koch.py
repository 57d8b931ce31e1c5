"""The classic to compare with: Itti, Koch and Niebur 1998, "A model of saliency-based visual attention".

Written from the paper (IEEE PAMI 20, 1254-1259): dyadic pyramids of intensity, double-opponent colour and four Gabor
orientations; centre-surround differences between levels c of 2, 3, 4 and c + 3, c + 4; the normalisation N(.) that
promotes maps with few strong peaks; three conspicuity maps, their mean is the saliency.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CENTRES = (2, 3, 4)
DELTAS = (3, 4)
OUTPUT_LEVEL = 4
N_ORIENTATIONS = 4
_GABOR_WAVELENGTH_PX, _GABOR_SIGMA_PX, _GABOR_RADIUS_PX = 7.0, 7 / 3, 9  # of the authors' later toolbox
_PEAK_RADIUS = 3  # cells: a local maximum is the largest of 7 x 7


def itti_koch(image: Tensor) -> Tensor:
    """Saliency (B, 1, ceil(H / 16), ceil(W / 16)) >= 0 of sRGB (B, 3, H, W) in [0, 1], sRGB values taken as they are.

    Of images under 512 px the coarsest levels hold a pixel or two, which is harmless. Differentiable.

    Raises:
        ValueError: ``image`` is not (B, 3, H, W).
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"expected an image (B, 3, H, W), got {tuple(image.shape)}")
    intensity = image.mean(1, keepdim=True)
    intensities = _pyramid(intensity)
    # Hue where it can be seen: divided by intensity where that is above a tenth of its maximum (section II.A).
    bright = intensity.amax((2, 3), keepdim=True)
    hue = torch.where(intensity > bright / 10, image / intensity.clamp_min(1e-6), torch.zeros_like(image))
    r, g, b = hue.split(1, 1)
    red, green, blue = (r - (g + b) / 2).relu(), (g - (r + b) / 2).relu(), (b - (r + g) / 2).relu()
    yellow = ((r + g) / 2 - (r - g).abs() / 2 - b).relu()
    size = intensities[OUTPUT_LEVEL].shape[-2:]
    colours = (_pyramid(red - green), _pyramid(blue - yellow))
    # (B, O, h, w) of each level that a difference is taken of; the finest, which no one reads, as they are.
    orientations = [
        x.expand(-1, N_ORIENTATIONS, -1, -1) if i < CENTRES[0] else _oriented(x) for i, x in enumerate(intensities)
    ]
    in_intensity = _across_scales(intensities, size)
    in_colour = sum((_across_scales(pyramid, size) for pyramid in colours), torch.zeros_like(in_intensity))
    each = [_across_scales([x[:, o : o + 1] for x in orientations], size) for o in range(N_ORIENTATIONS)]
    in_orientation = sum((promote(x) for x in each), torch.zeros_like(in_intensity))
    return (promote(in_intensity) + promote(in_colour) + promote(in_orientation)) / 3


def promote(x: Tensor) -> Tensor:
    """N(.) of maps (B, 1, h, w) >= 0: scaled to [0, 1], times (1 - mean of the other local maxima)^2.

    A map with one peak stays, one with many alike is suppressed.
    """
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    x = (x - low) / (high - low).clamp_min(1e-8)
    is_peak = (x == F.max_pool2d(x, 2 * _PEAK_RADIUS + 1, 1, _PEAK_RADIUS)) & (x > 0) & (x < 1)
    mean = (x * is_peak).sum((2, 3), keepdim=True) / is_peak.sum((2, 3), keepdim=True).clamp_min(1)
    return x * (1 - mean) ** 2


def _pyramid(x: Tensor) -> list[Tensor]:
    """Levels 0 to 8 of a Gaussian pyramid (Burt and Adelson 1983: binomial of five, every second pixel)."""
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16
    kernel = kernel[:, None] * kernel
    levels = [x]
    for _ in range(max(CENTRES) + max(DELTAS)):
        padded = F.pad(levels[-1], (2, 2, 2, 2), mode="replicate")
        levels.append(F.conv2d(padded, kernel[None, None], stride=2))
    return levels


def _across_scales(levels: list[Tensor], size: torch.Size) -> Tensor:
    """Sum over centre-surround pairs of N(|centre - surround|), at the output's size."""
    total = torch.zeros_like(levels[OUTPUT_LEVEL])
    for c in CENTRES:
        for delta in DELTAS:
            surround = F.interpolate(levels[c + delta], size=levels[c].shape[-2:], mode="bilinear")
            difference = promote((levels[c] - surround).abs())
            total = total + F.interpolate(difference, size=size, mode="bilinear", antialias=True)
    return total


def _oriented(x: Tensor) -> Tensor:
    """Gabor magnitude (B, O, h, w) of (B, 1, h, w), even and odd."""
    radius = _GABOR_RADIUS_PX
    place = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    y, across = place[:, None], place[None, :]
    envelope = torch.exp(-(y**2 + across**2) / (2 * _GABOR_SIGMA_PX**2))
    envelope = envelope / envelope.sum()
    even, odd = [], []
    for o in range(N_ORIENTATIONS):
        angle = o * math.pi / N_ORIENTATIONS
        phase = (across * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / _GABOR_WAVELENGTH_PX)
        wave = envelope * torch.cos(phase)
        even.append(wave - envelope * wave.sum())  # no response to a constant
        odd.append(envelope * torch.sin(phase))
    bank = torch.stack(even + odd)[:, None]
    response = F.conv2d(F.pad(x, (radius,) * 4, mode="replicate"), bank)
    return torch.sqrt(response[:, :N_ORIENTATIONS].square() + response[:, N_ORIENTATIONS:].square() + 1e-12)
