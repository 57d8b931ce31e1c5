"""What a look is worth, and what is told of it: label-free numbers, lower terms are better."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.eye.contrast import N_BANDS, Contrast, noise_powers, window_contrast
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.sight import Sighting

#: Terms by the muscle they are for; the total has those of the free ones.
TERMS = ("gaze", "focus", "pupil")
_OF_MUSCLE = {"gaze_y_deg": "gaze", "gaze_x_deg": "gaze", "focus_dpt": "focus", "pupil_mm": "pupil"}
_FOCUS_WEIGHT = 0.1  # a nat: from blurred away to sharp are some six
_PUPIL_WEIGHT = 0.1  # a bit
_GREEN = 1  # focus_dpt is that of green
#: Energy of the least contrast that counts, 0.5 % (Campbell & Robson 1968).
LEAST_ENERGY = 0.005**2
_SURE = 3.0  # standard errors of the photons' noise that contrast must reach to count

_BANDS = ("fine", "middle", "coarse")
#: Names of the entries of the observation's ``statistics``.
STATISTICS = (
    *(f"{band}_{colour}" for colour in ("red", "green", "blue") for band in _BANDS),
    "red_over_blue",
    "photon_noise",
    "light",
    "share_seen",
    "resolved",
)
_DECADES = 3.0  # energies 1e-6 .. 1 are told as -1 .. 1


def look_contrast(sighting: Sighting, config: EyeConfig) -> Contrast:
    """Contrast of a look's window, photons taken out where they were drawn, with the noise there is or would be."""
    photons = sighting.photons if config.photon_noise else None
    contrast = window_contrast(sighting.window, sighting.offset_px, photons, sighting.is_inside)
    if config.photon_noise:
        return contrast
    powers = torch.tensor(noise_powers(), dtype=contrast.mean.dtype, device=contrast.mean.device)
    noise = powers / (contrast.mean.clamp_min(1e-6) * sighting.photons[:, None])[..., None]
    return replace(contrast, noise=noise)


def significant(contrast: Contrast, config: EyeConfig) -> Tensor:
    """Energy (B, 3, N_BANDS), 0 where photons alone may have made it."""
    if not config.photon_noise:
        return contrast.energy
    return torch.where(contrast.energy > _SURE * contrast.noise_error, contrast.energy, 0.0)


def measure(contrast: Contrast, unresolved: Tensor, config: EyeConfig) -> dict[str, np.ndarray]:
    """Terms of B looks, each (B,) float64, the total last.

    *gaze*: ``unresolved`` (B,), of :func:`ciliary.envs.eye.priority.gaze_worth`, 0 to 1. *focus*: minus the log of
    fine over coarse contrast at the gaze, of green: 0.1 x (ln coarse - mean of the bands' ln), 0 where there is no
    contrast. *pupil*: minus the bits that a pixel of the window tells of contrast under photon noise, a tenth: wide
    pupils blur, narrow ones are dark (Shannon 1949).
    """
    sure = significant(contrast, config)
    bands = (sure[:, _GREEN] + LEAST_ENERGY).log().mean(-1)
    coarse = (contrast.coarse[:, _GREEN] + LEAST_ENERGY).log()
    bits = 0.5 * torch.log2(1 + sure / contrast.noise.clamp_min(1e-12)).mean((1, 2))
    terms = {
        "gaze": unresolved,
        "focus": _FOCUS_WEIGHT * (coarse - bands),
        "pupil": -_PUPIL_WEIGHT * bits,
    }
    found = {name: value.double().cpu().numpy() for name, value in terms.items()}
    counted = sorted({_OF_MUSCLE[name] for name in config.muscles})
    return {**found, "total": np.sum([found[name] for name in counted], axis=0)}


def statistics(contrast: Contrast, mosaic: Mosaic, config: EyeConfig) -> np.ndarray:
    """The entries of :data:`STATISTICS`, (B, D) float32 in [-1, 1].

    Contrast energies by colour and band, photons taken out: log10 from 1e-6 (-1) to 1 (1); the log ratio of red to blue
    fine contrast over 3 (negative: the lens is set too far, look nearer); the photons' own energy in a pixel of green,
    log10 like the others; mean light; share of the field that was seen; acuity gained, of what the fovea could.
    """
    energy = contrast.energy
    told = (energy.clamp_min(1e-6).log10() + _DECADES) / _DECADES
    pair = significant(contrast, config)[:, ::2, 0] + LEAST_ENERGY
    ratio = 0.5 * (pair[:, 0] / pair[:, 1]).log() / 3
    pixel = contrast.noise[:, _GREEN, 0] / noise_powers()[0]
    seen = mosaic.is_seen.double().mean((1, 2, 3))
    gained = (config.lattice.finest_deg * mosaic.acuity).clamp_max(1).double().mean((1, 2, 3))
    columns = [
        *told.flatten(1).unbind(1),
        ratio,
        (pixel.clamp_min(1e-6).log10() + _DECADES) / _DECADES,
        contrast.mean.mean(1),
        seen,
        gained,
    ]
    table = torch.stack([column.double() for column in columns], 1).nan_to_num(0.0).clamp(-1, 1)
    return np.asarray(table.to(torch.float32).cpu().numpy())


def read_statistics(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an agent may read from ``statistics`` (D,): energies (3, N_BANDS) and their standard errors by photons."""
    n = 3 * N_BANDS
    energy = 10.0 ** (np.asarray(told[:n], dtype=np.float64).reshape(3, N_BANDS) * _DECADES - _DECADES)
    pixel = 10.0 ** (float(told[STATISTICS.index("photon_noise")]) * _DECADES - _DECADES)
    n_values = np.array([4 * math.pi * (8.0 / 2**band) ** 2 for band in range(N_BANDS)])
    return energy, pixel * np.array(noise_powers()) * np.sqrt(2 / n_values)[None].repeat(3, 0)
