"""Looks: what was perceived of the same scenes, several times, in the scenes' own frame.

A look is a label map and the strength of its boundaries, whoever saw it, at whatever size, in whatever light, from
wherever: what came from elsewhere is brought back first (:meth:`ciliary.envs.objective.views.WayBack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.perceiver import AbstractPercept


@dataclass(frozen=True)
class Looks:
    """K looks at each of B scenes of H x W pixels.

    Attributes:
        segments: (B, K, H, W) int64 >= 0; numbers mean nothing from look to look.
        boundary: (B, K, H, W) strength of boundary in [0, 1].
        weight: (B, K) >= 0, how much each look counts; relative.
        reliability: (B, K, H, W) in [0, 1], how far a look is to be trusted at each pixel; None: everywhere. What has
            reliability 0 (what was outside a view) says nothing.
    """

    segments: Tensor
    boundary: Tensor
    weight: Tensor
    reliability: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.segments.shape
        if self.segments.ndim != 4 or self.boundary.shape != shape or self.weight.shape != shape[:2]:
            raise ValueError(
                f"expected segments and boundary (B, K, H, W) and weight (B, K), got {tuple(shape)}, "
                f"{tuple(self.boundary.shape)} and {tuple(self.weight.shape)}"
            )
        if self.reliability is not None and self.reliability.shape != shape:
            raise ValueError(f"expected reliability {tuple(shape)}, got {tuple(self.reliability.shape)}")

    @classmethod
    def of(cls, percept: AbstractPercept, *, size: tuple[int, int] | None = None) -> Looks:
        """One look at each of a percept's B scenes, at ``size`` (height, width); the percept's own when None."""
        with torch.no_grad():
            segments = percept.labels(size)
            boundary = percept.boundary.detach()
            if boundary.shape[-2:] != segments.shape[-2:]:
                boundary = F.interpolate(boundary, size=segments.shape[-2:], mode="bilinear", align_corners=False)
            return cls(segments[:, None], boundary, boundary.new_ones(len(segments), 1))

    @classmethod
    def of_masks(cls, masks: Tensor) -> Looks:
        """Soft masks (B, K, S, H, W) on the simplex over S, as reliable at each pixel as its largest share."""
        most, segments = masks.detach().max(2)
        return cls(segments, edges_of(segments), most.new_ones(most.shape[:2]), most)

    def __len__(self) -> int:
        """K."""
        return self.segments.shape[1]

    def __getitem__(self, index: Any) -> Looks:
        """Looks at some of the scenes."""
        trust = None if self.reliability is None else self.reliability[index]
        return Looks(self.segments[index], self.boundary[index], self.weight[index], trust)

    def take(self, index: slice | Sequence[int]) -> Looks:
        """Some of the looks at each scene."""
        trust = None if self.reliability is None else self.reliability[:, index]
        return Looks(self.segments[:, index], self.boundary[:, index], self.weight[:, index], trust)

    def flat(self) -> Looks:
        """One look at each of N scenes that are the same as N looks at one: (N, 1, ...) to (1, N, ...)."""
        trust = None if self.reliability is None else self.reliability.transpose(0, 1)
        return Looks(self.segments.transpose(0, 1), self.boundary.transpose(0, 1), self.weight.transpose(0, 1), trust)

    @property
    def share(self) -> Tensor:
        """(B, K) the weights, summing to 1; alike where none has any."""
        total = self.weight.sum(1, keepdim=True)
        return torch.where(total > 0, self.weight / total.clamp_min(1e-12), 1 / len(self))

    @property
    def trust(self) -> Tensor:
        """(B, K, H, W) how much each look counts at each pixel; sums to 1 where all are reliable."""
        share = self.share[..., None, None].expand_as(self.boundary)
        return share if self.reliability is None else share * self.reliability

    def mean(self, field: Tensor) -> Tensor:
        """(B, H, W): the mean of a field (B, K, H, W) over the looks, each as far as it counts there; 0 for none."""
        total = (field * self.trust).sum(1)
        return total if self.reliability is None else total / self.trust.sum(1).clamp_min(1e-9)


def join_looks(parts: Sequence[Looks]) -> Looks:
    """Looks at the same scenes, one after the other: what is added comes last.

    Raises:
        ValueError: they are of other sizes or scenes.
    """
    shapes = {(one.segments.shape[0], *one.segments.shape[2:]) for one in parts}
    if len(shapes) != 1:
        raise ValueError(f"expected looks at the same scenes at one size, got (B, H, W) {sorted(shapes)}")
    trusts = None
    if any(one.reliability is not None for one in parts):
        trusts = torch.cat([torch.ones_like(p.boundary) if p.reliability is None else p.reliability for p in parts], 1)
    return Looks(
        torch.cat([one.segments for one in parts], 1),
        torch.cat([one.boundary for one in parts], 1),
        torch.cat([one.weight for one in parts], 1),
        trusts,
    )


def edges_of(segments: Tensor) -> Tensor:
    """1 at the pixels on both sides of a border between labels, of any maps (..., H, W)."""
    edge = torch.zeros(segments.shape, device=segments.device)
    for dim in (-1, -2):
        n = segments.shape[dim] - 1
        changes = (segments.narrow(dim, 0, n) != segments.narrow(dim, 1, n)).float()
        for start in (0, 1):
            side = edge.narrow(dim, start, n)
            torch.maximum(side, changes, out=side)
    return edge
