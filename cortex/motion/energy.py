"""Motion energy (Adelson and Bergen 1985): V1's component cells.

Quadrature in space is the log-Gabor pair, in time the fast and the slow filter. Their sums and differences are oriented
in space-time; squares of both phases make the energy of either direction, and the difference the opponent energy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.device import kept, widest
from ciliary.cortex.motion.pathways import MagnoOut, ParvoOut
from ciliary.cortex.ops.loggabor import log_gabor, spectrum_of

#: Directions of every map of cells, 45 degrees apart: direction d is d x 45 degrees from right (0) over down (2).
N_DIRECTIONS = 8
_N_ORIENTATIONS = N_DIRECTIONS // 2
_TINY = 1e-12
_BORDER = 0.35  # wavelengths
_TAIL = 12.5  # of a Gaussian's exponent: five standard deviations


@dataclass(frozen=True)
class EnergySettings:
    """The filters of V1.

    Attributes:
        wavelengths_px: of the scales, in pixels of the magno pathway (two of the image), fine to coarse, each >= 3.
        bandwidth_octaves: at half height, > 0.
        cell_px: side of a cell of the answer, in magno pixels: 1, 2 or 4.
        pool_share: standard deviation of the pool of complex cells, in wavelengths, > 0.
        semi_saturation: amplitude (of the retina's luminance) at which divisive normalisation halves a response, > 0.
    """

    wavelengths_px: tuple[float, ...] = (6.0, 12.0, 24.0)
    bandwidth_octaves: float = 1.2
    cell_px: int = 2
    pool_share: float = 0.35
    semi_saturation: float = 0.005

    def __post_init__(self) -> None:
        if not self.wavelengths_px or list(self.wavelengths_px) != sorted(self.wavelengths_px):
            raise ValueError(f"expected wavelengths_px from fine to coarse, got {self.wavelengths_px}")
        if self.wavelengths_px[0] < 3 or self.cell_px not in (1, 2, 4):
            raise ValueError(f"expected wavelengths_px >= 3 and cell_px 1, 2 or 4, got {self}")
        if min(self.bandwidth_octaves, self.pool_share, self.semi_saturation) <= 0:
            raise ValueError(f"expected bandwidth_octaves, pool_share and semi_saturation > 0, got {self}")


@dataclass(frozen=True, eq=False)
class ComponentOut:
    """V1's direction-selective cells: each sees the component of a pattern along its own direction.

    S scales; O = 4 orientations, of which wave vectors point to down (0), down-left, left, up-left; (h, w) cells.

    Attributes:
        energy: (B, 8, S, h, w) opponent motion energy, half-wave rectified and divisively normalised, in [0, 1).
        strength: (B, O, S, h, w) pooled quadrature energy of the slow filter.
        advance_rad: (B, O, S, h, w) by which phase advanced since the frame before, in (-pi, pi].
        coherence: (B, O, S, h, w) in [0, 1]: how far the pool agrees on it; 0 at the image's border.
        wave_rad: (B, O, S, 2, h, w) local wave vector (y, x), radians a magno pixel.
        cell_px: side of a cell, magno pixels.
    """

    energy: Tensor
    strength: Tensor
    advance_rad: Tensor
    coherence: Tensor
    wave_rad: Tensor
    cell_px: int

    @property
    def direction(self) -> Tensor:
        """(B, 8, h, w) in [0, 1): the sum over scales."""
        return self.energy.sum(2)


def motion_energy(
    magno: MagnoOut, parvo: ParvoOut, before: ParvoOut, settings: EnergySettings | None = None
) -> ComponentOut:
    """Component cells of one frame. Differentiable.

    Args:
        magno: of this frame.
        parvo: of this frame; only the slow luminance is read.
        before: likewise, of the frame before it.
        settings: the defaults when None.
    """
    settings = settings or EnergySettings()
    inputs = torch.cat([magno.transient, parvo.slow, before.slow], 1)
    h, w = inputs.shape[-2:]
    pad_px = math.ceil(settings.wavelengths_px[-1])
    strides = [_stride(wavelength) for wavelength in settings.wavelengths_px]
    multiple = max(*strides, settings.cell_px)
    pad_px = math.ceil(pad_px / multiple) * multiple
    spectrum = spectrum_of(inputs, pad_px=pad_px, multiple=multiple)
    batch = inputs.new_ones(len(inputs))
    scales, inside = [], []
    for wavelength, stride in zip(settings.wavelengths_px, strides, strict=True):
        response = log_gabor(
            spectrum,
            batch * wavelength,
            batch * settings.bandwidth_octaves,
            n_orientations=_N_ORIENTATIONS,
            stride=stride,
        )
        rows, columns = (
            _pool_matrix(
                n, padded // stride, pad_px, stride, settings.cell_px, settings.pool_share * wavelength, inputs.device
            )
            for n, padded in zip((h, w), spectrum.shape[-2:], strict=True)
        )
        rows, columns = rows.to(inputs), columns.T.to(inputs)
        inside.append(_inside((h, w), settings.cell_px, wavelength, inputs.device).to(inputs))
        scales.append([rows @ product @ columns for product in _products(*response.unbind(1))])
    pooled = [torch.stack(scale, 2) for scale in zip(*scales, strict=True)]  # each (B, O, S, h, w)
    fast, slow, opponent, past, cosine, sine, cos_y, sin_y, cos_x, sin_x = pooled
    pitch = opponent.new_tensor(strides).view(1, 1, -1, 1, 1)
    wave = torch.stack([_angle(sin_y, cos_y), _angle(sin_x, cos_x)], 3) / pitch.unsqueeze(3)
    coherence = torch.sqrt(cosine.square() + sine.square() + _TINY**2) / (0.5 * (slow + past) + _TINY)
    coherence = coherence.clamp_max(1) * torch.stack(inside)
    both = torch.cat([opponent.relu(), (-opponent).relu()], 1)  # towards the wave vectors, from down on; and against
    # The pool holds every cell, so that all of them together answer with less than 1.
    pool = 0.5 * (fast + slow).sum((1, 2), keepdim=True)
    energy = both / (pool + settings.semi_saturation**2)
    return ComponentOut(
        energy.roll(2, 1),
        slow,
        _angle(sine, cosine),
        coherence,
        wave,
        settings.cell_px,
    )


def _products(fast: Tensor, slow: Tensor, past: Tensor) -> list[Tensor]:
    """Ten real maps (B, O, h, w) of complex responses (B, O, h, w), which a pool of complex cells may average.

    Energies of the three, opponent energy |fast - i slow|^2 / 4 - |fast + i slow|^2 / 4 = -Im(fast x slow*), and the
    products whose angles are the advance of phase from the frame before, and from a sample to the next in y and in x
    (Fleet and Jepson 1990).
    """
    opponent = -(fast * slow.conj()).imag
    parts = [_power(fast), _power(slow), opponent, _power(past)]
    for product in (slow * past.conj(), slow.roll(-1, -2) * slow.conj(), slow.roll(-1, -1) * slow.conj()):
        parts += [product.real, product.imag]
    return parts


def _power(response: Tensor) -> Tensor:
    return response.real.square() + response.imag.square()


def _angle(sine: Tensor, cosine: Tensor) -> Tensor:
    """atan2 whose gradient is finite where there is nothing."""
    return torch.atan2(sine, torch.where(sine.abs() + cosine.abs() > _TINY, cosine, torch.ones_like(cosine)))


def _stride(wavelength_px: float) -> int:
    """Largest power of two, at most 8, that is at most a quarter of a wavelength."""
    return min(8, 1 << max(0, math.floor(math.log2(wavelength_px / 4))))


@kept(64)
def _pool_matrix(
    n: int, n_samples: int, pad_px: int, stride: int, cell_px: int, sigma_px: float, device: torch.device
) -> Tensor:
    """(cells, samples): Gaussian means about the middles of n pixels' cells, of samples ``stride`` pixels apart."""
    wide = widest(device)
    middle = torch.arange(math.ceil(n / cell_px), dtype=wide, device=device) * cell_px + (cell_px - 1) / 2
    sample = torch.arange(n_samples, dtype=wide, device=device) * stride - pad_px
    exponent = -0.5 * ((sample[None] - middle[:, None]) / sigma_px) ** 2
    weight = torch.exp(exponent) * (exponent > -_TAIL)
    return (weight / weight.sum(1, keepdim=True)).float()


@kept(64)
def _inside(size: tuple[int, int], cell_px: int, wavelength_px: float, device: torch.device) -> Tensor:
    """(h, w) in [0, 1] of cells: 0 at the border, 1 a wavelength and more away from it."""
    sides = []
    for n in size:
        middle = torch.arange(math.ceil(n / cell_px), device=device) * cell_px + cell_px / 2
        away = torch.minimum(middle, n - middle).clamp_min(0) / wavelength_px
        sides.append(1 - torch.exp(-0.5 * (away / _BORDER).square()))
    return sides[0][:, None] * sides[1][None, :]
