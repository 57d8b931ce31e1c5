"""Soft patches (superpixels) on a grid: the atoms that slots are made of.

Achanta et al. 2012 (SLIC) made soft (Jampani et al. 2018): each pixel belongs, softly, to the nine patches around it.
The image is kept cell by cell, so that distances and means are small matrix products for the whole batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.ops.smoothing import halve

N_PATCHES = 190  # at most about this many, whatever the image's size
MIN_CELL_PX = 4


@dataclass(frozen=True)
class Patches:
    """Patches of a batch. N = rows * columns patches, cells of ``cell_px``^2 pixels, C channels."""

    share: Tensor  # (B, N, 9, cell_px^2) of each pixel of cell n in its nine patches; on the simplex over 9
    mean: Tensor  # (B, N, C) mean of the cue vectors
    size: Tensor  # (B, N) pixels, soft
    centre_px: Tensor  # (B, N, 2) centre of mass, y and x
    label: Tensor  # (B, H, W) int64, the patch each pixel belongs to most
    grid: tuple[int, int]  # rows, columns
    cell_px: int
    image_size: tuple[int, int]

    @property
    def unit_px(self) -> float:
        """Pixels of one patch."""
        return self.image_size[0] * self.image_size[1] / self.size.shape[1]

    def render(self, values: Tensor, *, is_coarse: bool = False) -> Tensor:
        """Patch values (B, N, C) at every pixel, through the soft shares: (B, C, H, W); coarse: (B, C, H//2, W//2)."""
        around = neighbourhood(values, self.grid).transpose(2, 3)  # (B, N, C, 9)
        cell_px, (h, w) = self.cell_px, self.image_size
        if is_coarse:
            share = halve(self.share.unflatten(3, (cell_px, cell_px))).flatten(3)
            return from_cells(around @ share, self.grid, cell_px // 2, (h // 2, w // 2))
        return from_cells(around @ self.share, self.grid, cell_px, (h, w))

    def winner(self, values: Tensor) -> Tensor:
        """The channel that is largest at every pixel, of values (B, N, C) as they are rendered: (B, H, W) int64."""
        around = neighbourhood(values, self.grid).transpose(2, 3)  # (B, N, C, 9)
        largest = (around @ self.share.detach()).max(2).indices
        return from_cells(largest[:, :, None], self.grid, self.cell_px, self.image_size)[:, 0]


def grid_for(h: int, w: int) -> tuple[int, int, int]:
    """(rows, columns, cell_px) of the patch grid of an image."""
    cell_px = max(MIN_CELL_PX, 2 * math.ceil(math.sqrt(h * w / N_PATCHES) / 2))  # even: cells can be halved
    return math.ceil(h / cell_px), math.ceil(w / cell_px), cell_px


def to_cells(x: Tensor, cell_px: int) -> Tensor:
    """(B, C, H, W) to (B, N, C, cell_px^2), 0 where cells overhang."""
    b, c, h, w = x.shape
    rows, columns = math.ceil(h / cell_px), math.ceil(w / cell_px)
    if rows * cell_px != h or columns * cell_px != w:
        x = F.pad(x, (0, columns * cell_px - w, 0, rows * cell_px - h))
    x = x.reshape(b, c, rows, cell_px, columns, cell_px).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(b, rows * columns, c, cell_px * cell_px)


def from_cells(x: Tensor, grid: tuple[int, int], cell_px: int, size: tuple[int, int]) -> Tensor:
    """Inverse of :func:`to_cells`."""
    b, _, c, _ = x.shape
    rows, columns = grid
    x = x.reshape(b, rows, columns, c, cell_px, cell_px).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(b, c, rows * cell_px, columns * cell_px)[..., : size[0], : size[1]]


def neighbourhood(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Values of the nine patches around each cell: (B, N, C) to (B, N, 9, C); outside the grid, the nearest patch."""
    b, n, c = x.shape
    rows, columns = grid
    padded = F.pad(x.transpose(1, 2).reshape(b, c, rows, columns), (1, 1, 1, 1), mode="replicate")
    parts = [padded[:, :, dy : dy + rows, dx : dx + columns] for dy in range(3) for dx in range(3)]
    return torch.stack(parts, 2).reshape(b, c, 9, n).permute(0, 3, 2, 1)


def gather_to_patches(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Adjoint of :func:`neighbourhood` without its padding: (B, N, 9, C) sums to (B, N, C)."""
    b, n, _, c = x.shape
    rows, columns = grid
    x = x.reshape(b, rows, columns, 9, c)
    total = x.new_zeros(b, rows + 2, columns + 2, c)
    for k in range(9):
        dy, dx = divmod(k, 3)
        total[:, dy : dy + rows, dx : dx + columns] += x[:, :, :, k]
    return total[:, 1:-1, 1:-1].reshape(b, n, c)


def _validity(grid: tuple[int, int], device: torch.device) -> Tensor:
    """(N, 9) bool: does cell n have a k-th neighbour inside the grid?"""
    rows, columns = grid
    step = torch.arange(-1, 2, device=device)
    y = torch.arange(rows, device=device).view(-1, 1, 1) + step.repeat_interleave(3)
    x = torch.arange(columns, device=device).view(1, -1, 1) + step.repeat(3)
    return ((y >= 0) & (y < rows) & (x >= 0) & (x < columns)).reshape(rows * columns, 9)


def soft_patches(features: Tensor, *, compactness: Tensor, sharpness: Tensor, n_iterations: int = 1) -> Patches:
    """Soft patches of (B, C, H, W).

    Args:
        compactness: (B,) weight of one cell of distance beside the features (squared): more is squarer.
        sharpness: (B,) inverse temperature of the soft assignment, in squared feature units.
        n_iterations: rounds of assignment and update.

    Returns:
        :class:`Patches` with the mean of ``features`` in each patch.
    """
    b, c, h, w = features.shape
    device = features.device
    rows, columns, cell_px = grid_for(h, w)
    grid = (rows, columns)
    # Places are counted from the middle of one's own cell: squares of small numbers keep their last digits.
    unit = torch.sqrt(compactness).view(-1, 1, 1, 1)  # of one cell of distance
    middle_px = (cell_px - 1) / 2
    y = ((torch.arange(h, device=device) % cell_px - middle_px) / cell_px)[:, None].expand(h, w)
    x = ((torch.arange(w, device=device) % cell_px - middle_px) / cell_px)[None].expand(h, w)
    step = torch.arange(-1.0, 2.0, device=device)
    nine = torch.cat([features.new_zeros(9, c), torch.cartesian_prod(step, step)], 1)
    offset = nine * unit  # (B, 1, 9, C+2)
    # With a one for each pixel. Where cells overhang the image all is 0, which adds to no sum.
    pixels = features.new_zeros(b, c + 3, rows * cell_px, columns * cell_px)
    pixels[:, :c, :h, :w] = features
    pixels[:, c:-1, :h, :w] = torch.stack([y, x]) * unit
    pixels[:, -1, :h, :w] = 1.0
    cells = to_cells(pixels, cell_px)  # (B, N, C+3, px)
    total = cells.sum(3)
    mean = total[..., :-1] / total[..., -1:]
    penalty = torch.where(_validity(grid, device), 0.0, -1e4)[None, :, :, None]
    scale = sharpness.view(-1, 1, 1, 1)
    for _ in range(n_iterations + 1):
        around = neighbourhood(mean, grid) + offset
        # ||x||^2 is the same for all nine patches and drops out of the softmax; the rest is one product with (x, 1).
        bias = penalty - scale * (around * around).sum(-1, keepdim=True)
        share = torch.softmax(torch.cat([2 * scale * around, bias], -1) @ cells, 2)
        given = share @ cells.transpose(2, 3)
        given = torch.cat([given[..., :-1] - given[..., -1:] * offset, given[..., -1:]], -1)
        total = gather_to_patches(given, grid)
        mean = total[..., :-1] / total[..., -1:].clamp_min(1e-3)
    own = torch.arange(rows * columns, device=device).view(1, -1, 1).float()
    index = neighbourhood(own, grid)[0, :, :, 0].long()  # (N, 9)
    hard = share.detach().max(2).indices  # (B, N, px); along this axis four times as fast as argmax
    label = index[None, :, :].expand(b, -1, -1).gather(2, hard)
    label = from_cells(label[:, :, None], grid, cell_px, (h, w))[:, 0]
    middles_px = torch.cartesian_prod(
        torch.arange(rows, device=device) * cell_px + middle_px,
        torch.arange(columns, device=device) * cell_px + middle_px,
    )
    centre_px = middles_px + cell_px * mean[..., c:] / unit[:, 0]
    return Patches(share, mean[..., :c], total[..., -1], centre_px, label, grid, cell_px, (h, w))


def border_graph(label: Tensor, n: int, *fields: Tensor) -> list[Tensor]:
    """Length of the border between each two patches, and sums of pixel fields along it.

    Args:
        label: (B, H, W) int64 in 0 .. n-1.
        fields: each (B, 1, H, W); a pixel pair carries the larger of its two values.

    Returns:
        [length, sum of field 1, ...], each (B, n, n), symmetric, zero on the diagonal.
    """
    b = label.shape[0]
    keys: list[Tensor] = []
    values: list[list[Tensor]] = [[] for _ in fields]
    for dim in (1, 2):
        first, second = label.narrow(dim, 0, label.shape[dim] - 1), label.narrow(dim, 1, label.shape[dim] - 1)
        keys.append((first * n + second).flatten(1))
        for k, field in enumerate(fields):
            f = field[:, 0]
            pair = torch.maximum(f.narrow(dim, 0, f.shape[dim] - 1), f.narrow(dim, 1, f.shape[dim] - 1))
            values[k].append(pair.flatten(1))
    key = torch.cat(keys, 1)
    off_diagonal = 1 - torch.eye(n, device=label.device)
    out = []
    for v in [torch.ones_like(key, dtype=torch.float32)] + [torch.cat(v, 1) for v in values]:
        table = v.new_zeros(b, n * n).scatter_add(1, key, v).reshape(b, n, n)
        out.append((table + table.transpose(1, 2)) * off_diagonal)
    return out


def sample_at(field: Tensor, centre_px: Tensor, size: tuple[int, int]) -> Tensor:
    """A smooth field (B, C, h, w) of any resolution at the patches' centres (B, N, 2): (B, N, C), bilinear."""
    extent = centre_px.new_tensor(size)
    grid = (2 * (centre_px + 0.5) / extent - 1).flip(-1)[:, :, None]
    return F.grid_sample(field, grid, padding_mode="border", align_corners=False)[..., 0].transpose(1, 2)
