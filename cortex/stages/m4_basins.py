"""M4 on basins: proto-objects by the same cost of merging, and an objectness that people's regions taught."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ciliary.cortex.ops.kmeans import ramp
from ciliary.cortex.ops.pair_cost import dense_linkage
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M3Out, M4Out
from ciliary.cortex.stages.m4_objects import alive, appraise, cut, describe, regroup
from ciliary.cortex.stages.merge_cost import MergeCost, merge_odds

#: What objectness is read from; the first three are weighed by the parameters of their names.
EVIDENCE = ("contrast", "closure", "variance", "log_size", "y", "x", "extent_y", "extent_x")


class Objectness(nn.Module):
    """Log odds that a proto-object is one, from :data:`EVIDENCE`. 150 weights."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(len(EVIDENCE), width), nn.Tanh(), nn.Linear(width, 1))
        self.register_buffer("mean", torch.zeros(len(EVIDENCE)))
        self.register_buffer("spread", torch.ones(len(EVIDENCE)))

    def forward(self, evidence: Tensor) -> Tensor:
        """(..., 8) to (...)."""
        odds: Tensor = self.layers((evidence - self.mean) / self.spread)[..., 0]
        return odds


class BasinM4(nn.Module):
    """:func:`~ciliary.cortex.stages.m4_objects.make_objects` with the cost of M3, and a taught objectness."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = MergeCost()
        self.objectness = Objectness()

    def forward(self, m3: M3Out, theta: Theta) -> M4Out:
        """As M4."""
        h, w = m3.patches.image_size
        linkage = dense_linkage(merge_odds(self.cost, theta, image_px=float(h * w)))
        share, height = cut(m3, theta, linkage, at_least=beyond_count(m3.size.shape[1], theta["n_slots"]))
        length, strength = (regroup(x, share) for x in (m3.border_length, m3.border_strength))
        m4 = describe(m3, m3.assignment @ share, length, strength, height, theta)
        evidence, size = object_evidence(m3, m4, length, strength, theta)
        return replace(m4, objectness=torch.sigmoid(self.objectness(evidence)) * alive(m3, size))


def beyond_count(n: int, count: Tensor) -> Tensor:
    """How far each merge (B, n-1) of n slots happens as more than ``count`` (B,) would be left; the last in part."""
    left = torch.arange(n, 1, -1, device=count.device)
    # With all slots no merge happens, not even in part: a hair less, or the count would have no gradient there.
    count = torch.where(count < n, count, count - 1e-4)
    return ramp(left[None] - count[:, None])


def object_evidence(m3: M3Out, m4: M4Out, length: Tensor, strength: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
    """What is known of each proto-object, (B, S, 8) as :data:`EVIDENCE`, and its size in pixels (B, S).

    Args:
        m3, m4: whose proto-objects.
        length: (B, S, S) pixels of border that two of them share.
        strength: (B, S, S) sum of the contour along it.
        theta: weighs contrast, closure and variance.
    """
    _, found, size = appraise(m3, m4.assignment, length, strength)
    weighed = [theta[f"{name}_weight"][:, None] * found[name] for name in EVIDENCE[:3]]
    return torch.stack([*weighed, *m4.embedding[..., -5:].unbind(-1)], -1), size
