"""The stages of a pretrained network as maps that lie where the picture is, whatever timm model it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.base import check_image

STRIDES_PX = (4, 16)  # of the stages that are looked at: finer ones see edges, coarser ones no place
N_STAGES = 3


def choose_stages(strides: Sequence[int]) -> tuple[int, ...]:
    """Which of a network's stages are looked at, as indices in rising order.

    The last stage of each stride from 4 to 16 px, at most three, the finest first; where all have one stride (a plain
    vision transformer) three evenly spaced ones, the last among them; where none is so fine, the finest there is.

    Args:
        strides: of all its stages, in px, in their order.
    """
    if len(set(strides)) == 1:
        n = len(strides)
        return tuple(sorted({max(0, round(n * (k + 1) / N_STAGES) - 1) for k in range(N_STAGES)}))
    last = {stride: i for i, stride in enumerate(strides)}
    wanted = sorted(s for s in last if STRIDES_PX[0] <= s <= STRIDES_PX[1])[:N_STAGES] or [min(last)]
    return tuple(sorted(last[s] for s in wanted))


class Network(nn.Module):
    """Stages of a network at their own strides, aligned to the image. Frozen, in eval mode, without gradient.

    A convolutional network sees the image at its own size, with a border that repeats the image's edge and is cut off
    again: it keeps the network's zero padding out of the picture. A transformer that takes any size gets whole patches.
    One of a fixed size gets the image at that size, and its maps are brought back.

    Args:
        stages: (B, 3, h, w) to a list of maps, channels first or last (timm's ``features_only``).
        strides: of each map, px.
        channels: of each map.
        mean, std: per channel, of what the network was trained on.
        input_px: (height, width) of the only size it takes; None where it takes any.
        border_px: of the repeated edge.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        stages: nn.Module,
        *,
        strides: Sequence[int],
        channels: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        input_px: tuple[int, int] | None = None,
        border_px: int = 0,
    ):
        super().__init__()
        self.stages, self.strides, self.channels = stages, tuple(strides), tuple(channels)
        self.input_px, self.border_px = input_px, border_px
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Network:
        """Stays in eval mode, whatever the module around it does: batch statistics must not move."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) sRGB in [0, 1] -> maps (B, C, ceil(H/s), ceil(W/s)); cell i is about pixels s*i to s*i + s."""
        check_image(image)
        size = (image.shape[-2], image.shape[-1])
        given = self._resized(image) if self.input_px is not None else self._padded(image)
        found = self.stages((given - self.mean) / self.std)
        maps = [self._first(x, c) for x, c in zip(found, self.channels, strict=True)]
        place = self._brought_back if self.input_px is not None else self._cut
        return tuple(place(x, stride, size) for x, stride in zip(maps, self.strides, strict=True))

    def _resized(self, image: Tensor) -> Tensor:
        return F.interpolate(image, size=self.input_px, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)

    def _padded(self, image: Tensor) -> Tensor:
        # Up to whole cells; the cells' effective centres were measured for EfficientNet-Lite0 (least error under a
        # mirror, four photographs) to be those of plain image resizing within 1 px, although "same" padding alone
        # would shift them by half a cell.
        edge, cell = self.border_px, math.lcm(*self.strides)
        bottom, right = (edge + -n % cell for n in image.shape[-2:])
        return F.pad(image, (edge, right, edge, bottom), mode="replicate")

    def _first(self, maps: Tensor, n_channels: int) -> Tensor:
        """Channels first."""
        return maps if maps.shape[1] == n_channels else maps.permute(0, 3, 1, 2)

    def _cut(self, maps: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
        """The cells that lie over the image."""
        cell = math.lcm(*self.strides)
        n_cells = [(2 * self.border_px + n + -n % cell) // stride for n in size]
        if list(maps.shape[-2:]) != n_cells:  # a network without padding (Inception) has fewer
            maps = F.interpolate(maps, size=n_cells, mode="bilinear", align_corners=False)
        edge = self.border_px // stride
        return maps[:, :, edge : edge + math.ceil(size[0] / stride), edge : edge + math.ceil(size[1] / stride)]

    def _brought_back(self, maps: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
        """Sampled where the cells of the image are; the maps span the image, however many cells they have."""
        y, x = (((torch.arange(math.ceil(n / stride)) + 0.5) * (2 * stride / n) - 1).to(maps) for n in size)
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)
        grid = grid[None].expand(len(maps), -1, -1, -1)
        return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
