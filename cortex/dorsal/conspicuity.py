"""What draws the eye before anything is recognised: V1 energy, rarity, end points and colour contrast, per place.

All four are read from the retina's opponent channels through the cortex's own log-Gabor filters; nothing of M1 to M5
is read, so that the eye can move before the percept is there. Wavelengths are degrees of visual angle: what draws the
eye depends on how large it is on the retina, not on how many pixels the photograph has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.ops.loggabor import log_gabor, spectrum_of
from ciliary.cortex.ops.smoothing import gaussian_blur

N_ORIENTATIONS = 8  # with M1's 4 an end point is told from a contour less well (NSS of `ends` 1.11 for 1.24)
_MIN_WAVELENGTH_PX = 3.0  # a finer filter would lie beyond the pixels' own limit of 2
_PAD_PX = 32
_TINY = 1e-10


@dataclass(frozen=True)
class ConspicuitySettings:
    """How the maps are made; chosen on one half of 350 photographs (OSIE, halves by name), told on the other.

    Attributes:
        wavelengths_deg: of the log-Gabor scales, fine to coarse, > 0: octave steps (De Valois, Albrecht and Thorell
            1982), the finest as fine as a photograph of 10 px to a degree holds.
        bandwidth_octaves: half-height bandwidth of the filters (De Valois et al. 1982: median 1.4), > 0.
        cell_px: image pixels to a side of a cell of the maps, a power of two.
        compression: exponent of the energies before their statistics are taken, in (0, 1]: contrast responses saturate
            (square root), and a Gaussian then fits them better.
        blur_deg: standard deviation of the blur of each map at the end, >= 0; the best of .4, .6, .8, 1 and 1.3.
        ridge: share of the mean variance added to each of a covariance, > 0: a flat image has no rare place.
    """

    wavelengths_deg: tuple[float, ...] = (0.4, 0.8, 1.6, 3.2)
    bandwidth_octaves: float = 1.6
    cell_px: int = 4
    compression: float = 0.5
    blur_deg: float = 0.8
    ridge: float = 1e-3

    def __post_init__(self) -> None:
        if not self.wavelengths_deg or min(self.wavelengths_deg) <= 0 or self.bandwidth_octaves <= 0:
            raise ValueError(f"expected wavelengths and a bandwidth above 0, got {self}")
        if self.cell_px not in (1, 2, 4, 8, 16):
            raise ValueError(f"expected cell_px of 1, 2, 4, 8 or 16, got {self.cell_px}")
        if not 0 < self.compression <= 1 or self.blur_deg < 0 or self.ridge <= 0:
            raise ValueError(f"expected compression in (0, 1], blur_deg >= 0 and ridge > 0, got {self}")


class Conspicuity(NamedTuple):
    """Maps (B, 1, h, w), >= 0, each with a mean of 1 over its image (all 0 where an image has none of it).

    Attributes:
        energy: V1 quadrature energy of all channels and orientations at the finest scale.
        rarity: self-information of the local feature vector among the image's own.
        ends: energy at the finest scale that has no one orientation: corners, line ends, crossings.
        colour: self-information of the local colour among the image's own.
    """

    energy: Tensor
    rarity: Tensor
    ends: Tensor
    colour: Tensor


def conspicuity(opponent: Tensor, *, px_per_deg: float, settings: ConspicuitySettings | None = None) -> Conspicuity:
    """The four maps of an image.

    Args:
        opponent: (B, 3, H, W) of :class:`~ciliary.cortex.percept.RetinaOut`: luminance, red-green, blue-yellow.
        px_per_deg: pixels of the image to a degree of visual angle, > 0.
        settings: the defaults when None.

    Returns:
        Maps (B, 1, ceil(H / cell_px), ceil(W / cell_px)) on the device of ``opponent``; differentiable.

    Raises:
        ValueError: ``opponent`` is not (B, 3, H, W), or ``px_per_deg`` is not above 0.
    """
    settings = settings or ConspicuitySettings()
    if opponent.ndim != 4 or opponent.shape[1] != 3:
        raise ValueError(f"expected opponent channels (B, 3, H, W), got {tuple(opponent.shape)}")
    if not px_per_deg > 0:
        raise ValueError(f"expected px_per_deg > 0, got {px_per_deg}")
    energy = oriented_energy(opponent, px_per_deg=px_per_deg, settings=settings)
    features = (energy + _TINY) ** settings.compression
    fine = energy[:, :, 0]
    maps = (
        torch.sqrt(fine.square().sum((1, 2)) + _TINY)[:, None],
        self_information(features.flatten(1, 3), ridge=settings.ridge),
        end_points(fine[:, 0]),
        self_information(_cells(opponent, settings.cell_px), ridge=settings.ridge),
    )
    return blurred(Conspicuity(*maps), settings.blur_deg * px_per_deg / settings.cell_px)


def blurred(maps: Conspicuity, sigma: float) -> Conspicuity:
    """The same maps under a Gaussian of ``sigma`` cells, each again of mean 1."""
    spread = maps.energy.new_full((len(maps.energy),), sigma)
    return Conspicuity(*(mean_one(gaussian_blur(x, spread)) for x in maps))


def oriented_energy(opponent: Tensor, *, px_per_deg: float, settings: ConspicuitySettings) -> Tensor:
    """Quadrature energy (B, 3, S, O, h, w) of opponent channels (B, 3, H, W), the mean over each cell.

    Of a picture with few pixels to a degree, scales finer than it can hold are taken at the finest that it can.
    """
    size = (opponent.shape[-2], opponent.shape[-1])
    spectrum = spectrum_of(opponent, pad_px=_PAD_PX, multiple=max(8, settings.cell_px))
    bandwidth = opponent.new_full((len(opponent),), settings.bandwidth_octaves)
    scales = []
    for wavelength_px in wavelengths_px(settings.wavelengths_deg, px_per_deg):
        stride = min(settings.cell_px, _stride(wavelength_px))
        response = log_gabor(
            spectrum, torch.full_like(bandwidth, wavelength_px), bandwidth, n_orientations=N_ORIENTATIONS, stride=stride
        )
        energy = torch.sqrt(response.real.square() + response.imag.square() + _TINY)
        energy = _crop(energy.flatten(1, 2), stride, size)
        scales.append(_cells(energy, settings.cell_px // stride).unflatten(1, (3, N_ORIENTATIONS)))
    return torch.stack(scales, 2)


def wavelengths_px(wavelengths_deg: Sequence[float], px_per_deg: float) -> list[float]:
    """Each wavelength in pixels, fine to coarse; of those finer than 3 px one is left, at 3 px."""
    return sorted({max(wavelength * px_per_deg, _MIN_WAVELENGTH_PX) for wavelength in wavelengths_deg})


def self_information(features: Tensor, *, ridge: float) -> Tensor:
    """How surprising each place's feature vector (B, C, h, w) is among its image's own: (B, 1, h, w) in nats, >= 0.

    -ln N(f; mean, covariance) less its constant: half the squared Mahalanobis distance, where mean and covariance are
    those of the image itself. Self-information as saliency: Bruce and Tsotsos 2009; by whitening: Garcia-Diaz et al.
    2012. The mean over an image is at most C / 2.

    Args:
        features: (B, C, h, w).
        ridge: share of the mean variance added to each channel's, > 0.
    """
    n_channels = features.shape[1]
    flat = features.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    covariance = flat @ flat.transpose(1, 2) / flat.shape[2]
    mean_variance = covariance.diagonal(dim1=1, dim2=2).mean(1)
    eye = torch.eye(n_channels, dtype=flat.dtype, device=flat.device)
    added = (ridge * mean_variance + _TINY)[:, None, None] * eye
    factor = torch.linalg.cholesky(covariance + added)
    white = torch.linalg.solve_triangular(factor, flat, upper=False)
    information: Tensor = (0.5 * white.square().sum(1, keepdim=True)).unflatten(2, features.shape[-2:])
    return information


def end_points(energy: Tensor) -> Tensor:
    """Energy without a single orientation (B, 1, h, w), >= 0, of oriented energy (B, O, h, w).

    Sum less length of the double-angle mean: 0 on a straight contour, all of it where two meet at right angles.
    Intrinsically two-dimensional signals drive end-stopped cells (Zetzsche and Barth 1990) and the eye (Krieger et al.
    2000); the double-angle form is that of Bigün and Granlund 1987.
    """
    n = energy.shape[1]
    angle = torch.arange(n, dtype=energy.dtype, device=energy.device) * (2 * math.pi / n)
    along = torch.einsum("bohw,ko->bkhw", energy, torch.stack([torch.cos(angle), torch.sin(angle)]))
    length = torch.sqrt(along.square().sum(1, keepdim=True) + _TINY)
    return (energy.sum(1, keepdim=True) - length).clamp_min(0)


def mean_one(x: Tensor) -> Tensor:
    """(B, 1, h, w) >= 0 over the mean of each image; 0 stays 0."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.where(mean > _TINY, x / mean.clamp_min(_TINY), torch.zeros_like(x))


def _stride(wavelength_px: float) -> int:
    """Largest power of two that is at most a quarter of a wavelength."""
    return 1 << max(0, math.floor(math.log2(wavelength_px / 4)))


def _crop(x: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """The padding off (B, C, H' / stride, W' / stride); samples in the middle of ``stride`` pixels, not the first."""
    shift, first = (stride - 1) / (2 * stride), _PAD_PX // stride
    for dim, n in zip((-2, -1), size, strict=True):
        here = x.narrow(dim, first, math.ceil(n / stride))
        x = here if stride == 1 else here.lerp(x.narrow(dim, first + 1, here.shape[dim]), shift)
    return x


def _cells(x: Tensor, cell_px: int) -> Tensor:
    """(B, C, H, W) to the mean of each cell, (B, C, ceil(H / cell), ceil(W / cell)); cells at the edge hold less."""
    return x if cell_px == 1 else F.avg_pool2d(x, cell_px, ceil_mode=True)
