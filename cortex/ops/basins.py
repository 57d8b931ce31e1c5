"""Basins as atoms: the hard regions of a watershed, with the means of features in each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import widest
from ciliary.cortex.ops.patches import N_PATCHES, sample_at


@dataclass(frozen=True)
class Basins:
    """Basins of a batch. N is the most that any picture of it has; the others are padded with basins of size 0."""

    label: Tensor  # (B, H, W) int64, 0 .. n_b-1
    mean: Tensor  # (B, N, C) mean of the features; 0 for padding
    size: Tensor  # (B, N) pixels
    centre_px: Tensor  # (B, N, 2) centre of mass, y and x; 0 for padding

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.label.shape[1], self.label.shape[2]

    @property
    def unit_px(self) -> float:
        """Pixels of a patch: what counts as small must depend neither on this picture's basins nor on the batch's."""
        return self.image_size[0] * self.image_size[1] / N_PATCHES

    def render(self, values: Tensor, *, is_coarse: bool = False) -> Tensor:
        """Values of the basins (B, N, C) at every pixel: (B, C, H, W); coarse: (B, C, H//2, W//2), means of 2 x 2."""
        b, n, c = values.shape
        rows = values.reshape(b * n, c)
        name = global_label(self.label, n).reshape(self.label.shape)
        if not is_coarse:
            return rows.index_select(0, name.flatten()).reshape(*name.shape, c).permute(0, 3, 1, 2)
        h, w = (x // 2 for x in self.image_size)
        # The mean of four rows in one pass: two to four times faster than drawing all pixels and halving them.
        four = torch.stack([name[:, y : 2 * h : 2, x : 2 * w : 2] for y in (0, 1) for x in (0, 1)], -1)
        return F.embedding_bag(four.reshape(-1, 4), rows, mode="mean").reshape(b, h, w, c).permute(0, 3, 1, 2)

    def winner(self, values: Tensor) -> Tensor:
        """The channel that is largest at every pixel, of values (B, N, C): (B, H, W) int64."""
        largest = values.max(2).indices  # of a basin, all of which has one value
        return largest.flatten().index_select(0, global_label(self.label, values.shape[1])).view_as(self.label)


def global_label(label: Tensor, n: int) -> Tensor:
    """Names over the whole batch, b * n + label, flat: (B*H*W,)."""
    return (label + n * torch.arange(len(label), device=label.device)[:, None, None]).flatten()


def make_basins(label: Tensor, features: Tensor) -> Basins:
    """The basins of ``label`` (B, H, W) with the means of ``features`` (B, C, h, w), h <= H and w <= W.

    Features of a lower resolution meet the label at the middles of their own pixels: drawing C channels at full size
    only to add them up again would cost more than all else here. A basin that lies between these middles has the
    feature at its centre. Differentiable in the features.
    """
    b, c, h, w = features.shape
    height, width = label.shape[1:]
    n = int(label.max()) + 1
    size, centre_px = _measure(label, n)
    if (h, w) != (height, width):
        y = _middles(h, height, label.device)
        x = _middles(w, width, label.device)
        label_there = label.index_select(1, y).index_select(2, x)
    else:
        label_there = label
    name = global_label(label_there, n)
    # Whole rows at a time: several times faster than scattering single entries.
    total = features.new_zeros(b * n, c).index_add(0, name, features.permute(0, 2, 3, 1).reshape(-1, c))
    count = torch.bincount(name, minlength=b * n).to(features.dtype)[:, None]
    mean = (total / count.clamp_min(1)).reshape(b, n, c)
    if label_there is not label:
        between = (count == 0).reshape(b, n, 1) & (size > 0)[..., None]
        mean = torch.where(between, sample_at(features, centre_px.to(features.dtype), (height, width)), mean)
    return Basins(label, mean, size, centre_px)


def _middles(n_coarse: int, n_fine: int, device: torch.device) -> Tensor:
    """The fine pixel at the middle of each coarse one."""
    return ((2 * torch.arange(n_coarse, device=device) + 1) * n_fine) // (2 * n_coarse)


def _measure(label: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Size (B, n) and centre of mass (B, n, 2) of each basin, in pixels."""
    b, h, w = label.shape
    name = global_label(label, n)
    y = torch.arange(h, device=label.device)[:, None].expand(b, h, w)
    x = torch.arange(w, device=label.device).expand(b, h, w)
    # Sums of whole numbers: exact, in whatever order.
    size, *sums = (
        torch.zeros(b * n, dtype=torch.int64, device=label.device).index_add_(0, name, v.flatten())
        for v in (torch.ones_like(label), y, x)
    )
    centre = torch.stack([s.to(widest(s.device)) / size.clamp_min(1) for s in sums], -1)
    return size.float().reshape(b, n), centre.float().reshape(b, n, 2)
