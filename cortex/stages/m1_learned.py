"""M1, learned: soft regions from a shallow network with a local view, beside those of soft k-means."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.kmeans import presence_mask
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.cortex.percept import Cues, M1Out, RetinaOut
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_TEXTURE, perceive

N_LEARNED_REGIONS = 8  # K of the original notes
# Of S1, that the learned regions have. Small: on 40 BSDS500 training photographs region covering under the defaults,
# which were set without them, changes by -0.010 at 0.003, -0.018 at 0.015, -0.020 at 0.05 and -0.074 at 0.15.
LEARNED_SHARE = 0.005
_GAIN = 8.0  # newborn regions must differ: where all are equal, nothing says which way to part
_TEMPERATURE = PARAMETERS["region_temperature"].default


class RegionNet(nn.Module):
    """Colour and texture cues (B, 8, h, w) to the logits of 8 regions (B, 8, h, w). Looks 15 pixels wide; 9k weights.

    Shallow on purpose: what it groups is what looks alike here, not what is known to belong together.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(N_COLOUR + N_TEXTURE, width, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(width, N_LEARNED_REGIONS, 3, padding=4, dilation=4, padding_mode="replicate"),
        )

    def forward(self, cues: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = _GAIN * self.layers(cues)
        return logits


def region_cues(m1: M1Out) -> Tensor:
    """What :class:`RegionNet` sees: colour and texture cues at half resolution, centred on the image's mean."""
    cues = halve(m1.features[:, : N_COLOUR + N_TEXTURE])
    return cues - cues.mean((2, 3), keepdim=True)


def learned_regions(net: nn.Module, m1: M1Out, theta: Theta) -> Tensor:
    """(B, 8, H/2, W/2) on the simplex; ``region_temperature`` and ``n_regions`` act as they do on k-means."""
    logits = net(region_cues(m1))
    presence = torch.log(presence_mask(theta["n_regions"], N_LEARNED_REGIONS).clamp_min(1e-9))
    sharpness = _TEMPERATURE / theta["region_temperature"]
    return torch.softmax(logits * sharpness.view(-1, 1, 1, 1) + presence[..., None, None], 1)


class LearnedM1(nn.Module):
    """:func:`~ciliary.cortex.stages.m1_perception.perceive`, a share of S1 given to the learned regions: 12 + 8."""

    def __init__(self) -> None:
        super().__init__()
        self.net = RegionNet()

    def forward(self, retina: RetinaOut, cues: Cues, theta: Theta) -> M1Out:
        """As M1."""
        m1 = perceive(retina, cues, theta)
        own = learned_regions(self.net, m1, theta)
        joined = torch.cat([(1 - LEARNED_SHARE) * m1.regions_coarse, LEARNED_SHARE * own], 1)
        return replace(m1, regions_coarse=joined)


def rupture(regions: Tensor) -> Tensor:
    """1 - cosine of S1 between each pixel and its neighbours, the largest of both axes: (B, K, h, w) to (B, 1, h, w).

    The cosine, not the plain product: the product of two equal but soft assignments is far from 1.
    """
    s = F.normalize(regions, dim=1)
    right = F.pad(1 - (s[..., 1:] * s[..., :-1]).sum(1, keepdim=True), (0, 1))
    down = F.pad(1 - (s[..., 1:, :] * s[..., :-1, :]).sum(1, keepdim=True), (0, 0, 0, 1))
    both = torch.maximum(right, down)
    # a border lies between two pixels: both carry it
    left, up = F.pad(right, (1, 0))[..., :-1], F.pad(down, (0, 0, 1, 0))[..., :-1, :]
    return torch.maximum(both, torch.maximum(left, up)).clamp(0, 1)
