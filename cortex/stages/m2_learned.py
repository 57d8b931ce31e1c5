"""M2, learned: contours as ruptures of coherence, from a network with several scales of view, beside completion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS, M1Out, M2Out
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_TEXTURE
from ciliary.cortex.stages.m2_grouping import complete, contain

_N_INPUTS = 3 + N_ORIENTATIONS + N_COLOUR + N_TEXTURE
#: Share of the contour that the learned part has; the rest is the mathematical one's. On 30 BSDS500 training images the
#: correlation with the borders people drew is, clean and under gaussian_noise:3, 0.499 and 0.275 at 0, 0.527 and 0.374
#: at 0.5, 0.529 and 0.426 at 0.8, 0.524 and 0.440 at 1.
LEARNED_SHARE = 0.8


class ContourNet(nn.Module):
    """Boundary, completed contour, rupture of S1, oriented energy and cues (B, 17, h, w) to logits (B, 1, h, w).

    Four branches of 16 channels look 5, 9, 17 and 33 of its pixels wide: fine contours and coarse ones. 15k weights.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(_N_INPUTS, width, 3, padding=1, padding_mode="replicate"), nn.ReLU())
        self.scales = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=d, dilation=d, padding_mode="replicate") for d in (1, 3, 7, 15)
        )
        self.leave = nn.Sequential(
            nn.Conv2d(5 * width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.enter(x)
        logits: Tensor = self.leave(torch.cat([x, *(F.relu(scale(x)) for scale in self.scales)], 1))
        return logits


def contour_inputs(m1: M1Out, contour: Tensor) -> Tensor:
    """What :class:`ContourNet` sees, at half resolution, (B, 17, H/2, W/2)."""
    oriented = torch.sqrt(halve(m1.energy.unflatten(1, (-1, N_ORIENTATIONS)).mean(1)) + 1e-6)
    local = halve(m1.features[:, : N_COLOUR + N_TEXTURE])
    local = local - local.mean((2, 3), keepdim=True)
    return torch.cat([halve(m1.boundary), halve(contour), rupture(m1.regions_coarse), oriented, local], 1)


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


class LearnedM2(nn.Module):
    """:func:`~ciliary.cortex.stages.m2_grouping.group`; the contour is in part the completed one, in part learned."""

    inert = frozenset({"taught_share"})  # parameters that it does not read

    def __init__(self) -> None:
        super().__init__()
        self.net = ContourNet()

    def forward(self, m1: M1Out, theta: Theta) -> M2Out:
        """As M2."""
        end_points, contour = complete(m1, theta)
        own = torch.sigmoid(self.net(contour_inputs(m1, contour)))
        own = F.interpolate(own, size=contour.shape[-2:], mode="bilinear", align_corners=False)
        return contain(m1, end_points, (1 - LEARNED_SHARE) * contour + LEARNED_SHARE * own, theta)
