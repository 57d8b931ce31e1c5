"""Relative depth from four monocular ("pictorial") cues. Closed form, no weights.

What it can do: order ground, middle distance and sky in outdoor pictures taken level, and push hazy or flat regions
back. What it cannot: it knows no objects. It has no occlusion, no familiar size, no perspective lines; it takes a
white wall or an overcast foreground for haze, a blurred near object for a far one, a tilted or upside-down picture
for a level one, and indoors its height cue is wrong above the horizon line (ceilings are near). It is a weak prior
that may enter grouping with a weight, never a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.base import check_image
from ciliary.cortex.ops.guided import box_mean, guided_upsample, luminance

_MIN_CONTRAST = 0.02  # Weber contrast below which an image is called flat, so that noise is not stretched
_NOISE_VARIANCE = 1e-4  # (1 % of the range)^2: texture scale means nothing below it


@dataclass(frozen=True)
class PictorialSettings:
    """Weights of the cues (normalised to a sum of 1; set a priori, not fitted) and scales.

    ``height_weight``: height in the picture plane (Epstein 1966): higher is farther.
    ``haze_weight``: aerial perspective by the dark channel, min over RGB = value * (1 - saturation), over the airlight
        (He, Sun & Tang 2009): brighter and greyer is farther.
    ``contrast_weight``: aerial perspective by loss of local contrast (O'Shea et al. 1994): lower is farther.
    ``texture_weight``: texture gradient (Gibson 1950): finer than the image's mean is farther.
    """

    height_weight: float = 0.5
    haze_weight: float = 0.2
    contrast_weight: float = 0.15
    texture_weight: float = 0.15
    work_px: int = 48  # long side of the grid the cues are pooled on: windows are fractions of the image, not pixels
    window: int = 5  # odd, on that grid
    smoothness: float = 1e-3  # epsilon of the guided filter, (luminance)^2

    def __post_init__(self) -> None:
        weights = (self.height_weight, self.haze_weight, self.contrast_weight, self.texture_weight)
        if min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"expected cue weights >= 0 with a positive sum, got {weights}")
        if self.window < 3 or self.window % 2 == 0:
            raise ValueError(f"expected an odd window >= 3, got {self.window}")


def pictorial_depth(image: Tensor, settings: PictorialSettings | None = None) -> Tensor:
    """Relative depth from monocular cues.

    Args:
        image: (B, 3, H, W) sRGB in [0, 1]; values outside are clipped.
        settings: weights and scales.

    Returns:
        (B, 1, H, W) in [0, 1], 1 far. Deterministic, differentiable in the image, samples independent of each other.
    """
    check_image(image)
    s = settings or PictorialSettings()
    image = image.clamp(0, 1)
    luma = luminance(image)
    dark = image.amin(1, keepdim=True)
    maps = torch.cat([luma, luma.square(), _gradient_energy(luma), dark], 1)
    low = _shrink(maps, s.work_px)  # pooled by area: sums of squares stay exact
    mean, square, gradient, _ = box_mean(low, s.window).split(1, 1)
    variance = (square - mean.square()).clamp_min(0)

    height, width = low.shape[-2:]
    rows = torch.arange(height, dtype=image.dtype, device=image.device)
    up = (1 - (rows + 0.5) / height).view(1, 1, -1, 1).expand(image.shape[0], 1, -1, width)
    # The minimum over a patch rejects small white things, the box after it hides the patches.
    patch = box_mean(-F.max_pool2d(-low[:, 3:], 5, 1, 2), 5)
    haze = patch / F.avg_pool2d(image, 4, ceil_mode=True).amax((1, 2, 3), keepdim=True).clamp_min(0.1)
    contrast = (variance + 1e-8).sqrt() / (mean + 0.05)
    flat = torch.exp(-contrast / contrast.mean((2, 3), keepdim=True).clamp_min(_MIN_CONTRAST))
    fineness = (gradient / (variance + _NOISE_VARIANCE) + 1e-8).sqrt()
    fine = fineness / (fineness + fineness.mean((2, 3), keepdim=True))
    trust = variance / (variance + _NOISE_VARIANCE)  # no texture, no opinion
    fine = 0.5 + trust * (fine - 0.5)

    weights = (s.height_weight, s.haze_weight, s.contrast_weight, s.texture_weight)
    depth = sum(w * cue for w, cue in zip(weights, (up, haze, flat, fine), strict=True)) / sum(weights)
    return guided_upsample(depth, low[:, :1], luma, window=s.window, epsilon=s.smoothness).clamp(0, 1)


class PictorialDepth(nn.Module):
    """:func:`pictorial_depth` as a provider."""

    def __init__(self, settings: PictorialSettings | None = None):
        super().__init__()
        self.settings = settings or PictorialSettings()

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H, W), see :func:`pictorial_depth`."""
        return pictorial_depth(image, self.settings)


def _gradient_energy(luma: Tensor) -> Tensor:
    """Squared gradient (B, 1, H, W) by forward differences; 0 beyond the last row and column."""
    dx = F.pad(luma[..., :, 1:] - luma[..., :, :-1], (0, 1, 0, 0))
    dy = F.pad(luma[..., 1:, :] - luma[..., :-1, :], (0, 0, 0, 1))
    return dx.square() + dy.square()


def _shrink(maps: Tensor, long_px: int) -> Tensor:
    scale = long_px / max(maps.shape[-2:])
    if scale >= 1:
        return maps
    size = [max(1, round(n * scale)) for n in maps.shape[-2:]]
    return F.interpolate(maps, size=size, mode="area")
