"""What a segmentation function saw: label maps, and the masks that everybody reads, made of them when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.notebook import Shown

Labels = np.ndarray[Any, np.dtype[np.int64]]

#: Segments told apart in the masks of an image, so that memory stays bounded. Labels keep all of them.
MAX_MASKS = 128


@dataclass(frozen=True)
class LabelPercept(Shown):
    """The segmentations of B images.

    Label maps are all that is stored: percepts of different numbers of segments are joined by joining those. S of the
    masks is the largest number of segments in the batch, at most ``max_masks``: an image with more has a mask for each
    of its largest segments, and the others belong to the mask they share most border with.
    """

    segments: Tensor  # (B, H, W) int64, 0 .. number of segments - 1 in each image, without gaps
    max_masks: int = MAX_MASKS

    @cached_property
    def _slots(self) -> Tensor:
        """(B, H, W) int64: which mask each pixel belongs to."""
        counts = self.segments.flatten(1).max(1).values + 1
        if int(counts.max()) <= self.max_masks:
            return self.segments
        maps = [
            self._merged(labels) if n > self.max_masks else labels
            for labels, n in zip(self.segments, counts.tolist(), strict=True)
        ]
        return torch.stack(maps)

    def _merged(self, labels: Tensor) -> Tensor:
        return torch.from_numpy(merged_into_largest(labels.cpu().numpy(), self.max_masks)).to(labels.device)

    @cached_property
    def masks(self) -> Tensor:
        """(B, S, H, W) float32, 1 in the pixels of a segment and 0 elsewhere."""
        b, height, width = self._slots.shape
        masks = torch.zeros(b, int(self._slots.max()) + 1, height, width, device=self._slots.device)
        return masks.scatter_(1, self._slots[:, None], 1.0)

    @cached_property
    def masks_coarse(self) -> Tensor:
        """(B, S, H//2, W//2): the masks averaged over 2 x 2 pixels, at a quarter of their memory."""
        b, height, width = self._slots.shape
        h, w = height // 2, width // 2
        masks = torch.zeros(b, int(self._slots.max()) + 1, h, w, device=self._slots.device)
        quarter = masks.new_full((b, 1, h, w), 0.25)
        for y in (0, 1):
            for x in (0, 1):
                masks.scatter_add_(1, self._slots[:, None, y : 2 * h : 2, x : 2 * w : 2], quarter)
        return masks

    @cached_property
    def boundary(self) -> Tensor:
        """(B, 1, H, W): 1 where the right or the lower neighbour is of another segment, 0 elsewhere."""
        edge = torch.zeros_like(self.segments, dtype=torch.bool)
        edge[:, :, :-1] |= self.segments[:, :, :-1] != self.segments[:, :, 1:]
        edge[:, :-1] |= self.segments[:, :-1] != self.segments[:, 1:]
        return edge[:, None].float()

    def labels(self, size: tuple[int, int] | None = None) -> Tensor:
        """(B, H, W) int64 without gaps; at ``size`` (height, width), each pixel as the nearest one of the image.

        A segment that no pixel is nearest to is lost, and leaves no gap.
        """
        height, width = self.segments.shape[1:]
        if size is None or tuple(size) == (height, width):
            return self.segments
        rows = _nearest(size[0], height, self.segments.device)
        columns = _nearest(size[1], width, self.segments.device)
        return without_gaps(self.segments[:, rows][:, :, columns])

    def __getitem__(self, index: Any) -> LabelPercept:
        """The percept of some images; an int keeps a batch axis of 1."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(self, segments=self.segments[index])

    def detach(self) -> LabelPercept:
        """Itself: there is no gradient."""
        return self


def _nearest(n_to: int, n_from: int, device: torch.device) -> Tensor:
    """Of each of ``n_to`` pixels along an axis, the nearest of ``n_from``."""
    return ((torch.arange(n_to, device=device) + 0.5) * (n_from / n_to)).long().clamp(max=n_from - 1)


def without_gaps(labels: Tensor) -> Tensor:
    """Label maps (B, H, W) of any integers >= 0, numbered 0, 1, ... in the order of the old numbers in each image."""
    flat = labels.flatten(1)
    used = flat.new_zeros(len(flat), int(flat.max()) + 1).scatter_(1, flat, 1)
    return (used.cumsum(1) - 1).gather(1, flat).view_as(labels)


def merged_into_largest(labels: Labels, n_most: int) -> Labels:
    """A label map (H, W) of more than ``n_most`` segments, numbered without gaps, with the smallest merged away.

    The largest keep their order. Each of the others joins the one that it shares most border with (of equals, the
    first); one that touches only such others, what those joined.
    """
    n = int(labels.max()) + 1
    largest = np.sort(np.argsort(-np.bincount(labels.ravel(), minlength=n), kind="stable")[:n_most])
    slot = np.full(n, -1, dtype=np.int64)
    slot[largest] = np.arange(n_most)
    across, down = (labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])
    one, other = (np.concatenate([x.ravel() for x in (across[i], down[i], across[1 - i], down[1 - i])]) for i in (0, 1))
    while (slot < 0).any():
        is_vote = (slot[one] < 0) & (slot[other] >= 0)
        votes, counts = np.unique(one[is_vote] * n_most + slot[other[is_vote]], return_counts=True)
        order = np.lexsort((votes, -counts, votes // n_most))
        small, first = np.unique(votes[order] // n_most, return_index=True)
        slot[small] = votes[order][first] % n_most
    merged: Labels = slot[labels]
    return merged
