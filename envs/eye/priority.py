"""Where looking would pay: contrast that was seen, times acuity that is still to be gained there."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import Mosaic

PRIORITY_PX = (36, 48)
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # IEC 61966-2-1
#: Contrast below which nothing is there: over what photons do to a foveal sample at 80 cd/m2 (0.7 %), three times.
LEAST_CONTRAST = 0.03
_REACH_PX = 2


def priority_map(mosaic: Mosaic, lattice: FoveatedLattice = FoveatedLattice()) -> Tensor:  # noqa: B008 -- frozen
    """The map a gaze is chosen by, (B, 1, 36, 48), >= 0, sum 1; uniform where there is nothing to see."""
    told = F.adaptive_avg_pool2d(fine_contrast(mosaic) * unresolved(mosaic, lattice), PRIORITY_PX)
    total = told.sum((1, 2, 3), keepdim=True)
    return torch.where(total > 0, told / total.clamp_min(1e-12), torch.full_like(told, 1 / told[0].numel()))


def fine_contrast(mosaic: Mosaic) -> Tensor:
    """Fine local contrast of what was seen over :data:`LEAST_CONTRAST`, (B, 1, H, W).

    Where nothing was seen it is the mean of what was: there is no reason to expect more or less.
    """
    weights = torch.tensor(_LUMINANCE, dtype=mosaic.image.dtype, device=mosaic.image.device).view(1, 3, 1, 1)
    seen = mosaic.is_seen.to(mosaic.image.dtype)
    n_seen = seen.sum((2, 3), keepdim=True).clamp_min(1)
    light = (mosaic.image * weights).sum(1, keepdim=True) * seen
    mean = light.sum((2, 3), keepdim=True) / n_seen
    side = 2 * _REACH_PX + 1
    around, inside = (F.avg_pool2d(x, side, 1, _REACH_PX, count_include_pad=False) for x in (light, seen))
    contrast = (light - around / inside.clamp_min(1e-6)).abs() / mean.clamp_min(1e-6)
    contrast = (contrast - LEAST_CONTRAST).clamp_min(0) * seen
    expected = contrast.sum((2, 3), keepdim=True) / n_seen
    return torch.where(mosaic.is_seen, contrast, expected)


def unresolved(mosaic: Mosaic, lattice: FoveatedLattice) -> Tensor:
    """Acuity still to be gained, (B, 1, H, W): octaves of spacing over the fovea's; 1 at the rim and unseen."""
    rim = lattice.finest_deg * (1 + lattice.reach_deg / lattice.e2_deg)
    octaves = (mosaic.spacing_deg / lattice.finest_deg).log() / math.log(rim / lattice.finest_deg)
    return octaves.clamp(0, 1)


def unresolved_share(mosaic: Mosaic, lattice: FoveatedLattice) -> Tensor:
    """Priority-weighted unresolved acuity, (B,) in [0, 1]; 0 where there is nothing to see."""
    contrast = fine_contrast(mosaic)
    total = contrast.sum((1, 2, 3))
    left = (contrast * unresolved(mosaic, lattice)).sum((1, 2, 3))
    return torch.where(total > 0, left / total.clamp_min(1e-12), torch.zeros_like(total))
