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
        return beside_completion(m1, self.strength(m1), theta)

    def strength(self, m1: M1Out) -> Tensor:
        """What people would draw, (B, 1, H, W) in [0, 1]."""
        trunk: tuple[Tensor, ...] = ()
        if len(self.net.trunk):
            if m1.cues is None or m1.cues.trunk is None:
                raise ValueError("these contours were taught on a backbone's maps; build the cortex with features=...")
            trunk = m1.cues.trunk
        logits, _ = self.net(*contour_inputs(m1.features, m1.boundary, m1.energy), trunk)
        return torch.sigmoid(logits)


class GivenM2(nn.Module):
    """As :class:`TaughtM2`, with the contours of a user's own network, which are among the image's cues."""

    def forward(self, m1: M1Out, theta: Theta) -> M2Out:
        """As M2.

        Raises:
            ValueError: the cues have no contour.
        """
        if m1.cues is None or m1.cues.contour is None:
            raise ValueError("expected a contour among the image's cues, got none; build the cortex with contours=...")
        return beside_completion(m1, m1.cues.contour, theta)


def beside_completion(m1: M1Out, strength: Tensor, theta: Theta) -> M2Out:
    """M2 with ``taught_share`` of its contour from ``strength`` (B, 1, H, W), the rest from completion."""
    end_points, completed = complete(m1, theta)
    share = theta["taught_share"].view(-1, 1, 1, 1)
    return contain(m1, end_points, torch.lerp(completed, strength, share), theta)
