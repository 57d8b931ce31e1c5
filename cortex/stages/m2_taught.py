"""M2, taught by people: contours as they draw them, from a small network beside the mathematical completion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M1Out, M2Out
from ciliary.cortex.stages.contour_net import ContourNet, contour_inputs
from ciliary.cortex.stages.m2_grouping import complete, contain


class TaughtM2(nn.Module):
    """:func:`~ciliary.cortex.stages.m2_grouping.group`; ``taught_share`` of the contour is what people would draw.

    Args:
        trunk_channels: of the maps of the trunk that its network sees, at strides 4, 8 and 16; empty without one.
    """

    def __init__(self, trunk_channels: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.net = ContourNet(trunk_channels)

    def forward(self, m1: M1Out, theta: Theta) -> M2Out:
        """As M2.

        Raises:
            ValueError: the network sees a trunk's maps and there are none.
        """
        end_points, completed = complete(m1, theta)
        share = theta["taught_share"].view(-1, 1, 1, 1)
        return contain(m1, end_points, torch.lerp(completed, self.strength(m1), share), theta)

    def strength(self, m1: M1Out) -> Tensor:
        """What people would draw, (B, 1, H, W) in [0, 1]."""
        if len(self.net.trunk) and m1.trunk is None:
            raise ValueError("these contours were taught on a backbone's maps; build the cortex with features=...")
        trunk = m1.trunk or ()
        logits, _ = self.net(*contour_inputs(m1.features, m1.boundary, m1.energy), trunk[: len(self.net.trunk)])
        return torch.sigmoid(logits)
