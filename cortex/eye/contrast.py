"""Contrast at the gaze, scale by scale and colour by colour, freed of the variance that photons bring.

What a lens is focused by: defocus takes fine contrast first, and red and blue contrast unequally.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.eye.disc import disc_kernel

#: Bands of a window, an octave apart, the finest first: about 1/3, 1/6 and 1/12 cycles a pixel.
N_BANDS = 3
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # Burt & Adelson 1983
#: What a filter loses at either side.
MARGIN_PX = 2
_LEAST_SHARE = 1e-3  # of the weights, that a band must have inside
#: Least side of a window: its coarsest band then has one value left.
LEAST_WINDOW_PX = 32
#: Standard errors of the photons' noise that contrast must reach to count.
SURE = 3.0


@dataclass(frozen=True, eq=False)
class Contrast:
    """Contrast of B windows.

    Attributes:
        energy: (B, 3, N_BANDS) variance of each band over squared mean light, less that of the photons, >= 0.
        noise: (B, 3, N_BANDS) the photons' variance over squared mean light; 0 without noise.
        coarse: (B, 3) the same variance of all scales that are coarser than the bands.
        mean: (B, 3) mean light.
        counted: (B, 1, N_BANDS) in (0, 1]: share of each band's values about the gaze that lie in the scene.
    """

    energy: Tensor
    noise: Tensor
    coarse: Tensor
    mean: Tensor
    counted: Tensor

    @property
    def noise_error(self) -> Tensor:
        """(B, 3, N_BANDS) standard error of ``energy`` by photons alone: variance x sqrt(2 / independent values)."""
        errors = torch.tensor(relative_errors(), dtype=self.noise.dtype, device=self.noise.device)
        return self.noise * (errors / self.counted.sqrt())


#: Standard deviation of the Gaussian about the gaze by which pixels count. Of 5, 6 and 8 px the lens comes within
#: .25 dpt in six looks most often at 5, before photographs in depth (gazes anywhere, and beside borders of strips).
SIGMA_PX = 5.0


def window_contrast(
    light: Tensor, offset_px: Tensor, photons: Tensor | None = None, is_inside: Tensor | None = None
) -> Contrast:
    """Contrast about the gaze.

    Args:
        light: (B, 3, W, W), linear, W >= 32.
        offset_px: (B, 2) of the gaze from the window's centre, (y, x).
        photons: (B,) photons that a pixel catches of light 1; None: the light is without noise.
        is_inside: (B, 2, W) bool, rows and columns that the scene has; the others, which only go on as its border
            does, do not count, nor does what a filter makes of them. None: all are. Where the window is so small that
            a band has no row (or column) inside, all of the band's count.

    Raises:
        ValueError: another shape.
    """
    if light.ndim != 4 or light.shape[1] != 3 or light.shape[2] != light.shape[3] or light.shape[2] < LEAST_WINDOW_PX:
        raise ValueError(
            f"expected light (B, 3, W, W) with W >= {LEAST_WINDOW_PX}, about the gaze, got {tuple(light.shape)}"
        )
    side = light.shape[-1]
    place = torch.arange(side, dtype=light.dtype, device=light.device) - (side - 1) / 2
    outside = None if is_inside is None else 1 - is_inside.to(light.dtype)
    if outside is not None and outside.shape != (len(light), 2, side):
        raise ValueError(f"expected is_inside ({len(light)}, 2, {side}), got {tuple(outside.shape)}")
    weight, _ = _weights(place, offset_px, outside)
    mean = (light * weight).sum((2, 3))
    variance = torch.zeros_like(mean) if photons is None else mean.clamp_min(0) / photons[:, None]
    scale = 1 / mean.clamp_min(1e-6) ** 2
    details, low = split_bands(light)
    energies, shares = [], []
    for band, detail in enumerate(details):
        place = (place if band == 0 else place[::2])[MARGIN_PX:-MARGIN_PX]
        outside = None if outside is None else _met(outside if band == 0 else outside[..., ::2])
        weight, share = _weights(place, offset_px, outside)
        energies.append((detail.square() * weight).sum((2, 3)))
        shares.append(share)
    middle = (low * weight).sum((2, 3), keepdim=True)
    coarse = ((low - middle).square() * weight).sum((2, 3))
    powers = torch.tensor(noise_powers(), dtype=light.dtype, device=light.device)
    noise = variance[..., None] * powers * scale[..., None]
    energy = torch.stack(energies, -1) * scale[..., None] - noise
    return Contrast(energy.clamp_min(0), noise, coarse * scale, mean, torch.stack(shares, -1))


def _met(outside: Tensor) -> Tensor:
    """1 where a filter has met what is outside, without the margin that it loses."""
    return F.max_pool1d(outside, 2 * MARGIN_PX + 1, 1)


def split_bands(image: Tensor) -> tuple[list[Tensor], Tensor]:
    """Details (..., h, w) of the bands of an image, the finest first, and what is coarser than all of them.

    Two pixels are lost at every side of each, so that nothing beyond the border counts.
    """
    details, low = [], image
    for band in range(N_BANDS):
        low = low if band == 0 else low[..., ::2, ::2]
        smooth = _blur_valid(low)
        details.append(low[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] - smooth)
        low = smooth
    return details, low


def _blur_valid(x: Tensor) -> Tensor:
    """By sums of shifted copies, quicker than a convolution of one channel; two pixels are lost at every side."""
    for axis in (-2, -1):
        n = x.shape[axis] - 2 * MARGIN_PX
        x = sum((weight * x.narrow(axis, i, n) for i, weight in enumerate(_BINOMIAL)), x.new_zeros(()))
    return x


def _weights(place: Tensor, offset_px: Tensor, outside: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B, 1, n, n), sum 1: a Gaussian about the gaze, without what is outside (B, 2, n).

    And the share of it that is inside, (B, 1). Where nothing is outside, both are what they are without asking.
    """
    distance = (place - offset_px.to(place)[..., None]) / SIGMA_PX  # (B, 2, n)
    bell = torch.exp(-0.5 * distance**2)
    bell = bell / bell.sum(-1, keepdim=True)
    share = torch.ones_like(bell[..., :1])
    if outside is not None:
        lost = bell * outside
        left = share - lost.sum(-1, keepdim=True)
        is_some = left > _LEAST_SHARE
        bell, share = torch.where(is_some, (bell - lost) / left, bell), torch.where(is_some, left, share)
    return (bell[:, 0, :, None] * bell[:, 1, None, :])[:, None], share.prod(1)


@lru_cache(maxsize=1)
def noise_powers() -> tuple[float, ...]:
    """Variance that white noise of variance 1 has in each band."""
    powers, before = [], np.ones(1)
    for band in range(N_BANDS):
        kernel = np.zeros(4 * 2**band + 1)
        kernel[:: 2**band] = _BINOMIAL
        after = np.convolve(before, kernel)
        before = np.pad(before, (len(after) - len(before)) // 2)
        powers.append(float((before @ before) ** 2 - 2 * (before @ after) ** 2 + (after @ after) ** 2))
        before = after
    return tuple(powers)


@lru_cache(maxsize=1)
def relative_errors() -> tuple[float, ...]:
    """sqrt(2 / n) of each band, n the values under the Gaussian: 4 pi sigma^2 of the band's own pixels."""
    return tuple(float(np.sqrt(2 / (4 * np.pi * (SIGMA_PX / 2**band) ** 2))) for band in range(N_BANDS))


@lru_cache(maxsize=8)
def band_transfer(diameters_px: tuple[float, ...]) -> np.ndarray:
    """Share of each band's energy that passes a disc, (D, N_BANDS), of images whose power falls as 1 / f^2.

    Field 1987. What a reflex knows of its own lens: nothing of the scene is in it but that.
    """
    diameter = torch.tensor(diameters_px, dtype=torch.float64)
    radius = int(np.ceil(max(diameters_px) / 2)) + 1
    n = max(128, 4 * radius)
    quadrant, share = disc_kernel(diameter, radius_px=radius)
    turns = torch.arange(n, dtype=torch.float64)[:, None] * torch.arange(radius + 1)
    cosines = torch.cos(2 * torch.pi / n * turns) * (2 - (torch.arange(radius + 1) == 0).double())
    passed = (1 - share)[:, None, None] + share[:, None, None] * (cosines @ quadrant @ cosines.T)
    f = torch.fft.fftfreq(n, dtype=torch.float64)
    power = 1 / (f[:, None] ** 2 + f**2).clamp_min(1 / n**2)
    shares = []
    low = torch.ones(n, n, dtype=torch.float64)
    for band in range(N_BANDS):
        angle = 2 * torch.pi * f * 2**band
        line = (6 + 8 * torch.cos(angle) + 2 * torch.cos(2 * angle)) / 16
        smooth = line[:, None] * line
        energy = power * (low * (1 - smooth)) ** 2
        shares.append((energy * passed**2).sum((1, 2)) / energy.sum())
        low = low * smooth
    return torch.stack(shares, 1).numpy()
