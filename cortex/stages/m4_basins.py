"""M4 on basins: proto-objects by the same cost of merging, and an objectness that people's regions taught."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ciliary.cortex.ops.kmeans import ramp
from ciliary.cortex.ops.pair_cost import PairCost, cost_table
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M3Out, M4Out
from ciliary.cortex.stages.m4_objects import MIN_BORDER_PX, alive, appraise, cut, describe, regroup
from ciliary.cortex.stages.merge_cost import MergeCost, merge_odds

#: What objectness is read from; the first three are weighed by the parameters of their names.
EVIDENCE = ("contrast", "closure", "variance", "parting", "log_size", "y", "x", "extent_y", "extent_x")
_MOST_COST = 100.0  # of a merge: that of an object which touches nothing


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
        """(..., 9) to (...)."""
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
        m4, evidence, size = self.objects(m3, theta)
        return replace(m4, objectness=torch.sigmoid(self.objectness(evidence)) * alive(m3, size))

    def objects(self, m3: M3Out, theta: Theta) -> tuple[M4Out, Tensor, Tensor]:
        """Proto-objects with the mathematical objectness, and what the taught one is read from (B, S, 9), sizes."""
        h, w = m3.patches.image_size
        cost = merge_odds(self.cost, theta, image_px=float(h * w))
        share, height = cut(m3, theta, cost, at_least=beyond_count(m3.size.shape[1], theta["n_slots"]))
        length, strength = (regroup(x, share) for x in (m3.border_length, m3.border_strength))
        m4 = describe(m3, m3.assignment @ share, length, strength, height, theta)
        return m4, *object_evidence(m3, m4, length, strength, theta, cost)


def beyond_count(n: int, count: Tensor) -> Tensor:
    """How far each merge (B, n-1) of n slots happens since more than ``count`` (B,) would be left; the last in part."""
    left = torch.arange(n, 1, -1, device=count.device)
    # With all slots no merge happens, not even in part: a hair less, or the count would have no gradient there.
    count = torch.where(count < n, count, count - 1e-4)
    return ramp(left[None] - count[:, None])


def object_evidence(
    m3: M3Out, m4: M4Out, length: Tensor, strength: Tensor, theta: Theta, cost: PairCost
) -> tuple[Tensor, Tensor]:
    """What is known of each proto-object, (B, S, 9) as :data:`EVIDENCE`, and its size in pixels (B, S).

    ``parting`` is the log odds that people part it from the neighbour they would sooner join it with than any other.

    Args:
        m3, m4: whose proto-objects.
        length: (B, S, S) pixels of border that two of them share.
        strength: (B, S, S) sum of the contour along it.
        theta: weighs contrast, closure and variance.
        cost: of a merge.
    """
    mean, found, size = appraise(m3, m4.assignment, length, strength)
    weighed = [theta[f"{name}_weight"][:, None] * found[name] for name in EVIDENCE[:3]]
    table = cost_table(cost, mean * size[..., None], size, length, strength[..., None])
    least = torch.where(length > MIN_BORDER_PX, table, _MOST_COST).amin(2)
    parting = torch.log(least.clamp(1 / _MOST_COST, _MOST_COST))
    return torch.stack([*weighed, parting, *m4.embedding[..., -5:].unbind(-1)], -1), size
