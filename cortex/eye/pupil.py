"""The pupil and the light it lets in: steady size, trolands, photons and their noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Watson & Yellott 2012, eq. 21, about Stanley & Davies 1995.
_REFERENCE_AGE_YEARS = 28.58
_ONE_EYE = 0.1  # one eye counts a tenth of two
_FLUX_CD_DEG2_M2, _EXPONENT = 846.0, 0.41
_WIDEST_MM, _RANGE_MM = 7.75, 5.75
_AGE_MM, _AGE_PER_MM = 0.021323, 0.0095623
_AGES_YEARS = (20.0, 83.0)

# Photons of one troland, a second and a square degree, at 555 nm: 1e-6 lm/sr x (pi/180)^2 sr / (683 lm/W) / (h c / nm).
_JOULE_A_PHOTON = 6.62607015e-34 * 2.99792458e8 / 555e-9
PHOTONS_PER_TROLAND_S_DEG2 = 1e-6 * math.radians(1) ** 2 / 683.0 / _JOULE_A_PHOTON  # 1.246e6
#: Share of the photons at the cornea that cones turn into signals; of that order for the human fovea (Barlow 1977), and
#: no measured constant here.
QUANTUM_EFFICIENCY = 0.1
#: A fixation (Rayner 1998).
FIXATION_S = 0.25


def steady_pupil_mm(
    luminance_cd_m2: Tensor,
    field_deg2: Tensor | float,
    *,
    age_years: float = _REFERENCE_AGE_YEARS,
    n_eyes: int = 2,
) -> Tensor:
    """Diameter of the light-adapted pupil by the unified formula (Watson & Yellott 2012, eq. 21).

    Args:
        luminance_cd_m2: mean luminance of the field, >= 0, any shape.
        field_deg2: area of the field in square degrees, broadcast.
        age_years: 20 to 83, the range of the formula.
        n_eyes: 1 or 2; one eye alone counts a tenth.

    Returns:
        Diameters in mm, 2 to 8.2 (young eyes in the dark are past the range of ``pupil_mm``); differentiable.

    Raises:
        ValueError: another age or number of eyes.
    """
    if n_eyes not in (1, 2):
        raise ValueError(f"expected n_eyes 1 or 2, got {n_eyes}")
    if not _AGES_YEARS[0] <= age_years <= _AGES_YEARS[1]:
        raise ValueError(f"expected age_years from {_AGES_YEARS[0]:g} to {_AGES_YEARS[1]:g}, got {age_years:g}")
    flux = luminance_cd_m2 * field_deg2 * (_ONE_EYE if n_eyes == 1 else 1.0)
    power = (flux / _FLUX_CD_DEG2_M2).clamp_min(1e-12) ** _EXPONENT
    young = _WIDEST_MM - _RANGE_MM * power / (power + 2)
    return young + (age_years - _REFERENCE_AGE_YEARS) * (_AGE_MM - _AGE_PER_MM * young)


def trolands(luminance_cd_m2: Tensor, pupil_mm: Tensor) -> Tensor:
    """Light on the retina: luminance (B, ...) in cd/m2 x area of the pupil (B,) in mm2; so x 4 for a pupil x 2."""
    area_mm2 = math.pi / 4 * pupil_mm**2
    return luminance_cd_m2 * area_mm2.reshape(-1, *[1] * (luminance_cd_m2.ndim - 1))


def expected_photons(
    luminance_cd_m2: Tensor,
    pupil_mm: Tensor,
    *,
    area_deg2: Tensor | float,
    exposure_s: float = FIXATION_S,
    efficiency: float = QUANTUM_EFFICIENCY,
) -> Tensor:
    """Mean number of photons that a receiver of that area catches, of light of 555 nm.

    Args:
        luminance_cd_m2: (B, ...).
        pupil_mm: (B,).
        area_deg2: of a pixel (1 / px_per_deg^2) or a sample (spacing^2), broadcast.
        exposure_s: how long it gathers.
        efficiency: share of the photons that count.
    """
    rate = PHOTONS_PER_TROLAND_S_DEG2 * exposure_s * efficiency
    return trolands(luminance_cd_m2, pupil_mm) * rate * area_deg2


def draw_photons(expected: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None) -> Tensor:
    """Counts of photons: Poisson, exactly, with a gradient.

    The count is written as mean + z x sqrt(mean), z drawn from Poisson's own distribution and then held fixed. Forward
    it is a Poisson number at any mean, also in the dark where a Gaussian is wrong; backward it is the reparametrised
    Gaussian, so the gradient knows that more light brings more noise. Below one photon sqrt(mean) is held at 1 there.

    Args:
        expected: (B, ...) means, >= 0.
        generator: of the CPU, whatever the device, so that a seed gives the same numbers everywhere; a sequence has one
            for each of the B, so that a batch draws what its rows would alone. None: no noise, ``expected`` itself.

    Raises:
        ValueError: a sequence of another length than B.
    """
    if generator is None:
        return expected
    mean = expected.detach().cpu()
    if isinstance(generator, torch.Generator):
        drawn = torch.poisson(mean, generator=generator)
    elif len(generator) == len(mean):
        drawn = torch.stack([torch.poisson(row, generator=one) for row, one in zip(mean, generator, strict=True)])
    else:
        raise ValueError(f"expected one generator or {len(mean)}, one a row of the batch, got {len(generator)}")
    scale = expected.clamp_min(1.0).sqrt()
    z = (drawn.to(expected.device) - expected.detach()) / scale.detach()
    return expected + z * scale


def seen_light(
    luminance_cd_m2: Tensor,
    pupil_mm: Tensor,
    *,
    area_deg2: Tensor | float,
    generator: torch.Generator | Sequence[torch.Generator] | None,
    exposure_s: float = FIXATION_S,
    efficiency: float = QUANTUM_EFFICIENCY,
) -> Tensor:
    """Light as it is known from the photons caught, in its own unit: brighter or a wider pupil, less noise.

    Without a generator it is the light itself, unchanged. Arguments as in :func:`expected_photons` and
    :func:`draw_photons`.
    """
    if generator is None:
        return luminance_cd_m2
    one = torch.ones_like(luminance_cd_m2)
    gain = expected_photons(one, pupil_mm, area_deg2=area_deg2, exposure_s=exposure_s, efficiency=efficiency)
    return draw_photons(luminance_cd_m2 * gain, generator) / gain
