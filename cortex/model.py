"""Provisional stand-in of the whole cortex with the final interface (being replaced stage by stage)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cortex.parameters import Theta, default_theta
from cortex.percept import M1Out, M2Out, M3Out, M4Out, Percept, RetinaOut

N_SLOTS_MAX = 32
N_REGIONS_MAX = 12


@dataclass(frozen=True)
class Cues:
    """Maps that depend on the image alone: computed once per image, shared by all settings."""

    depth: Tensor  # (B, 1, H, W) in [0, 1]
    backbone: Tensor | None  # (B, C, H, W) unit variance, or None

    def __getitem__(self, index) -> Cues:
        return Cues(self.depth[index], None if self.backbone is None else self.backbone[index])


class Cortex(nn.Module):
    def __init__(self, *, depth: str = "none", features: str = "none"):
        super().__init__()

    def cues(self, image: Tensor) -> Cues:
        return Cues(torch.zeros_like(image[:, :1]), None)

    def forward(self, image: Tensor, theta: Theta | None = None, cues: Cues | None = None) -> Percept:
        b, _, h, w = image.shape
        theta = default_theta(b) if theta is None else theta
        lum = image.mean(1, keepdim=True)
        t = theta["merge_threshold"].view(-1, 1, 1, 1)
        centre = torch.linspace(0, 1, N_SLOTS_MAX).view(1, -1, 1, 1)
        masks = torch.softmax(-((lum - centre) ** 2) * 50 / t, 1)
        regions = torch.softmax(-((lum - centre[:, :N_REGIONS_MAX] * 2.6) ** 2) * 50, 1)
        gx = torch.zeros_like(lum)
        gx[..., 1:] = (lum[..., 1:] - lum[..., :-1]).abs()
        z = torch.zeros_like(lum)
        ss = torch.zeros(b, N_SLOTS_MAX, N_SLOTS_MAX)
        return Percept(
            RetinaOut(image, image, torch.cat([gx, gx], 1)),
            M1Out(gx.expand(-1, 18, -1, -1), z, 1 - gx.expand(-1, 4, -1, -1), gx, regions, z, image),
            M2Out(z, gx, gx, regions),
            M3Out(gx.expand(-1, 8, -1, -1), masks, masks, masks.flatten(2).mean(2, keepdim=True).expand(-1, -1, 8), ss, ss, torch.ones(b, N_SLOTS_MAX)),
            M4Out(masks, masks.flatten(2).mean(2, keepdim=True).expand(-1, -1, 8), masks.flatten(2).mean(2)),
        )
