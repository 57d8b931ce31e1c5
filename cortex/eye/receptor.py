"""What receptors make of light: a response that is compressed and saturates, and what it still tells of contrast.

Light alone is told the better the more there is of it. A response is not: contrast is small where it is dark, and in
the light where the response is at its most. Between the two lies the light that a pupil is to let in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ciliary.cortex.eye.contrast import MARGIN_PX, SURE, noise_powers, split_bands
from ciliary.cortex.ops.guided import LUMA, luminance

_LEAST_TD = 1e-6
#: Of what the middle of its range tells of contrast: where a receptor tells less it is dark, or saturated.
_LITTLE = 0.5


@dataclass(frozen=True)
class Receptor:
    """R = I^n / (I^n + half^n) (Naka & Rushton 1966), I in trolands and never above what fills the well.

    Attributes:
        exponent: n, > 0; of primate cones 0.7 to 1, and 0.74 where the table of Valeton & van Norren (1983) is used.
        half_td: light of half the largest response, > 0; of cones that are little adapted 10^3.2 td (their table 1;
            10^3.5 before a background of 100 td, 10^3.9 of 1000).
        well_td: light that fills it, > 0; infinite for cones, which bleach instead.
        noise: standard deviation of the response of a pixel, >= 0, that is not the photons'. No measured constant: on
            photographs in uneven light all from 0.0005 to 0.005 choose alike.
    """

    exponent: float = 0.74
    half_td: float = 10**3.2
    well_td: float = math.inf
    noise: float = 0.002

    def __post_init__(self) -> None:
        if min(self.exponent, self.half_td, self.well_td) <= 0 or self.noise < 0:
            raise ValueError(
                "expected exponent, half_td and well_td > 0 and noise >= 0, got "
                f"{self.exponent}, {self.half_td}, {self.well_td} and {self.noise}"
            )

    def response(self, light_td: Tensor) -> Tensor:
        """0 to 1, of light >= 0 in trolands, any shape."""
        power = (light_td.clamp(_LEAST_TD, self.well_td) / self.half_td) ** self.exponent
        return power / (power + 1)

    def gain(self, light_td: Tensor) -> Tensor:
        """Change of the response by contrast, d R / d ln I = n R (1 - R); 0 in a full well."""
        response = self.response(light_td)
        return torch.where(light_td < self.well_td, self.exponent * response * (1 - response), 0.0)


CONES = Receptor()
#: The same compression, about a camera's gamma, in wells that are full at a display's white (80 cd/m2) through a pupil
#: of 4 mm.
SENSOR = Receptor(well_td=80.0 * math.pi / 4 * 4.0**2)
RECEPTORS: Mapping[str, Receptor] = MappingProxyType({"cones": CONES, "sensor": SENSOR})


@dataclass(frozen=True, eq=False)
class Told:
    """What the response to B windows tells; all (B,).

    Attributes:
        bits: of contrast, a pixel, under the noise of photons and receptors.
        mean: response, 0 to 1.
        dark, saturated: shares of pixels that tell of contrast less than half of what they could, too dark or too
            light for it.
    """

    bits: Tensor
    mean: Tensor
    dark: Tensor
    saturated: Tensor


def tell(
    light: Tensor,
    unit_td: Tensor,
    photons: Tensor,
    receptor: Receptor,
    *,
    is_noisy: bool,
    is_inside: Tensor | None = None,
) -> Told:
    """What receptors tell of windows, all pixels alike: one pupil serves all that is seen.

    The response is to luminance. In each band (:func:`ciliary.cortex.eye.contrast.split_bands`) a pixel tells
    0.5 log2(1 + contrast of the response / noise) bits (Shannon 1949), 0 where photons alone may have made it.

    Args:
        light: (B, 3, W, W), linear, W >= 32.
        unit_td: (B,) trolands of light 1.
        photons: (B,) photons that a pixel catches of light 1.
        receptor: what they fall on.
        is_noisy: ``light`` has the photons' noise, whose variance then is taken out of its contrast.
        is_inside: (B, 2, W) bool, rows and columns that the scene has; the others do not count. None: all are.
    """
    light_td = luminance(light) * unit_td[:, None, None, None]
    response, gain = receptor.response(light_td), receptor.gain(light_td)
    weights = light.new_tensor(LUMA).view(3, 1, 1)
    photon_td = (light.clamp_min(0) * weights**2).sum(1, keepdim=True) * (unit_td**2 / photons)[:, None, None, None]
    share = None if is_inside is None else is_inside.to(light.dtype)
    photon_noise = _mean(photon_td * (gain / light_td.clamp_min(_LEAST_TD)) ** 2, share)  # of the response
    bits = torch.zeros_like(photon_noise)
    details, _ = split_bands(response)
    inside = share
    for band, (detail, power) in enumerate(zip(details, noise_powers(), strict=True)):
        if inside is not None:
            inside = (inside if band == 0 else inside[..., ::2])[..., MARGIN_PX:-MARGIN_PX]
        contrast = _mean(detail.square(), inside)
        if is_noisy:
            own = photon_noise * power
            contrast = contrast - own
            n = detail[0].numel() if inside is None else inside.sum(-1).prod(-1).clamp_min(1)
            contrast = torch.where(contrast > SURE * own * (2 / torch.as_tensor(n)).sqrt(), contrast, 0.0)
        bits = bits + 0.5 * torch.log2(1 + contrast / ((photon_noise + receptor.noise**2) * power).clamp_min(1e-12))
    is_little = gain < _LITTLE * receptor.exponent / 4  # n R (1 - R) is n / 4 at R = 1/2
    is_light = (light_td >= receptor.well_td) | (response > 0.5)
    return Told(
        bits / len(details),
        _mean(response, share),
        _mean((is_little & ~is_light).to(bits.dtype), share),
        _mean((is_little & is_light).to(bits.dtype), share),
    )


def _mean(x: Tensor, inside: Tensor | None) -> Tensor:
    """Of (B, 1, n, n), (B,); of the rows and columns that are inside, (B, 2, n), where there are any."""
    if inside is None:
        return x.mean((1, 2, 3))
    some = torch.where(inside.sum(-1, keepdim=True) > 0, inside, torch.ones_like(inside))
    weight = (some[:, 0, :, None] * some[:, 1, None, :])[:, None]
    return (x * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))
