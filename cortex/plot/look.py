"""One look at one image, with all that its figures are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.cortex.model import Cortex
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import Percept
from ciliary.cortex.stages.table import LEARNED_STAGES

N_OBJECTS = 8  # proto-objects that are shown one by one, at most


@dataclass(frozen=True, eq=False)
class Look:
    """What one cortex perceived in one image, and how; all but the cortex on the CPU, where figures are drawn."""

    name: str
    image: Tensor  # (3, H, W) in [0, 1]
    theta: Theta  # (1,) each
    cortex: Cortex
    percept: Percept  # a batch of one, without gradient

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of the stages that use a learned part."""
        return tuple(name for name, kind in LEARNED_STAGES.items() if isinstance(getattr(self.cortex, name), kind))


@torch.no_grad()
def look(cortex: Cortex, image: Tensor, theta: Theta | None = None, *, name: str = "image") -> Look:
    """Look once.

    Args:
        cortex: best one that recognises: without M5 there is nothing to show of it.
        image: (3, H, W) float32, sRGB in [0, 1].
        theta: (1,) each; the defaults when None.
        name: of the image, for people.
    """
    theta = cortex.table.default_theta(1) if theta is None else theta
    percept = cortex(image[None].to(cortex.device), theta).detach()
    return Look(name, image, theta, cortex, to_device(percept, "cpu"))


@dataclass(frozen=True, eq=False)
class ProtoObject:
    """A proto-object that is the strongest at some pixel.

    Attributes:
        slot: its place along S.
        mask: (H, W) bool, where it is the strongest.
        objectness: in [0, 1].
        weight: how much M5 lets it count, of 1 for the image; its share of the area without M5.
    """

    slot: int
    mask: np.ndarray
    objectness: float
    weight: float


def proto_objects(percept: Percept, *, n_most: int | None = None) -> list[ProtoObject]:
    """The proto-objects of a batch of one that win somewhere, the heaviest first; equal ones by slot."""
    winner = percept.m4.masks[0].detach().max(0).indices
    slots, n_pixels = torch.unique(winner, return_counts=True)
    m5 = percept.m5
    weight = n_pixels / winner.numel() if m5 is None else m5.weight[0].detach()[slots]
    order = torch.argsort(-weight, stable=True)[:n_most].tolist()
    objectness = percept.m4.objectness[0].detach()
    return [
        ProtoObject(int(slots[i]), (winner == slots[i]).numpy(), float(objectness[slots[i]]), float(weight[i]))
        for i in order
    ]


def label_map(percept: Percept) -> np.ndarray:
    """(H, W) int64: the slot of the strongest proto-object at each pixel of a batch of one."""
    return percept.m4.masks[0].detach().max(0).indices.numpy()
