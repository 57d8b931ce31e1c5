"""What a depth head is taught on: frames cut, mirrored and lit otherwise, seen once by the frozen trunk and kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.cues.learned_depth import STRIDES, FrozenMaps
from ciliary.cortex.device import device_of
from ciliary.envs.data.depth import DepthImage, DepthSet

SHAPE_PX = 160, 224  # of a view; multiples of the trunk's coarsest stride
_MIN_SCALE = 0.55  # of the largest window that fits
_MIN_COVER = 0.5  # share of a cell whose depth is known


@dataclass(frozen=True)
class DepthViews:
    """N views, by the trunk's maps of them.

    Attributes:
        maps: of each stride, (N, C, h, w) float32.
        log_depth: (N, 1, h, w) of the finest stride: mean over what is known of a cell; 0 where too little is.
        is_known: (N, 1, h, w) bool.
        scene: (N,) index of the scene.
    """

    maps: tuple[Tensor, ...]
    log_depth: Tensor
    is_known: Tensor
    scene: Tensor

    def __len__(self) -> int:
        return len(self.scene)

    def of(self, rows: Tensor) -> DepthViews:
        """Some of them."""
        return DepthViews(
            tuple(some[rows] for some in self.maps), self.log_depth[rows], self.is_known[rows], self.scene[rows]
        )


def see_views(
    frames: DepthSet, trunk: FrozenMaps, *, n_views: int, seed: int, on_frame: Callable[[], None] = lambda: None
) -> DepthViews:
    """Views of all frames, drawn on the CPU and kept where the trunk lies.

    Args:
        frames: of one or more scenes.
        trunk: sees them.
        n_views: in all, about. A scene's share is the root of its number of frames: fifty looks at one room are worth
            more than one still life, but not fifty times as much.
        seed: of cuts, mirrors and lights; each frame's own do not depend on the other frames' but by their number.
        on_frame: called after each frame.
    """
    scenes = [entry.scene for entry in frames.entries]
    roots = {scene: math.sqrt(scenes.count(scene)) for scene in frames.scenes}
    per_root = n_views / sum(roots.values())
    there = device_of(trunk)
    maps: list[list[Tensor]] = [[] for _ in STRIDES]
    depths, knowns, index = [], [], []
    for i, (scene, frame) in enumerate(zip(scenes, frames, strict=True)):
        rng = torch.Generator().manual_seed(seed * 100_003 + i)
        n = max(1, round(per_root * roots[scene] / scenes.count(scene)))
        views = [draw_view(frame, rng) for _ in range(n)]
        for kept, new in zip(maps, trunk(torch.stack([image for image, _, _ in views]).to(there)), strict=True):
            kept.append(new)
        depths += [depth for _, depth, _ in views]
        knowns += [known for _, _, known in views]
        index += [frames.scenes.index(scene)] * n
        on_frame()
    rest = (x.to(there) for x in (torch.stack(depths), torch.stack(knowns), torch.tensor(index)))
    return DepthViews(tuple(torch.cat(some) for some in maps), *rest)


def draw_view(frame: DepthImage, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A view: image (3, 160, 224) in [0, 1], log depth (1, 20, 28) of its cells, and which of these are known."""
    height, width = frame.image.shape[-2:]
    ratio = SHAPE_PX[1] / SHAPE_PX[0]
    a, b, c, flip = torch.rand(4, generator=rng).tolist()
    tall = min(height, width / ratio) * (_MIN_SCALE + (1 - _MIN_SCALE) * a)
    h, w = max(1, int(tall)), max(1, min(width, round(tall * ratio)))
    top, left = round(b * (height - h)), round(c * (width - w))
    image, depth = (m[..., top : top + h, left : left + w] for m in (frame.image, frame.depth_mm[None]))
    if flip < 0.5:
        image, depth = image.flip(-1), depth.flip(-1)
    image = F.interpolate(image[None], size=SHAPE_PX, mode="bilinear", antialias=True, align_corners=False)[0]
    log_depth, is_known = pool_depth(depth[None], (SHAPE_PX[0] // STRIDES[0], SHAPE_PX[1] // STRIDES[0]))
    return relight(image.clamp(0, 1), rng), log_depth[0], is_known[0]


def pool_depth(depth_mm: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(B, 1, H, W), 0 unknown -> mean log depth of what is known of each cell, and whether half of it is."""
    known = (depth_mm > 0).to(depth_mm.dtype)
    cover = F.adaptive_avg_pool2d(known, size)
    total = F.adaptive_avg_pool2d(depth_mm.clamp_min(1e-6).log() * known, size)
    is_known = cover >= _MIN_COVER
    return torch.where(is_known, total / cover.clamp_min(1e-6), 0), is_known


def relight(image: Tensor, rng: torch.Generator) -> Tensor:
    """Another gamma, gain of each channel and saturation: what tells nothing of depth."""
    gamma, saturation = torch.exp(0.25 * torch.randn(2, generator=rng)).tolist()
    gain = torch.exp(0.1 * torch.randn(3, 1, 1, generator=rng))
    grey = image.mean(0, keepdim=True)
    lit: Tensor = (grey + min(saturation, 1.5) * (image - grey)).clamp(0, 1) ** gamma * gain
    return lit.clamp(0, 1)
