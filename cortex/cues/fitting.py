"""Fit the projection of a network: whitened principal components of its stages over photographs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.cues.network import Network
from ciliary.cortex.cues.projection import Projection
from ciliary.cortex.device import device_of, widest

N_COMPONENTS = {4: 16, 8: 24, 16: 32}  # at most, of stages up to that stride, px
N_FULL = 12  # leading components of each stage in the full-size map: memory
SIZES_PX = (128, 192, 320, 481)  # long sides that each photograph is seen at, none enlarged
_FLOOR = 1e-6  # of the largest variance: a component below it is rounding, and is not stretched to unit variance


def fit_projection(
    network: Network,
    photographs: Iterable[Tensor],
    *,
    sizes_px: Sequence[int] = SIZES_PX,
    about: Mapping[str, Any] | None = None,
) -> Projection:
    """Principal components of each stage over all photographs; each photograph at each size counts the same.

    Args:
        network: whose stages; it sees and sums where it lies.
        photographs: (3, H, W) sRGB in [0, 1] each.
        sizes_px: long sides that each is seen at; those above its own are left out, but for the smallest.
        about: where the photographs come from, kept with the projection.

    Raises:
        ValueError: no photographs.
    """
    there = device_of(network)
    moments = [StageMoments(c, s, there) for c, s in zip(network.channels, network.strides, strict=True)]
    n_photographs = n_views = 0
    for photograph in photographs:
        n_photographs += 1
        for view in at_sizes(photograph.to(there), sizes_px):
            n_views += 1
            for own, maps in zip(moments, network(view), strict=True):
                own.add(maps, (view.shape[-2], view.shape[-1]))
    if not n_photographs:
        raise ValueError("expected at least one photograph to fit a projection on, got none")
    parts = [own.components(len(moments)) for own in moments]
    mean, axes, scale = (tuple(column) for column in zip(*parts, strict=True))
    counted = {"photographs": n_photographs, "views": n_views, "sizes_px": list(sizes_px)}
    return Projection(mean, axes, scale, {**(about or {}), **counted})


def at_sizes(photograph: Tensor, sizes_px: Sequence[int]) -> list[Tensor]:
    """(3, H, W) as (1, 3, h, w) at each long side that does not enlarge it; at its own if it is smaller than all."""
    long_side = max(photograph.shape[-2:])
    views = []
    for size_px in [n for n in sizes_px if n <= long_side] or [long_side]:
        size = [max(32, round(n * size_px / long_side)) for n in photograph.shape[-2:]]
        view = F.interpolate(photograph[None], size=size, mode="bilinear", antialias=True, align_corners=False)
        views.append(view.clamp(0, 1))
    return views


class StageMoments:
    """Sums of one stage over views, in float64: on the CPU where a device has none."""

    def __init__(self, n_channels: int, stride: int, device: torch.device | None = None):
        self.stride, self.n_views = stride, 0
        self.device = torch.device("cpu") if device is None or widest(device) != torch.float64 else device

        def zeros(*size: int) -> Tensor:
            return torch.zeros(*size, dtype=torch.float64, device=self.device)

        self.first = zeros(n_channels)
        self.second = zeros(n_channels, n_channels)  # about zero, over cells
        self.within = zeros(n_channels, n_channels)  # about each view's mean, over pixels

    def add(self, maps: Tensor, size: tuple[int, int]) -> None:
        """Count one view: maps (1, C, h, w) of an image of ``size``."""
        x = maps[0].to(self.device).double()
        flat = x.flatten(1)
        self.first += flat.mean(1)
        self.second += flat @ flat.mT / flat.shape[1]
        # The covariance of the maps at every pixel without making them: interpolation is linear and separable.
        rows, columns = (
            interpolation(n, len_px, self.stride).to(x) for n, len_px in zip(x.shape[1:], size, strict=True)
        )
        mean = torch.einsum("chw,h,w->c", x, rows.mean(0), columns.mean(0))
        spread = torch.einsum("chw,hi,wj->cij", x, rows.mT @ rows / size[0], columns.mT @ columns / size[1])
        self.within += spread.flatten(1) @ flat.mT - mean[:, None] * mean
        self.n_views += 1

    def components(self, n_stages: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, axes and scale of :class:`Projection`, on the CPU."""
        mean, second, within = (x.cpu() / self.n_views for x in (self.first, self.second, self.within))
        variance, axes = torch.linalg.eigh(second - mean[:, None] * mean)
        variance, axes = variance.flip(0), axes.flip(1).mT
        wanted = next((n for stride, n in N_COMPONENTS.items() if self.stride <= stride), max(N_COMPONENTS.values()))
        n = max(1, min(wanted, int((variance > _FLOOR * variance[0].clamp_min(1e-12)).sum())))
        axes, spread = axes[:n], variance[:n].clamp_min(1e-12).sqrt()
        axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()  # of the two signs always the same
        whitened = axes / spread[:, None]
        # Distances in the full-size map are those of the network: what varies more says more, as without whitening.
        scale = spread[:N_FULL]
        full = (whitened[:N_FULL] * scale[:, None]) @ within
        total = (full * whitened[:N_FULL] * scale[:, None]).sum()
        scale = scale / (n_stages * total.clamp_min(1e-12)).sqrt()
        return mean.float(), whitened.float(), scale.float()


def interpolation(n_cells: int, n_px: int, stride: int) -> Tensor:
    """(n_px, n_cells) weights of bilinear interpolation along one axis, cut to the image's pixels."""
    cells = torch.eye(n_cells, dtype=torch.float64)[None]
    return F.interpolate(cells, scale_factor=stride, mode="linear", align_corners=False)[0, :, :n_px].mT
