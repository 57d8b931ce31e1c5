"""What is to be expected where the eye has not looked closely: the whole scene's priority, told from a mosaic.

Maps of conspicuity compare places by their structure, of which the periphery of a glance has little: of a mosaic they
send the eye back to where it has been. A small network therefore tells from what was seen, however coarsely, what
priority the sharp scene would have at each place. Photographs are its only teacher: their own priority, and glances at
them (``ciliary train expectation``). It is the belief of a searcher (Najemnik and Geisler 2005), learned.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.dorsal.priority import normalised
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.stages.contour_net import ConvNorm, Residual, fuse_norms
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.cortex.stages.weights import fill

#: What the network is shown has so many pixels a degree, a cell of its answer two of them to a side.
PX_PER_DEG = 2.4
STEP_PX = 2
SHIPPED = Path(__file__).parent / "weights" / "expectation.safetensors"
_MULTIPLE_PX = 8
_MEAN, _SPREAD = 0.45, 0.25  # of photographs in sRGB


class ExpectationNet(nn.Module):
    """A pyramid of plain convolutions, from what was seen (B, 5, H, W) to the log of a density (B, 1, H / 2, W / 2).

    Args:
        widths: channels at strides 2, 4 and 8.
    """

    def __init__(self, widths: tuple[int, int, int] = (24, 40, 64)) -> None:
        super().__init__()
        fine, middle, deep = widths
        self.enter = nn.Sequential(ConvNorm(5 * STEP_PX**2, fine, 3), ConvNorm(fine, fine, 3))
        self.middle = nn.Sequential(ConvNorm(fine, middle, 3, stride=2), Residual(middle))
        self.deep = nn.Sequential(ConvNorm(middle, deep, 3, stride=2), Residual(deep), Residual(deep, dilation=2))
        self.up = nn.ModuleList([ConvNorm(deep, middle, 1), ConvNorm(middle, fine, 1)])
        self.merge = ConvNorm(middle, middle, 3)
        self.leave = nn.Conv2d(fine, 1, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        """The log of a density, but for a constant."""
        h, w = (-(-side // STEP_PX) for side in seen.shape[-2:])
        seen = F.pad(seen, (0, -seen.shape[-1] % _MULTIPLE_PX, 0, -seen.shape[-2] % _MULTIPLE_PX), mode="replicate")
        fine = self.enter(F.pixel_unshuffle(seen, STEP_PX))
        middle = self.middle(fine)
        up = F.interpolate(self.up[0](self.deep(middle)), size=middle.shape[-2:], mode="bilinear")
        middle = self.merge(middle + up)
        fine = fine + F.interpolate(self.up[1](middle), size=fine.shape[-2:], mode="bilinear")
        told: Tensor = self.leave(fine)
        return told[..., :h, :w]


def unresolved(mosaic: Mosaic, lattice: FoveatedLattice) -> Tensor:
    """Acuity still to be gained, (B, 1, H, W): octaves of spacing over the fovea's; 1 at the rim and unseen."""
    return octaves(mosaic.spacing_deg, lattice)


def octaves(spacing_deg: Tensor, lattice: FoveatedLattice) -> Tensor:
    """Spacings in octaves over the fovea's, of those between it and the rim's: in [0, 1]."""
    rim = 1 + lattice.reach_deg / lattice.e2_deg
    return ((spacing_deg / lattice.finest_deg).log() / math.log(rim)).clamp(0, 1)


def sheet(mosaic: Mosaic, lattice: FoveatedLattice) -> Tensor:
    """What the network is shown of a mosaic, (B, 5, h, w) of :data:`PX_PER_DEG`: sRGB, acuity to gain, what was seen.

    Means over the mosaic's pixels; what was not seen has the mean colour.
    """
    height, width = mosaic.image.shape[-2:]
    scale = PX_PER_DEG / mosaic.px_per_deg
    size = (max(round(height * scale), STEP_PX), max(round(width * scale), STEP_PX))
    seen = mosaic.is_seen.to(mosaic.image.dtype)
    parts = torch.cat([mosaic.image * seen, unresolved(mosaic, lattice), seen], 1)
    if size != (height, width):
        parts = F.interpolate(parts, size=size, mode="area")
    light, left, seen = parts[:, :3], parts[:, 3:4], parts[:, 4:]
    colour = (linear_to_srgb((light / seen.clamp_min(1e-6)).clamp(0, 1)) - _MEAN) / _SPREAD
    return torch.cat([colour * (seen > 0), 2 * left - 1, seen], 1)


def read_expectation(path: Path | None = None) -> ExpectationNet:
    """The network with its weights, frozen and ready; those that come along, read once for all, when None.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it holds something else.
    """
    return _shipped() if path is None else _read(path)


@lru_cache(maxsize=1)
def _shipped() -> ExpectationNet:
    return _read(SHIPPED)


def _read(path: Path) -> ExpectationNet:
    net = ExpectationNet()
    fill({"expectation": net}, path, "train one with: ciliary train expectation")
    fuse_norms(net)
    return net


def expected_priority(
    mosaic: Mosaic, lattice: FoveatedLattice, *, net: ExpectationNet | None = None, prior: Tensor | None = None
) -> Tensor:
    """The density of priority to be expected of what was seen, (B, 1, h, w), that sums to 1.

    Args:
        mosaic: what was seen.
        lattice: it was seen with.
        net: the one that comes along when None.
        prior: (1 or B, 1, h, w) > 0, that multiplies it; of another size it is resampled.
    """
    net = read_expectation() if net is None else net
    told = net(sheet(mosaic, lattice))
    density = torch.softmax(told.flatten(1), 1).view_as(told)
    if prior is None:
        return density
    if prior.shape[-2:] != told.shape[-2:]:
        prior = F.interpolate(prior, size=told.shape[-2:], mode="bilinear", antialias=True)
    return normalised(density * prior)
