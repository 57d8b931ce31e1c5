"""The percept of many looks: regions, soft masks, boundaries, and where the looks disagree.

Ensemble clustering of label maps (Strehl & Ghosh 2002; Franek et al. 2010), with contours, weights and reliabilities,
on the basins of the mean contour, all scenes of a batch at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.integration.evidence import Evidence, atoms_of, joined, number, overlap, tally
from ciliary.cortex.integration.hierarchy import agreed_cut, grow, separations
from ciliary.cortex.integration.looks import Looks
from ciliary.cortex.notebook import Shown
from ciliary.cortex.ops.agglomerate import cut_at
from ciliary.cortex.ops.basins import global_label
from ciliary.cortex.ops.region_graph import RegionGraph
from ciliary.cortex.percept import final_labels


@dataclass(frozen=True)
class IntegratedPercept(Shown):
    """What many looks at B scenes come to. Has all that every percept has (:mod:`ciliary.cortex.perceiver`)."""

    segments: Tensor  # (B, H, W) int64, 0 .. number of segments - 1 in each scene, without gaps
    boundary: Tensor  # (B, 1, H, W) weighted mean of the looks' boundaries, in [0, 1]
    uncertainty: Tensor  # (B, 1, H, W) 1 - mean intersection over union of segment and looks' segments there, in [0, 1]
    separation: Tensor  # (B, 2, H, W) height that joins a pixel to its right, its lower neighbour; 0 inside an atom
    looks: Looks  # what it was made of
    membership: Tensor  # (B, C, S) share of each segment of the looks that lies in each segment of the percept

    @property
    def agreement(self) -> Tensor:
        """(B,) in [0, 1]: how far the looks agree with the percept, mean over pixels and looks."""
        return 1 - self.uncertainty.mean((1, 2, 3))

    @cached_property
    def masks(self) -> Tensor:
        """(B, S, H, W) on the simplex: share of the looks' segments at each pixel that lies in each segment."""
        b, k, h, w = self.looks.segments.shape
        index, _, n = number(self.looks)
        rows = global_label(index.flatten(1, 2), n).view(b, k, h * w).transpose(1, 2).reshape(b * h * w, k)
        trust = self.looks.share[:, None] if self.looks.reliability is None else self.looks.trust.flatten(2).mT
        weights = trust.expand(b, h * w, k).reshape(b * h * w, k)
        masks = F.embedding_bag(rows, self.membership.flatten(0, 1), mode="sum", per_sample_weights=weights)
        total = masks.sum(-1, keepdim=True)
        # Where no look says anything, the segment that it was joined to has all.
        own = F.one_hot(self.segments.flatten(), masks.shape[1]).to(masks.dtype)
        masks = torch.where(total > 1e-6, masks / total.clamp_min(1e-6), own)
        return masks.view(b, h, w, -1).movedim(-1, 1)

    @property
    def masks_coarse(self) -> Tensor:
        """(B, S, H//2, W//2): the masks averaged over 2 x 2 pixels."""
        return F.avg_pool2d(self.masks, 2)

    def labels(self, size: tuple[int, int] | None = None) -> Tensor:
        """(B, H, W) int64 without gaps; at ``size`` (height, width) the borders are smooth, not stairs."""
        if size is None or tuple(size) == self.segments.shape[1:]:
            return self.segments
        n = int(self.segments.max()) + 1
        return final_labels(F.one_hot(self.segments, n).movedim(-1, 1).float(), size)

    def __getitem__(self, index: Any) -> IntegratedPercept:
        """The percept of some scenes; an int keeps a batch axis of 1."""
        rows = slice(index, index + 1 or None) if isinstance(index, int) else index
        return IntegratedPercept(*(getattr(self, f.name)[rows] for f in fields(self)))

    def detach(self) -> IntegratedPercept:
        """Itself: there is no gradient."""
        return self


@torch.no_grad()
def integrate(
    looks: Looks, *, contour_weight: float = 0.5, cut: float | None = None, atoms: Tensor | None = None
) -> IntegratedPercept:
    """Put K looks at each of B scenes together. Deterministic; neither the order of looks nor their numbers matter.

    Args:
        looks: with weights and, if need be, reliabilities.
        contour_weight: how much the mean boundary between two regions adds to the share of looks that separate them.
        cut: height up to which regions are joined; None: the cut of the tree that agrees most with the looks.
        atoms: (B, H, W), what regions are made of, 0, 1, ... in each scene; :func:`~.evidence.atoms_of` when None.

    Returns:
        A percept, without gradient.
    """
    boundary = looks.mean(looks.boundary)
    evidence = tally(looks, atoms_of(looks) if atoms is None else atoms)
    tree, graph = grow(evidence, boundary, contour_weight=contour_weight)
    cluster = agreed_cut(tree, evidence) if cut is None else cut_at(tree, cut)
    n = evidence.shared_px.shape[1]
    name = global_label(evidence.atoms, n).view_as(evidence.atoms)
    regions = joined(evidence, cluster.view(-1, n))
    return IntegratedPercept(
        regions.atoms,
        boundary[:, None],
        _disagreement(looks, regions)[:, None],
        _drawn(name, graph, separations(tree, graph)),
        looks,
        (regions.shared_px / regions.shared_px.sum(1, keepdim=True).clamp_min(1e-6)).mT,
    )


def _disagreement(looks: Looks, regions: Evidence) -> Tensor:
    """(B, H, W): 1 - the mean over the looks of the intersection over union of the region and the look's segment."""
    b, k, h, w = looks.segments.shape
    r, c = regions.shared_px.shape[1:]
    columns = regions.look[:, None].expand(-1, r, -1)
    iou = overlap(regions.shared_px, regions.seen_px.gather(2, columns), regions.shared_px.sum(1, keepdim=True))
    index, _, _ = number(looks)
    place = global_label(index.flatten(1, 2) * r, c * r).view(b, k, h, w) + regions.atoms[:, None]
    return 1 - looks.mean(iou.mT.flatten()[place])


def _drawn(name: Tensor, graph: RegionGraph, height: Tensor) -> Tensor:
    """Heights of the borders of atoms, drawn where they lie: (B, 2, H, W)."""
    b, h, w = name.shape
    key = graph.first * (name.max() + 1) + graph.second  # sorted
    drawn = height.new_zeros(b, 2, h, w)
    for i, dim in enumerate((2, 1)):
        n = name.shape[dim] - 1
        one, two = name.narrow(dim, 0, n), name.narrow(dim, 1, n)
        asked = torch.minimum(one, two) * (name.max() + 1) + torch.maximum(one, two)
        place = torch.searchsorted(key, asked.contiguous()).clamp(max=max(len(key) - 1, 0))
        value = torch.where(one != two, height[place], 0.0) if len(key) else torch.zeros_like(one, dtype=height.dtype)
        drawn[:, i].narrow(dim, 0, n).copy_(value)
    return drawn
