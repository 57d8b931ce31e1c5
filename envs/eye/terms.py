"""What a look is worth, and what is told of it: label-free numbers, lower terms are better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.eye.contrast import N_BANDS, SURE, Contrast, noise_powers, relative_errors, window_contrast
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.eye.receptor import RECEPTORS, Told, tell
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

_BANDS = ("fine", "middle", "coarse")
#: Names of the entries of the observation's ``statistics``.
STATISTICS = (
    *(f"{band}_{colour}" for colour in ("red", "green", "blue") for band in _BANDS),
    "red_over_blue",
    "photon_noise",
    "light",
    "share_seen",
    "resolved",
    "response",
    "dark",
    "saturated",
    "bits",
    *(f"coarser_{colour}" for colour in ("red", "green", "blue")),
)
_DECADES = 3.0  # energies 1e-6 .. 1 are told as -1 .. 1
_MOST_BITS = 10.0


def look_contrast(sighting: Sighting, config: EyeConfig) -> Contrast:
    """Contrast of a look's window, photons taken out where they were drawn, with the noise there is or would be."""
    photons = sighting.photons if config.photon_noise else None
    contrast = window_contrast(sighting.window, sighting.offset_px, photons, sighting.is_inside)
    if config.photon_noise:
        return contrast
    powers = torch.tensor(noise_powers(), dtype=contrast.mean.dtype, device=contrast.mean.device)
    noise = powers / (contrast.mean.clamp_min(1e-6) * sighting.photons[:, None])[..., None]
    return replace(contrast, noise=noise)


def look_response(sighting: Sighting, config: EyeConfig) -> Told:
    """What the receptors tell of a look's window."""
    receptor = RECEPTORS[config.receptor]
    seen = (sighting.window, sighting.unit_td, sighting.photons)
    return tell(*seen, receptor, is_noisy=config.photon_noise, is_inside=sighting.is_inside)


def significant(contrast: Contrast, config: EyeConfig) -> Tensor:
    """Energy (B, 3, N_BANDS), 0 where photons alone may have made it."""
    if not config.photon_noise:
        return contrast.energy
    return torch.where(contrast.energy > SURE * contrast.noise_error, contrast.energy, 0.0)


def weigh(contrast: Contrast, told: Told, config: EyeConfig) -> dict[str, Tensor]:
    """The terms of lens and pupil of B looks, each (B,), differentiable in the eye.

    *focus*: minus the log of fine over coarse contrast at the gaze, of green: 0.1 x (ln coarse - mean of the bands'
    ln), 0 where there is no contrast. *pupil*: minus the bits that a pixel of the window tells of contrast, a tenth
    (:func:`ciliary.cortex.eye.receptor.tell`): narrow pupils are dark, wide ones blur, and saturate where it is light.
    """
    sure = significant(contrast, config)
    bands = (sure[:, _GREEN] + LEAST_ENERGY).log().mean(-1)
    coarse = (contrast.coarse[:, _GREEN] + LEAST_ENERGY).log()
    return {"focus": _FOCUS_WEIGHT * (coarse - bands), "pupil": -_PUPIL_WEIGHT * told.bits}


def counted(config: EyeConfig) -> list[str]:
    """The terms that are in the total: those of the free muscles."""
    return sorted({_OF_MUSCLE[name] for name in config.muscles})


def measure(contrast: Contrast, told: Told, unresolved: Tensor, config: EyeConfig) -> dict[str, np.ndarray]:
    """Terms of B looks, each (B,) float64, the total last.

    Those of :func:`weigh`, and *gaze*: ``unresolved`` (B,), of :func:`ciliary.envs.eye.priority.gaze_worth`, 0 to 1.
    """
    terms = {"gaze": unresolved, **weigh(contrast, told, config)}
    found = {name: value.double().cpu().numpy() for name, value in terms.items()}
    return {**found, "total": np.sum([found[name] for name in counted(config)], axis=0)}


def statistics(contrast: Contrast, told: Told, mosaic: Mosaic, config: EyeConfig) -> np.ndarray:
    """The entries of :data:`STATISTICS`, (B, D) float32 in [-1, 1].

    Contrast energies by colour and band, photons taken out: log10 from 1e-6 (-1) to 1 (1); the log ratio of red to blue
    fine contrast over 3 (negative: the lens is set too far, look nearer); the photons' own energy in a pixel of green,
    log10 like the others; mean light; share of the field that was seen; acuity gained, of what the fovea could; mean
    response of the window's receptors, and shares of its pixels where it is too dark or too light for them; the bits
    that they tell, of 10; and contrast coarser than the bands, by colour, like the energies. So all that the terms of
    lens and pupil are made of is told.
    """
    energy = contrast.energy
    energies = (energy.clamp_min(1e-6).log10() + _DECADES) / _DECADES
    pair = significant(contrast, config)[:, ::2, 0] + LEAST_ENERGY
    ratio = 0.5 * (pair[:, 0] / pair[:, 1]).log() / 3
    pixel = contrast.noise[:, _GREEN, 0] / noise_powers()[0]
    seen = mosaic.is_seen.double().mean((1, 2, 3))
    gained = (config.lattice.finest_deg * mosaic.acuity).clamp_max(1).double().mean((1, 2, 3))
    columns = [
        *energies.flatten(1).unbind(1),
        ratio,
        (pixel.clamp_min(1e-6).log10() + _DECADES) / _DECADES,
        contrast.mean.mean(1),
        seen,
        gained,
        told.mean,
        told.dark,
        told.saturated,
        told.bits / _MOST_BITS,
        *((contrast.coarse.clamp_min(1e-6).log10() + _DECADES) / _DECADES).unbind(1),
    ]
    table = torch.stack([column.double() for column in columns], 1).nan_to_num(0.0).clamp(-1, 1)
    return np.asarray(table.to(torch.float32).cpu().numpy())


def read_statistics(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an agent may read from ``statistics`` (D,): energies (3, N_BANDS) and their standard errors by photons."""
    n = 3 * N_BANDS
    energy = 10.0 ** (np.asarray(told[:n], dtype=np.float64).reshape(3, N_BANDS) * _DECADES - _DECADES)
    return energy, (read_noise(told) * np.array(relative_errors()))[None].repeat(3, 0)


def read_noise(told: np.ndarray) -> np.ndarray:
    """Likewise the photons' energy in each band, (N_BANDS,)."""
    pixel = 10.0 ** (float(told[STATISTICS.index("photon_noise")]) * _DECADES - _DECADES)
    return np.asarray(pixel * np.array(noise_powers()))


def read_worth(told: np.ndarray) -> tuple[float, float]:
    """What an agent may read from ``statistics`` (D,): bits of the receptors, and green's energy beyond the bands."""
    bits, coarse = (float(told[STATISTICS.index(name)]) for name in ("bits", "coarser_green"))
    return _MOST_BITS * bits, 10.0 ** (coarse * _DECADES - _DECADES)
