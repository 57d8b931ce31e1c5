"""What looks say of small regions: which of their segments each lies in, and how far they are to be trusted there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.device import widest
from ciliary.cortex.integration.looks import Looks, edges_of
from ciliary.cortex.ops.basins import global_label
from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.ops.watershed import watershed

_HEIGHT_SIGMA_PX = 0.7  # blur of what is flooded, as of M3's basins: without it every grain is a region


@dataclass(frozen=True)
class Evidence:
    """N small regions, or atoms, of each of B scenes, and C segments of all their looks together.

    A pixel counts as much as the look is to be trusted there.
    """

    atoms: Tensor  # (B, H, W) int64, 0 .. n_b - 1
    shared_px: Tensor  # (B, N, C) pixels of each atom that lie in each segment
    seen_px: Tensor  # (B, N, K) pixels of each atom that each look says something of
    size_px: Tensor  # (B, N) pixels of each atom; 0 for padding
    look: Tensor  # (B, C) int64, whose segment each is; 0 for padding, which has no pixels
    share: Tensor  # (B, K) weights, summing to 1


def atoms_of(looks: Looks) -> Tensor:
    """(B, H, W): the basins of the mean of all borders and boundaries. Finer than any percept of interest."""
    height = looks.mean(0.5 * (edges_of(looks.segments) + looks.boundary))[:, None]
    sigma_px = torch.full((len(height),), _HEIGHT_SIGMA_PX, device=height.device)
    return watershed(gaussian_blur(height, sigma_px)[:, 0])


def cut_by(atoms: Tensor, segments: Tensor) -> Tensor:
    """(B, H, W): atoms (B, H, W) cut along the borders of a label map (B, H, W), numbered anew without gaps."""
    n = int(segments.max()) + 1
    key = global_label(atoms * n + segments, n * (int(atoms.max()) + 1))
    name = torch.unique(key, return_inverse=True)[1].view_as(atoms)  # sorted, so scene after scene
    numbered: Tensor = name - name.flatten(1).amin(1)[:, None, None]
    return numbered


def number(looks: Looks) -> tuple[Tensor, Tensor, int]:
    """The segments of all looks at a scene numbered through: (B, K, H, W), (B, C) whose each is, and C."""
    counts = looks.segments.flatten(2).amax(2) + 1  # (B, K)
    ends = counts.cumsum(1)
    n = int(ends[:, -1].max())
    index = torch.arange(n, device=counts.device).repeat(len(counts), 1)
    look = torch.searchsorted(ends, index, right=True)
    return looks.segments + (ends - counts)[..., None, None], look.clamp(max=len(looks) - 1), n


def tally(looks: Looks, regions: Tensor) -> Evidence:
    """The evidence on regions (B, H, W), 0 .. n_b - 1 in each scene."""
    b, k, h, w = looks.segments.shape
    segments, look, n_segments = number(looks)
    n = int(regions.max()) + 1
    name = global_label(regions, n).view(b, 1, h * w)
    trust = None if looks.reliability is None else looks.reliability.flatten().to(widest(name.device))

    def count(index: Tensor, n_columns: int) -> Tensor:
        # Of whole numbers, or of doubles: the same in whatever order.
        found = torch.bincount((name * n_columns + index).flatten(), weights=trust, minlength=b * n * n_columns)
        return found.view(b, n, n_columns).float()

    shared = count(segments.flatten(2), n_segments)
    seen = count(torch.arange(k, device=name.device)[None, :, None].expand(b, k, h * w), k)
    size = torch.bincount(name.flatten(), minlength=b * n).view(b, n).float()
    return Evidence(regions, shared, seen, size, look, looks.share)


def joined(evidence: Evidence, cluster: Tensor) -> Evidence:
    """The evidence on regions that are made of atoms: ``cluster`` (B, N) is the region of each atom."""
    b, n = cluster.shape
    r = int(cluster.max()) + 1
    name = global_label(cluster[..., None], r)

    def added(table: Tensor) -> Tensor:
        return table.new_zeros(b * r, table.shape[-1]).index_add(0, name, table.flatten(0, 1)).view(b, r, -1)

    regions = cluster.flatten()[global_label(evidence.atoms, n)].view_as(evidence.atoms)
    size = added(evidence.size_px[..., None])[..., 0]
    return Evidence(regions, added(evidence.shared_px), added(evidence.seen_px), size, evidence.look, evidence.share)


def overlap(shared_px: Tensor, seen_px: Tensor, segment_px: Tensor) -> Tensor:
    """Intersection over union of regions (..., M) and segments (..., C): (..., M, C); 0 where neither has a pixel.

    Args:
        shared_px: (..., M, C).
        seen_px: (..., M, C) size of each region, in the pixels that the segment's look says something of.
        segment_px: (..., 1, C) or (..., M, C).
    """
    return shared_px / (seen_px + segment_px - shared_px).clamp_min(1e-6)
