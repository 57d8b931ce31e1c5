"""M1, perception: V1 energy, V2 affinity, perceptual boundary, soft regions S1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.kmeans import soft_assign, soft_kmeans
from ciliary.cortex.ops.loggabor import cut_padding, log_gabor, spectrum_of, upsample_aligned
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS, Cues, M1Out, RetinaOut
from ciliary.cortex.stages.m1_acuity import acuity_discount

N_SCALES = 3
N_REGIONS_MAX = 12
N_COLOUR = 3  # channels of `features` that hold colour, then those that hold texture
N_TEXTURE = N_SCALES + 2
# Resolution at which each scale is brought back: its wavelength is at least 4 * 2^scale
# pixels, so that the filter's tail beyond twice its centre frequency is all that is cut.
SCALE_STRIDES = (1, 2, 4)
PAD_PX = 16
# Quadrature energy at which a contour is half as strong as can be, in units of retinal contrast.
_HALF_ENERGY = 0.06


def v1_energy(signal: Tensor, theta: Theta, *, scale: int) -> Tensor:
    """Quadrature energy (B, C, O, H, W) of (B, C, H, W) at one octave step ``scale`` above ``wavelength_px``."""
    h, w = signal.shape[-2:]
    return _energy(spectrum_of(signal, pad_px=PAD_PX), theta, scale, (h, w))


def _energy(spectrum: Tensor, theta: Theta, scale: int, size: tuple[int, int], gain: Tensor | None = None) -> Tensor:
    stride = SCALE_STRIDES[scale]
    response = log_gabor(
        spectrum,
        theta["wavelength_px"] * 2**scale,
        theta["bandwidth_octaves"],
        n_orientations=N_ORIENTATIONS,
        stride=stride,
    )
    response = cut_padding(response, pad_px=PAD_PX, stride=stride, size=size)
    # Not |z|: its gradient at zero contrast is undefined.
    energy = torch.sqrt(torch.addcmul(response.real.square() + 1e-10, response.imag, response.imag)) - 1e-5
    return upsample_aligned(energy if gain is None else energy * gain, stride, size)


#: From the retina and theta to oriented energy of luminance, (B, A, O, H, W), and that of the two colours at the
#: coarsest scale, weighed already, (B, 2, O, H, W). M1 holds it as its module ``v1``: another one can stand there.
V1 = Callable[[RetinaOut, Theta], tuple[Tensor, Tensor]]


def v1_of_bank(retina: RetinaOut, theta: Theta) -> tuple[Tensor, Tensor]:
    """:data:`V1` by the bank of log-Gabor filters."""
    size = (retina.opponent.shape[-2], retina.opponent.shape[-1])
    contrast = retina.on_off[:, :1] - retina.on_off[:, 1:]
    spectrum = spectrum_of(torch.cat([contrast, retina.opponent[:, 1:]], 1), pad_px=PAD_PX)
    energy = torch.cat([_energy(spectrum[:, :1], theta, scale, size) for scale in range(N_SCALES)], 1)
    # Colour contours are coarse (Mullen 1985): one scale is enough, and half the work.
    gain = theta["colour_weight"].view(-1, 1, 1, 1, 1)
    return energy, _energy(spectrum[:, 1:], theta, N_SCALES - 1, size, gain)


class BankV1(nn.Module):
    """:func:`v1_of_bank` as a module."""

    def forward(self, retina: RetinaOut, theta: Theta) -> tuple[Tensor, Tensor]:
        """See :data:`V1`."""
        return v1_of_bank(retina, theta)


def texture_channels(energy: Tensor) -> Tensor:
    """What oriented energy (B, A, O, H, W) says of texture, per pixel: (B, A + 2, H, W).

    Log contrast per scale, and the two components of the dominant orientation, weighted by its strength.
    """
    _, n_scales, n_orientations, h, w = energy.shape
    angle = torch.arange(n_orientations, device=energy.device) * (2 * math.pi / n_orientations)
    per_scale = torch.eye(n_scales, device=energy.device).repeat_interleave(n_orientations, 1) / n_orientations
    direction = torch.stack([torch.cos(angle), torch.sin(angle)]).repeat(1, n_scales) * (4 / n_scales)
    mixed = (torch.cat([per_scale, direction]) @ energy.flatten(1, 2).flatten(2)).unflatten(2, (h, w))
    return torch.cat([torch.log1p(mixed[:, :n_scales] / 0.02) * 0.15, mixed[:, n_scales:]], 1)


def sum_of_squares(parts: Iterable[Tensor]) -> Tensor:
    """x^2 + y^2 + ... of tensors of one shape, one by one: the sum stays in the processor's cache.

    Twice as fast as squares of all of them side by side, which are written to memory and read again.
    """
    first, *others = parts
    total = first.square()
    for part in others:
        total = torch.addcmul(total, part, part)
    return total


def _squared_step(padded: Tensor, down: int, right: int) -> Tensor:
    """(B, H, W), squared distance of (B, C, H+1, W+2) to the neighbour that lies so far down and right."""
    h, w = padded.shape[-2] - 1, padded.shape[-1] - 2
    rows, columns = slice(down, down + h), slice(1 + right, 1 + right + w)
    return sum_of_squares(c[:, :h, 1 : 1 + w] - c[:, rows, columns] for c in padded.unbind(1))


def neighbour_affinity(features: Tensor, sigma: Tensor) -> Tensor:
    """w = exp(-d^2 / 2 sigma^2) between each pixel and its neighbours E, S, SE, SW (Shi & Malik 2000).

    Args:
        features: (B, C, H, W).
        sigma: (B,) > 0.

    Returns:
        (B, 4, H, W) in (0, 1]; 1 where the neighbour lies outside the image.
    """
    padded = F.pad(features, (1, 1, 0, 1), mode="replicate")
    distance = torch.stack([_squared_step(padded, *offset) for offset in ((0, 1), (1, 0), (1, 1), (1, -1))], 1)
    return torch.exp(-distance / (2 * sigma.view(-1, 1, 1, 1) ** 2))


def position_channels(h: int, w: int, device: torch.device | None = None) -> Tensor:
    """Image position (1, 2, H, W), the long side spanning [-0.5, 0.5]."""
    long_side = max(h, w)
    y = (torch.arange(h, device=device) - (h - 1) / 2) / long_side
    x = (torch.arange(w, device=device) - (w - 1) / 2) / long_side
    return torch.stack([y[:, None].expand(h, w), x[None, :].expand(h, w)])[None]


@dataclass(frozen=True)
class Edges:
    """What M1 finds at every pixel, before it groups."""

    energy: Tensor  # (B, A*O, H, W) quadrature energy, scale-major, >= 0
    features: Tensor  # (B, C, H, W) the weighted cue vector
    affinity: Tensor  # (B, 4, H, W) to the neighbours E, S, SE, SW
    boundary: Tensor  # (B, 1, H, W) in [0, 1]


def find_edges(retina: RetinaOut, cues: Cues, theta: Theta, v1: V1 = v1_of_bank) -> Edges:
    """V1 energy, cue vectors, V2 affinity and perceptual boundary of :class:`RetinaOut` and the image's cues.

    Of a mosaic (``cues.spacing_px``) a scale counts for the boundary as far as
    :func:`~ciliary.cortex.stages.m1_acuity.acuity_discount` trusts it.
    """
    weight = {name: theta[name].view(-1, 1, 1, 1) for name in _WEIGHTS}
    energy, colours = v1(retina, theta)
    trust = None if cues.spacing_px is None else _trusted(cues.spacing_px, theta).unsqueeze(2).unbind(1)
    oriented = [*energy.unbind(1), *colours.unbind(1)]
    if trust is not None:
        oriented = [found * t for found, t in zip(oriented, (*trust, trust[-1], trust[-1]), strict=True)]
    strongest_sq = sum_of_squares(oriented).amax(1, keepdim=True) / N_SCALES

    colour = torch.cat([retina.opponent[:, :1], weight["colour_weight"] * retina.opponent[:, 1:]], 1)
    texture = weight["texture_weight"] * texture_channels(energy)
    depth = weight["depth_weight"] * cues.depth
    local = torch.cat([colour, texture, depth], 1)
    affinity = neighbour_affinity(local, theta["affinity_sigma"])
    features = local
    if cues.backbone is not None:
        features = torch.cat([local, weight["backbone_weight"] * cues.backbone], 1)

    strength = torch.sqrt(strongest_sq + 1e-12)
    contour = strength**2 / (strength**2 + _HALF_ENERGY**2)
    rupture = 1 - affinity.mean(1, keepdim=True)
    if trust is not None:  # neighbours differ at the finest scale there is
        rupture = rupture * trust[0]
    # Either sign of a boundary is enough: a noisy-or.
    boundary = 1 - (1 - contour) * (1 - 0.5 * rupture)
    return Edges(energy.flatten(1, 2), features, affinity, boundary)


def _trusted(spacing_px: Tensor, theta: Theta) -> Tensor:
    """(B, A, H, W) in (0, 1], how far each scale counts at each place of a mosaic."""
    waves, bandwidth = theta["wavelength_px"], theta["bandwidth_octaves"]
    return torch.cat([acuity_discount(spacing_px, waves * 2**scale, bandwidth) for scale in range(N_SCALES)], 1)


def perceive(retina: RetinaOut, cues: Cues, theta: Theta, v1: V1 = v1_of_bank) -> M1Out:
    """From :class:`RetinaOut` and the image's :class:`Cues` to :class:`M1Out`."""
    found = find_edges(retina, cues, theta, v1)
    h, w = found.boundary.shape[-2:]
    position = position_channels(h, w, found.boundary.device).expand(len(found.features), -1, -1, -1)
    points = torch.cat([found.features, theta["position_weight"].view(-1, 1, 1, 1) * position], 1)
    regions = soft_regions(points, theta)
    return M1Out(found.energy, found.affinity, found.boundary, regions, cues.depth, found.features, cues)


_WEIGHTS = ("colour_weight", "texture_weight", "depth_weight", "backbone_weight")


def soft_regions(points: Tensor, theta: Theta) -> Tensor:
    """S1 at half resolution: soft k-means regions (B, K, H/2, W/2) of the cue vectors (B, C, H, W).

    The centres are fitted at a quarter of the resolution: they have no fine detail of their own.
    """
    points = halve(points)
    coarse = halve(points).flatten(2).transpose(1, 2)
    centres, presence = soft_kmeans(
        coarse, count=theta["n_regions"], temperature=theta["region_temperature"], n_max=N_REGIONS_MAX
    )
    shares = soft_assign(points.flatten(2).transpose(1, 2), centres, theta["region_temperature"], presence)
    regions: Tensor = shares.unflatten(2, points.shape[-2:])
    return regions


class M1(nn.Module):
    """:func:`perceive` as a module, on a :data:`V1`."""

    def __init__(self) -> None:
        super().__init__()
        self.v1 = BankV1()

    def forward(self, retina: RetinaOut, cues: Cues, theta: Theta) -> M1Out:
        """See :func:`perceive`."""
        return perceive(retina, cues, theta, self.v1)
