"""What there is to explain in an image, fixed before any percept: colour, texture, and what a blind grid explains."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

# IEC 61966-2-1 (sRGB, D65) to CIE XYZ, rows divided by the white point (0.95047, 1, 1.08883).
_XYZ = torch.tensor([[0.43395, 0.37622, 0.18983], [0.21267, 0.71516, 0.07217], [0.01776, 0.10948, 0.87277]])
_GRID_CELLS = (1, 2, 4, 6, 9, 12, 16, 20, 25, 36, 49)
_TEXTURE_GAIN = 1.5  # brings local contrast to the spread of L on photographs
_TEXTURE_SCALES_PX = (1.0, 2.0)  # of the difference of Gaussians, in pixels of the pooled image
_NOISE_VARIANCE = 1.0  # Delta E^2: variance under one just noticeable difference is nothing to explain


@dataclass(frozen=True)
class Reference:
    """Fixed features of E images at pooled size (h, w)."""

    features: Tensor  # (E, C, h, w) CIE Lab and local contrast, centred on each image's mean, in Delta E units
    variance: Tensor  # (E,) their total variance plus the noise floor
    grid_log_cells: Tensor  # (T,) ascending
    grid_explained: Tensor  # (E, T) share of variance explained by grids of as many cells, ascending in T

    def __len__(self) -> int:
        return self.features.shape[0]

    def __getitem__(self, index: Tensor) -> Reference:
        return Reference(self.features[index], self.variance[index], self.grid_log_cells, self.grid_explained[index])

    @staticmethod
    def cat(rows: list[Reference]) -> Reference:
        """One reference of all rows; they must share (h, w)."""
        taken = {
            f.name: torch.cat([getattr(r, f.name) for r in rows])
            for f in fields(Reference)
            if f.name != "grid_log_cells"
        }
        return Reference(grid_log_cells=rows[0].grid_log_cells, **taken)

    def explained(self, masks: Tensor) -> Tensor:
        """Share of variance between segments of partitions (E, S, h, w), (law of total variance): (E,) in [0, 1)."""
        area = masks.sum((2, 3))
        sums = torch.bmm(masks.flatten(2), self.features.flatten(2).transpose(1, 2))  # (E, S, C)
        between = ((sums**2).sum(2) / area.clamp_min(1e-6)).sum(1) / (masks.shape[2] * masks.shape[3])
        return between / self.variance

    def explained_by_grid(self, n_segments: Tensor) -> Tensor:
        """What a blind grid of that many cells (E,) explains: (E,), linear in their logarithm between the knots."""
        log_n = torch.log(n_segments)
        knots = self.grid_log_cells
        i_right = torch.searchsorted(knots, log_n.detach().contiguous()).clamp(1, len(knots) - 1)
        t = (log_n - knots[i_right - 1]) / (knots[i_right] - knots[i_right - 1])
        left = self.grid_explained.gather(1, i_right[:, None] - 1)[:, 0]
        right = self.grid_explained.gather(1, i_right[:, None])[:, 0]
        return left + t * (right - left)


def make_reference(image: Tensor, *, size: tuple[int, int]) -> Reference:
    """The reference of images (E, 3, H, W) in [0, 1] at ``size`` = (h, w)."""
    image = F.adaptive_avg_pool2d(image, size)
    lab = rgb_to_lab(image)
    light = lab[:, :1]
    channels = [_smooth(lab, 0.8)]
    for sigma in _TEXTURE_SCALES_PX:
        detail = (
            light - _smooth(light, 1.5 * sigma)
            if sigma == _TEXTURE_SCALES_PX[0]
            else _smooth(light, sigma) - _smooth(light, 1.6 * sigma)
        )
        channels.append(_TEXTURE_GAIN * _smooth(detail.abs(), 3 * sigma))
    features = torch.cat(channels, 1)
    features = features - features.mean((2, 3), keepdim=True)
    variance = (features**2).mean((2, 3)).sum(1) + _NOISE_VARIANCE
    table = torch.stack([_grid_variance(features, n) for n in _GRID_CELLS], 1) / variance[:, None]
    return Reference(
        features,
        variance,
        torch.tensor([math.log(n) for n in _GRID_CELLS], device=image.device),
        table.cummax(1).values,
    )


def rgb_to_lab(image: Tensor) -> Tensor:
    """sRGB (B, 3, H, W) in [0, 1] to CIE 1976 L*a*b* under D65: L in [0, 100]."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055).clamp_min(0) ** 2.4)
    xyz = torch.einsum("ij,bjhw->bihw", _XYZ.to(image), linear)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-9) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _grid_variance(features: Tensor, n_cells: int) -> Tensor:
    """Variance between the cells of nearly square grids of about that many cells, mean of lying and standing: (E,)."""
    short = max(1, math.floor(math.sqrt(n_cells) + 1e-9))
    while n_cells % short:
        short -= 1
    height, width = features.shape[-2:]
    values = []
    for n_rows, n_columns in ((short, n_cells // short), (n_cells // short, short)):
        rows, columns = min(n_rows, height), min(n_columns, width)
        means = F.adaptive_avg_pool2d(features, (rows, columns))
        values.append((means**2).mean((2, 3)).sum(1))
    return (values[0] + values[1]) / 2


def _smooth(x: Tensor, sigma_px: float) -> Tensor:
    radius = min(math.ceil(3 * sigma_px), x.shape[-1] - 1, x.shape[-2] - 1)
    offset = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (offset / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    planes = F.pad(x.flatten(0, 1)[:, None], (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(planes, kernel), kernel.transpose(2, 3))[:, 0].view_as(x)
