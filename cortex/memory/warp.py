"""Masks carried along: by a movement of each, or by a flow of the whole picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shifted(mask: Tensor, by_cells: Tensor) -> Tensor:
    """Each mask (B, M, h, w) moved by (B, M, 2) cells, y and x; what comes in from outside is 0. Bilinear."""
    b, m, h, w = mask.shape
    y, x = (torch.arange(n, device=mask.device, dtype=mask.dtype) for n in (h, w))
    half = mask.new_tensor([h / 2, w / 2])
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1) + 0.5
    source = ((grid - by_cells.reshape(-1, 1, 1, 2)) / half - 1).flip(-1)
    moved: Tensor = F.grid_sample(mask.reshape(b * m, 1, h, w), source, align_corners=False)
    return moved.view(b, m, h, w)


def flow_at(flow_px: Tensor, size_cells: tuple[int, int], cell_px: float) -> Tensor:
    """A flow (B, 2, H, W) in pixels, y and x, as (B, 2, h, w) in cells of ``cell_px``."""
    return F.interpolate(flow_px, size=size_cells, mode="bilinear", align_corners=False, antialias=True) / cell_px


def splatted(mask: Tensor, flow_cells: Tensor) -> Tensor:
    """Masks (B, M, h, w) carried to where a flow (B, 2, h, w), y and x in cells, takes each cell.

    Average splatting: a cell shares itself out among the four it falls between, and a cell that several fall on has
    their mean (Niklaus & Liu 2020, "Softmax splatting", equation 5). Where nothing falls, within a cell's reach, is 0.
    Differentiable in the mask and, through the shares, in the flow.
    """
    b, m, h, w = mask.shape
    y, x = (torch.arange(n, device=mask.device, dtype=mask.dtype) for n in (h, w))
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"))[None] + flow_cells
    corner = place.detach().floor()
    share = place - corner
    total = mask.new_zeros(b, m + 1, h * w)
    carried = torch.cat([mask, torch.ones_like(mask[:, :1])], 1).flatten(2)
    for down in (0, 1):
        for right in (0, 1):
            to_y, to_x = corner[:, 0] + down, corner[:, 1] + right
            weight = (share[:, 0] if down else 1 - share[:, 0]) * (share[:, 1] if right else 1 - share[:, 1])
            is_inside = (to_y >= 0) & (to_y < h) & (to_x >= 0) & (to_x < w)
            index = (to_y.clamp(0, h - 1) * w + to_x.clamp(0, w - 1)).long().flatten(1)
            weight = (weight * is_inside).flatten(1)
            total = total.scatter_add(2, index[:, None].expand(-1, m + 1, -1), carried * weight[:, None])
    mean: Tensor = total[:, :m] / total[:, m:].clamp_min(1e-3)
    return mean.view(b, m, h, w)


def mean_flow(mask: Tensor, flow_cells: Tensor) -> Tensor:
    """(B, M, 2) cells: the flow (B, 2, h, w) averaged over each mask (B, M, h, w); 0 for an empty one."""
    weight = mask.flatten(2)
    mass = weight.sum(2, keepdim=True)
    drift: Tensor = weight @ flow_cells.flatten(2).mT / mass.clamp_min(1e-6)
    return drift
