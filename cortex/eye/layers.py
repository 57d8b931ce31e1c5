"""A scene cut into layers of equal nearness, so that each can be blurred by its own disc.

Gathering light with a kernel that changes from pixel to pixel lets near things in focus bleed into what lies behind
them; layers do not. A pixel between two layers belongs to both in shares, so nothing jumps when a surface crosses from
one to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import has_numbers

#: A surface that much nearer than what is around it hides something; the hidden part is wholly there at twice that.
HIDDEN_GAP_DPT = 0.25
_FARNESS = 40.0  # weight of far over near in what is hidden: e^-40 over the whole range
_LEAST_STEP_DPT = 1e-3


@dataclass(frozen=True, eq=False)
class Layers:
    """L layers from far to near. ``layers.of(i)`` is what the optics blur.

    Attributes:
        light: (B, 3, H, W), linear, >= 0.
        level_dpt: (B, L) nearness of each, ascending.
        share: (B, L, H, W) how far a pixel belongs to each; sums to 1 over L.
        hidden_light: (B, 3, H, W) guess of what lies behind a pixel's surface.
        hidden_share: (B, L, H, W) where that lies; sums to 0 (nothing hidden) .. 1 over L.
    """

    light: Tensor
    level_dpt: Tensor
    share: Tensor
    hidden_light: Tensor
    hidden_share: Tensor

    def __len__(self) -> int:
        return int(self.level_dpt.shape[1])

    def of(self, i: int) -> Tensor:
        """Layer ``i`` once all nearer ones are taken away: (B, 5, H, W).

        Premultiplied light (3), its alpha, and the alpha of it and all farther ones, by which it is normalised.
        """
        if len(self) == 1:
            ones = torch.ones_like(self.light[:, :1])
            return torch.cat([self.light, ones, ones], 1)
        share, below = self.share[:, i, None], self.share[:, : i + 1].sum(1, keepdim=True)
        # What is hidden counts only where the surface itself has been taken away.
        bared = (below <= 0).to(share.dtype)
        hidden, hidden_below = self.hidden_share[:, i, None], self.hidden_share[:, : i + 1].sum(1, keepdim=True)
        light = share * self.light + bared * hidden * self.hidden_light
        return torch.cat([light, share + bared * hidden, below + bared * hidden_below], 1)


def split_layers(
    light: Tensor,
    distance_dpt: Tensor,
    *,
    n_layers: int = 24,
    level_dpt: Tensor | None = None,
    hidden_sigma_px: float = 8.0,
) -> Layers:
    """Cut a scene into layers, evenly in dioptres from its farthest to its nearest point.

    What a near surface hides comes out beside it when it is blurred. It is guessed: the Gaussian mean of what is
    around, far things outweighing near ones, where that lies more than :data:`HIDDEN_GAP_DPT` behind.

    Args:
        light: (B, 3, H, W), linear light >= 0.
        distance_dpt: (B, 1, H, W), nearness in dioptres (1 / metres), finite and >= 0.
        n_layers: 24 are .1 to .2 dpt apart in scenes at arm's length. One is for flat scenes: quicker.
        level_dpt: (L,) or (B, L), ascending: layers of your own, e.g. a scene's planes; ``n_layers`` is then unused.
            Pixels nearer or farther than all belong to the last or the first.
        hidden_sigma_px: how far around a pixel is looked for what it hides (to three times that).

    Raises:
        ValueError: another shape, no layer, or levels that do not ascend.
    """
    _check_scene(light, distance_dpt)
    level_dpt = _even_levels(distance_dpt, n_layers) if level_dpt is None else _own_levels(level_dpt, light)
    share = membership(distance_dpt, level_dpt)
    if level_dpt.shape[1] == 1:
        return Layers(light, level_dpt, share, torch.zeros_like(light), torch.zeros_like(share))
    low = distance_dpt.amin((1, 2, 3), keepdim=True)
    spread = (distance_dpt.amax((1, 2, 3), keepdim=True) - low).clamp_min(_LEAST_STEP_DPT)
    weight = torch.exp(-_FARNESS * (distance_dpt - low) / spread)
    around = _gaussian(torch.cat([light * weight, distance_dpt * weight, weight], 1), hidden_sigma_px)
    around = around[:, :4] / around[:, 4:].clamp_min(torch.finfo(light.dtype).tiny)
    gap = (distance_dpt - around[:, 3:]) / HIDDEN_GAP_DPT - 1
    return Layers(light, level_dpt, share, around[:, :3], membership(around[:, 3:], level_dpt) * gap.clamp(0, 1))


def membership(distance_dpt: Tensor, level_dpt: Tensor) -> Tensor:
    """Shares (B, L, H, W) of pixels (B, 1, H, W) in levels (B, L): linear between neighbours, summing to 1."""
    level = level_dpt[:, :, None, None]
    step = (level[:, 1:] - level[:, :-1]).clamp_min(1e-9)
    above = ((distance_dpt - level[:, :-1]) / step).clamp(0, 1)  # from each level to the next
    ones = torch.ones_like(distance_dpt)
    return torch.cat([ones, above], 1) - torch.cat([above, torch.zeros_like(ones)], 1)


def _even_levels(distance_dpt: Tensor, n_layers: int) -> Tensor:
    if n_layers < 1:
        raise ValueError(f"expected one layer or more, got {n_layers=}; 24 do for most scenes, 1 for a flat one")
    flat = distance_dpt.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    if n_layers == 1:
        return (low + high) / 2
    step = ((high - low) / (n_layers - 1)).clamp_min(_LEAST_STEP_DPT)
    return low + step * torch.arange(n_layers, device=flat.device, dtype=flat.dtype)


def _own_levels(level_dpt: Tensor, light: Tensor) -> Tensor:
    level_dpt = level_dpt.to(light).reshape(-1, level_dpt.shape[-1])
    is_wrong = level_dpt.shape[0] not in (1, len(light))
    if is_wrong or (has_numbers(level_dpt) and bool((level_dpt.diff(dim=1) <= 0).any())):
        raise ValueError(f"expected level_dpt (L,) or ({len(light)}, L), ascending, got {level_dpt.tolist()}")
    return level_dpt.expand(len(light), -1)


def _check_scene(light: Tensor, distance_dpt: Tensor) -> None:
    if light.ndim != 4 or light.shape[1] != 3:
        raise ValueError(f"expected light (B, 3, H, W), got {tuple(light.shape)}; add the axis of the batch by [None]")
    wanted = (light.shape[0], 1, *light.shape[-2:])
    if tuple(distance_dpt.shape) != wanted:
        raise ValueError(
            f"expected distance_dpt {wanted}, one nearness a pixel of light, got {tuple(distance_dpt.shape)}"
        )


def _gaussian(planes: Tensor, sigma_px: float) -> Tensor:
    """Blur (B, C, H, W) >= 0 in two passes; by sums of what is positive, so that ratios of small values hold."""
    radius = max(math.ceil(3 * sigma_px), 1)
    offset = torch.arange(-radius, radius + 1, device=planes.device, dtype=planes.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    flat = planes.reshape(-1, 1, *planes.shape[-2:])
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return flat.view_as(planes)
