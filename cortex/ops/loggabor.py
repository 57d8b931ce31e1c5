"""Log-Gabor quadrature energy in the frequency domain, and the dominant orientation of it.

Field 1987: G(f, phi) = exp(-ln(f/f0)^2 / 2 s^2) exp(-(phi-phi0)^2 / 2 s_phi^2), one-sided in phi, so that the inverse
transform is complex: even response + i odd response, and its modulus the quadrature energy. G(0) = 0: no DC.
The image is extended by reflection, so that its borders hold no false edge. Filters differ per sample at the cost of a
multiplication. A coarse scale is brought back at a lower resolution by cropping its spectrum, which cuts its tail only.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import kept

# Field 1987: half-height bandwidth in octaves b and log-Gabor sigma: b = 2 sqrt(2 ln 2) |ln s| / ln 2.
_LOG_SIGMA_PER_OCTAVE = math.log(2) / (2 * math.sqrt(2 * math.log(2)))


def reflect_pad(x: Tensor, pad_px: int, multiple: int) -> Tensor:
    """Reflect-pad (B, C, H, W) by at least ``pad_px`` on each side up to a size divisible by ``multiple``.

    The image starts at (pad_px, pad_px). Half-sample reflection, repeated as often as a tiny image needs.
    """
    h, w = x.shape[-2:]
    rows, columns = _reflected_indices(h, w, pad_px, multiple, x.device)
    return x[..., rows, :][..., columns]


@kept(64)
def _reflected_indices(h: int, w: int, pad_px: int, multiple: int, device: torch.device) -> tuple[Tensor, Tensor]:
    rows, columns = (_reflected_index(n, pad_px, multiple, device) for n in (h, w))
    return rows, columns


def _reflected_index(n: int, pad_px: int, multiple: int, device: torch.device) -> Tensor:
    total = math.ceil((n + 2 * pad_px) / multiple) * multiple
    k = torch.arange(-pad_px, total - pad_px, device=device) % (2 * n)
    return torch.where(k < n, k, 2 * n - 1 - k)


@kept(64)
def _polar_grid(h: int, w: int, stride: int, n_orientations: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """log frequency (h/s, w/s) (in cycles per full-resolution pixel) and one-sided angular weights (O, h/s, w/s)."""
    fy = torch.fft.fftfreq(h // stride, d=float(stride), device=device)[:, None]
    fx = torch.fft.fftfreq(w // stride, d=float(stride), device=device)[None, :]
    radius = torch.sqrt(fx * fx + fy * fy)
    log_radius = torch.log(radius.clamp_min(1e-9))
    angle = torch.atan2(fy.expand_as(radius), fx.expand_as(radius))
    # The contour is perpendicular to the wave vector: channel o has tangent angle pi*o/O.
    tangent = torch.arange(n_orientations, device=device) * math.pi / n_orientations
    delta = angle[None] - (tangent + math.pi / 2)[:, None, None]
    delta = torch.atan2(torch.sin(delta), torch.cos(delta))
    sigma_rad = math.pi / n_orientations / 1.2
    angular = torch.exp(-0.5 * (delta / sigma_rad) ** 2)
    angular[:, 0, 0] = 0
    return log_radius, angular


def crop_spectrum(spectrum: Tensor, stride: int) -> Tensor:
    """The low frequencies (..., H/stride, W/stride) of a spectrum (..., H, W): that of the image made so small."""
    if stride == 1:
        return spectrum
    h, w = spectrum.shape[-2] // stride, spectrum.shape[-1] // stride
    top, bottom = spectrum[..., : (h + 1) // 2, :], spectrum[..., spectrum.shape[-2] - h // 2 :, :]
    rows = torch.cat([top, bottom], -2)
    return torch.cat([rows[..., : (w + 1) // 2], rows[..., rows.shape[-1] - w // 2 :]], -1) / stride**2


def spectrum_of(x: Tensor, *, pad_px: int, multiple: int = 8) -> Tensor:
    """Complex spectrum (B, C, H', W') of a reflect-padded image (B, C, H, W)."""
    spectrum: Tensor = torch.fft.fft2(reflect_pad(x, pad_px, multiple))
    return spectrum


def log_gabor(
    spectrum: Tensor, wavelength_px: Tensor, bandwidth_octaves: Tensor, *, n_orientations: int, stride: int = 1
) -> Tensor:
    """Complex responses (B, C, O, H'/stride, W'/stride) of one scale: even + i odd.

    Args:
        spectrum: from :func:`spectrum_of`, (B, C, H', W').
        wavelength_px: (B,) in full-resolution pixels.
        bandwidth_octaves: (B,) half-height bandwidth.
        n_orientations: O; channel o prefers contours whose tangent lies at pi*o/O radians (x right, y down).
        stride: resolution of the answer; use at most about a quarter of the wavelength.
    """
    h, w = spectrum.shape[-2:]
    log_radius, angular = _polar_grid(h, w, stride, n_orientations, spectrum.device)
    log_sigma = (_LOG_SIGMA_PER_OCTAVE * bandwidth_octaves).view(-1, 1, 1)
    radial = torch.exp(-0.5 * ((log_radius + torch.log(wavelength_px).view(-1, 1, 1)) / log_sigma) ** 2)
    # On real and imaginary parts: for a product with complex numbers, real ones are first made complex.
    carried = torch.view_as_real(crop_spectrum(spectrum, stride)) * radial[:, None, :, :, None]
    response: Tensor = torch.fft.ifft2(torch.view_as_complex(carried[:, :, None] * angular[..., None]))
    return response


def cut_padding(x: Tensor, *, pad_px: int, stride: int, size: tuple[int, int]) -> Tensor:
    """(..., H'/stride, W'/stride) without its padding: what :func:`upsample_aligned` brings to the image's size."""
    h, w = (n if stride == 1 else math.ceil(n / stride) + 1 for n in size)
    p = pad_px // stride
    return x[..., p : p + h, p : p + w]


def upsample_aligned(x: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Bilinear upsampling of (..., h, w) to ``size``: sample k sits on pixel k*stride, as cropped spectra leave it."""
    if stride == 1:
        return x[..., : size[0], : size[1]]
    h, w = size
    need_h, need_w = math.ceil((h - 1) / stride) + 1, math.ceil((w - 1) / stride) + 1
    lead = x.shape[:-2]
    x = x[..., :need_h, :need_w]
    x = x.reshape(1, -1, *x.shape[-2:])
    if x.shape[-2] < need_h or x.shape[-1] < need_w:
        x = F.pad(x, (0, need_w - x.shape[-1], 0, need_h - x.shape[-2]), mode="replicate")
    full = F.interpolate(
        x, size=((need_h - 1) * stride + 1, (need_w - 1) * stride + 1), mode="bilinear", align_corners=True
    )
    return full[..., :h, :w].reshape(*lead, h, w)


def dominant_orientation(energy: Tensor) -> Tensor:
    """Contour tangent (B, 1, H, W) in radians [0, pi) of oriented energy (B, O, H, W): the double-angle mean."""
    angle = torch.arange(energy.shape[1], device=energy.device) * (2 * math.pi / energy.shape[1])
    y = (energy * torch.sin(angle).view(1, -1, 1, 1)).sum(1, keepdim=True)
    x = (energy * torch.cos(angle).view(1, -1, 1, 1)).sum(1, keepdim=True)
    # atan2(0, 0) has no gradient: blank pixels are nudged to 0 rad.
    return torch.remainder(0.5 * torch.atan2(y, x + 1e-8), math.pi)


def mirrored_orientations(energy: Tensor, *, n_orientations: int = 6) -> Tensor:
    """Energy (B, A*O, H, W), scale-major, of O orientations from 0 in equal steps: each as the image's mirror has it.

    The places are left where they are. Twice is once to and back.
    """
    turned = [-k % n_orientations for k in range(n_orientations)]
    mirrored: Tensor = energy.unflatten(1, (-1, n_orientations))[:, :, turned].flatten(1, 2)
    return mirrored
