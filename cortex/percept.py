"""What each stage hands on, as frozen dataclasses with named fields, and the whole of it: :class:`Percept`.

Sizes: B batch, H x W pixels, A scales, O orientations, K regions, S slots, D texture channels, N patches, d embedding.
All float32 unless said otherwise. A field keeps its meaning from birth to plot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.notebook import Shown
from ciliary.cortex.ops.atoms import Atoms
from ciliary.cortex.ops.loggabor import dominant_orientation

N_ORIENTATIONS = 6  # O, of V1


@dataclass(frozen=True)
class Cues:
    """Maps that depend on the image alone: computed once per image, shared by all settings and repeated by indexing."""

    depth: Tensor  # (B, 1, H, W) relative depth in [0, 1], 1 far
    backbone: Tensor | None  # (B, C, H, W) the trunk's leading components at every pixel, variance about 1, or None
    deep: Tensor | None = None  # (B, C', h, w) a classifier's last feature map, for recognition only, or None
    trunk: tuple[Tensor, ...] | None = None  # (B, C_i, ceil(H/s_i), ceil(W/s_i)) whitened, of each stage, or None
    contour: Tensor | None = None  # (B, 1, H, W) in [0, 1]: what a user's own network says of contours, or None
    spacing_px: Tensor | None = None  # (B, 1, H, W) of an eye's samples at each place, inf unseen; None: a photograph

    def __getitem__(self, index: Any) -> Cues:
        """The cues of some samples of the batch (slice or index tensor)."""
        taken: Cues = _map(self, lambda tensor: tensor[index])
        return taken


@dataclass(frozen=True)
class RetinaOut:
    """Light-adapted image."""

    cones: Tensor  # (B, 3, H, W) adapted L, M, S responses in [0, 1]
    opponent: Tensor  # (B, 3, H, W) luminance, red-green, blue-yellow
    on_off: Tensor  # (B, 2, H, W) rectified difference of Gaussians of luminance, >= 0


@dataclass(frozen=True)
class M1Out:
    """Perception: V1 energy, V2 affinity, soft regions S1."""

    energy: Tensor  # (B, A*O, H, W) quadrature energy, scale-major, >= 0
    affinity: Tensor  # (B, 4, H, W) w in (0, 1] to the neighbours E, S, SE, SW
    boundary: Tensor  # (B, 1, H, W) strength of perceptual boundary in [0, 1]
    regions_coarse: Tensor  # (B, K, H/2, W/2) S1, on the simplex over K
    depth: Tensor  # (B, 1, H, W) relative depth in [0, 1], 1 far
    features: Tensor  # (B, C, H, W) the weighted cue vector the regions were grouped by
    cues: Cues | None = None  # what it was given, handed on
    code: Tensor | None = None  # (B, d, H/4, W/4) in which ||a - b||^2 says how far people part two places, or None

    @cached_property
    def orientation(self) -> Tensor:
        """(B, 1, H, W) dominant contour orientation (tangent), radians in [0, pi)."""
        return dominant_orientation(self.energy.unflatten(1, (-1, N_ORIENTATIONS)).square().mean(1))

    @cached_property
    def regions(self) -> Tensor:
        """(B, K, H, W) S1 at every pixel."""
        return F.interpolate(self.regions_coarse, size=self.boundary.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class M2Out:
    """Grouping: contours, their ends, the barrier, and the stabilised regions S2."""

    end_points: Tensor  # (B, 1, H, W) end-stopped response in [0, 1]
    contour: Tensor  # (B, 1, H, W) boundary completed along co-circular support, in [0, 1]
    barrier: Tensor  # (B, 1, H, W) share of diffusion stopped, in [0, 1]
    regions_coarse: Tensor  # (B, K, H/2, W/2) S2: S1 after diffusion that the barrier stops, on the simplex

    @cached_property
    def regions(self) -> Tensor:
        """(B, K, H, W) S2 at every pixel."""
        return F.interpolate(self.regions_coarse, size=self.contour.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class M3Out:
    """Invariance: texture statistics and slots.

    Slots live on the patches; ``slots``, ``distance`` and ``texture`` at every pixel are drawn when asked for.
    """

    texture_coarse: Tensor  # (B, D, H/4, W/4) local energy statistics
    patches: Atoms  # what the slots are made of
    cue: Tensor  # (B, N, C) cue vector of each patch
    assignment: Tensor  # (B, N, S) soft slots on the patches, on the simplex over S
    patch_distance: Tensor  # (B, N, S) exact geodesic distance on the patch graph to each slot's seed
    prototype: Tensor  # (B, S, C) mean cue vector of each slot
    size: Tensor  # (B, S) pixels of each slot, soft
    border_length: Tensor  # (B, S, S) pixels of border two slots share
    border_strength: Tensor  # (B, S, S) sum of the barrier along it

    @cached_property
    def slots(self) -> Tensor:
        """(B, S, H, W) soft slots, on the simplex over S."""
        return self.patches.render(self.assignment)

    @cached_property
    def distance(self) -> Tensor:
        """(B, S, H, W) geodesic distance to each slot's seed."""
        return self.patches.render(self.patch_distance)

    @cached_property
    def texture(self) -> Tensor:
        """(B, D, H, W) local energy statistics."""
        return F.interpolate(self.texture_coarse, size=self.patches.image_size, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class M4Out:
    """Proto-objects."""

    assignment: Tensor  # (B, N, S) share of each patch in each proto-object, on the simplex over S
    patches: Atoms  # those of M3
    embedding: Tensor  # (B, S, d) mean cues, log size, place (y, x) and spread of each proto-object
    objectness: Tensor  # (B, S) in [0, 1]; 0 for dead slots
    merge_height: Tensor  # (B, S-1) cost of each merge of the tree of slots, never falling; inf: nothing left to merge
    curves: Tensor | None = None  # (B, S, d'') V4's embedding of each one's contours, length 1 (0: none), or None
    figure: Tensor | None = None  # (B, P, U) V4's cells over a raster of the whole image as one figure, or None

    @cached_property
    def masks(self) -> Tensor:
        """(B, S, H, W) soft masks, on the simplex over S; empty and duplicate slots are ~0."""
        return self.patches.render(self.assignment)

    @cached_property
    def winner(self) -> Tensor:
        """(B, H, W) int64, the proto-object that each pixel belongs to most; no mask is drawn for it."""
        drawn = self.__dict__.get("masks")
        return self.patches.winner(self.assignment.detach()) if drawn is None else drawn.detach().max(1).indices

    @cached_property
    def masks_coarse(self) -> Tensor:
        """(B, S, H//2, W//2): the masks averaged over 2 x 2 pixels, at a quarter of their cost."""
        return self.patches.render(self.assignment, is_coarse=True)

    def labels(self, size: tuple[int, int] | None = None) -> Tensor:
        """The final segmentation: (B, H, W) int64, 0 .. number of segments - 1 in each image, without gaps.

        Args:
            size: (height, width) to resample to; the input's own resolution when None. Soft masks are interpolated,
                then compared, in bands of rows, so that a photograph of 100 megapixels needs little memory. A slot
                that wins at none of an image's own pixels is no segment of it at any size.
        """
        if size is None or tuple(size) == tuple(self.patches.image_size):
            winner = self.winner
            return number(winner, int(winner.max()) + 1)
        return final_labels(self.masks.detach(), size)


@dataclass(frozen=True)
class M5Out:
    """Recognition: what each proto-object is like."""

    description: Tensor  # (B, S, d) what M5 is told of each proto-object; entries as ciliary.cortex.description says
    code: Tensor  # (B, S, d') of length 1: objects that are alike have like codes
    gate: Tensor  # (B, S, E) share of each expert, on the simplex over E; at most k are not 0
    completed: Tensor  # (B, S, d) the description with what was hidden filled in
    weight: Tensor  # (B, S) how much each counts: objectness times the root of its share of the area, summing to 1
    pooled: Tensor | None = None  # (B, S, C') deep features pooled over the masks, or None
    shaped: Tensor | None = None  # (B, S, d' + d'') ``code`` and V4's embedding beside it, of length 1, or None


class _OfObjects(Shown):
    """What is read of the proto-objects alone."""

    m4: M4Out

    @property
    def masks(self) -> Tensor:
        """(B, S, H, W) soft masks of the proto-objects, on the simplex over S."""
        return self.m4.masks

    @property
    def masks_coarse(self) -> Tensor:
        """(B, S, H//2, W//2): the masks averaged over 2 x 2 pixels."""
        return self.m4.masks_coarse

    def labels(self, size: tuple[int, int] | None = None) -> Tensor:
        """See :meth:`M4Out.labels`."""
        return self.m4.labels(size)


@dataclass(frozen=True)
class Percept(_OfObjects):
    """All a cortex perceived in a batch of images."""

    retina: RetinaOut
    m1: M1Out
    m2: M2Out
    m3: M3Out
    m4: M4Out
    m5: M5Out | None = None  # of a cortex that recognises

    # What every perceiver's percepts have, whatever is inside (ciliary.cortex.perceiver).
    @property
    def boundary(self) -> Tensor:
        """(B, 1, H, W) the completed contour of M2, in [0, 1]."""
        return self.m2.contour

    @property
    def energy(self) -> Tensor:
        """(B, C, H, W) the quadrature energy of V1, >= 0."""
        return self.m1.energy

    def lean(self) -> LeanPercept:
        """What later readers of objects need, without the stages before."""
        return LeanPercept(self.m4, self.boundary)

    def __getitem__(self, index: Any) -> Percept:
        """The percept of some samples of the batch; an int keeps a batch axis of 1."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        taken: Percept = _map(self, lambda tensor: tensor[index])
        return taken

    def detach(self) -> Percept:
        """The same percept without its gradient graph."""
        alone: Percept = _map(self, Tensor.detach)
        return alone


@dataclass(frozen=True)
class LeanPercept(_OfObjects):
    """A percept of which only the objects and the contour were kept: a fifth of the memory, or less."""

    m4: M4Out
    boundary: Tensor  # (B, 1, H, W) the completed contour of M2, in [0, 1]

    def __getitem__(self, index: Any) -> LeanPercept:
        """The percept of some samples of the batch; an int keeps a batch axis of 1."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        taken: LeanPercept = _map(self, lambda tensor: tensor[index])
        return taken


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """``value`` with ``change`` applied to every tensor in it, through nested dataclasses and tuples of tensors."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _map(getattr(value, f.name), change) for f in fields(value)})
    if isinstance(value, tuple) and value and all(isinstance(one, Tensor) for one in value):
        return tuple(change(one) for one in value)
    return change(value) if isinstance(value, Tensor) else value


def final_labels(masks: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """The mask that wins at each pixel, numbered without gaps; see :meth:`Percept.labels`.

    Args:
        masks: (B, S, H, W) on the simplex over S.
        size: (height, width) to resample to.
    """
    winner, n_slots = masks.max(1).indices, masks.shape[1]  # several times faster than argmax
    if size is None or tuple(size) == masks.shape[-2:]:
        return number(winner, n_slots)
    wins = torch.zeros(masks.shape[:2], dtype=torch.bool, device=masks.device).scatter_(1, winner.flatten(1), True)
    winners = torch.nonzero(wins.any(0))[:, 0]  # of any image: slots that win nowhere need not be interpolated
    # Each image's own winners only: its labels must not depend on what is beside it in the batch.
    return number(_argmax_at(torch.where(wins[..., None, None], masks, -1.0)[:, winners], size), len(winners))


def number(label: Tensor, n: int) -> Tensor:
    """Labels (B, H, W) in 0 .. n-1, numbered without gaps in each image, in their order."""
    flat = label.flatten(1)
    used = flat.new_zeros(len(flat), n).scatter_(1, flat, 1)
    # Through a small table: sorting the pixels of a large photograph would be slow.
    return (used.cumsum(1) - 1).gather(1, flat).view_as(label)


def _argmax_at(masks: Tensor, size: tuple[int, int], band_rows: int = 256) -> Tensor:
    """``argmax`` over S of (B, S, h, w) masks interpolated to ``size`` (bilinear), band by band of rows.

    Between four samples with one winner that winner wins everywhere, interpolation being a convex combination: only
    the pixels near a border, some tenth of an image, are interpolated at all.
    """
    winner = masks.max(1).indices
    h, w = masks.shape[-2:]
    last = masks.movedim(1, -1).contiguous()
    left, right, x = _between(torch.arange(size[1], device=masks.device), size[1], w)
    bands = []
    for top in range(0, size[0], band_rows):
        rows_here = torch.arange(top, min(top + band_rows, size[0]), device=masks.device)
        above, below, y = _between(rows_here, size[0], h)
        corners = [winner[:, rows][:, :, columns] for rows in (above, below) for columns in (left, right)]
        band = corners[0]
        is_open = (corners[1] != band) | (corners[2] != band) | (corners[3] != band)
        b, i, j = torch.nonzero(is_open, as_tuple=True)
        upper, lower = (
            torch.lerp(last[b, rows[i], left[j]], last[b, rows[i], right[j]], x[j, None]) for rows in (above, below)
        )
        band[is_open] = torch.lerp(upper, lower, y[i, None]).max(1).indices
        bands.append(band)
    return torch.cat(bands, 1)


def _between(index: Tensor, n_to: int, n_from: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of the pixels ``index`` of ``n_to`` along an axis: the samples of ``n_from`` before and after, how far along."""
    place = ((index.float() + 0.5) * (n_from / n_to) - 0.5).clamp(0, n_from - 1)
    before = place.floor().long()
    return before, (before + 1).clamp(max=n_from - 1), place - before
