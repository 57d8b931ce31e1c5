"""M3, learned: a texture code beside the energy statistics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS, M1Out, M2Out, M3Out
from ciliary.cortex.stages.m1_perception import N_SCALES
from ciliary.cortex.stages.m3_invariance import make_slots, texture_statistics

N_CODE = 16
_N_INPUTS = N_SCALES * N_ORIENTATIONS
#: Length of the code vector among the cues. On 60 BSDS500 training images, every other one under gaussian_noise:3,
#: learned contours and the code together change region covering by -0.002 (clean) and +0.065 (noise) at 0.05, by -0.021
#: and +0.058 at 0.15, by -0.089 and +0.013 at 0.3; learned contours alone by -0.012 and +0.060.
CODE_SCALE = 0.05


class TextureNet(nn.Module):
    """Energy statistics (B, 18, H/4, W/4) to a code (B, 16, H/4, W/4) of length 1. 3k weights."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(_N_INPUTS, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate", groups=4),
            nn.ReLU(),
            nn.Conv2d(width, N_CODE, 1),
        )

    def forward(self, statistics: Tensor) -> Tensor:
        """The code; statistics enter as logarithms, so that contrast is an offset."""
        return F.normalize(self.layers(torch.log(statistics.clamp_min(1e-3)) + 2.5), dim=1)


class LearnedM3(nn.Module):
    """:func:`~ciliary.cortex.stages.m3_invariance.make_slots` on energy statistics and learned code: D is 18 + 16."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TextureNet()

    def forward(self, m1: M1Out, m2: M2Out, theta: Theta) -> M3Out:
        """As M3."""
        statistics = texture_statistics(m1.energy, theta["texture_pool_px"])
        texture = torch.cat([statistics, CODE_SCALE * self.net(statistics)], 1)
        return make_slots(m1, m2, theta, texture)
