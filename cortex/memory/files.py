"""Object files: a slot for each thing, found again by where it should be and by what it looks like.

Things are held by an index that sticks to them while they move and change (Pylyshyn 1989, "The role of location indexes
in spatial perception"), and a file at the index gathers what is known of them (Kahneman, Treisman & Gibbs 1992, "The
reviewing of object files"): a thing that is seen is first looked for among the files, where it is expected, and a file
that finds nothing decays (Rensink 2000, "The dynamic representation of scenes": without attention coherence is lost).
People hold four or five; a memory here has as many slots as it is made with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.memory.assignment import NONE
from ciliary.cortex.memory.kalman import Track
from ciliary.cortex.memory.objects import ProtoObjects


@dataclass(frozen=True, eq=False)
class ObjectMemory:
    """M slots for each of B scenes. Frozen: :func:`remember` returns a new one.

    Attributes:
        track: where each is and how fast, in pixels of the picture (y, x), and a frame.
        extent_px: (B, M) root of its area.
        code: (B, M, d) what it looks like.
        mask: (B, M, h, w) where it was, in cells of two pixels; moved along while it is not seen.
        identity: (B, M) int64, its number, in the order of birth, never given twice; -1 in an empty slot.
        age: (B, M) int64, frames since its birth.
        unseen: (B, M) int64, frames since it was last seen; 0 for what is seen now.
        confidence: (B, M) in [0, 1].
        n_born: (B,) int64, things ever.
        n_frames: (B,) int64.
    """

    track: Track
    extent_px: Tensor
    code: Tensor
    mask: Tensor
    identity: Tensor
    age: Tensor
    unseen: Tensor
    confidence: Tensor
    n_born: Tensor
    n_frames: Tensor

    @property
    def is_alive(self) -> Tensor:
        """(B, M) bool."""
        return self.identity != NONE

    @property
    def place_px(self) -> Tensor:
        """(B, M, 2) y and x."""
        return self.track.place_px

    @property
    def velocity_px(self) -> Tensor:
        """(B, M, 2) y and x, a frame."""
        return self.track.velocity_px


@dataclass(frozen=True, eq=False)
class Recognised:
    """Which file each proto-object of a frame is.

    Attributes:
        slot: (B, N) int64, -1 for an empty one and for what found no slot.
        identity: (B, N) int64, of that slot, -1 likewise.
        is_new: (B, N) bool, it was born in this frame.
        cost: (B, N, M) of all pairs, inf where one of them is not there. Differentiable.
    """

    slot: Tensor
    identity: Tensor
    is_new: Tensor
    cost: Tensor

    def labels(self, objects: ProtoObjects) -> Tensor:
        """(B, H, W) int64: at each pixel the identity of what is there, -1 where it has none."""
        return self.identity.gather(1, objects.label.flatten(1)).view_as(objects.label)


def empty_memory(like: ProtoObjects, *, n_slots: int = 48) -> ObjectMemory:
    """Nothing remembered of scenes that are seen as ``like``.

    Raises:
        ValueError: unless n_slots >= 1.
    """
    if n_slots < 1:
        raise ValueError(f"expected n_slots >= 1, got {n_slots}")
    code, b = like.code.detach(), len(like.code)

    def zeros(*shape: int) -> Tensor:
        return code.new_zeros(b, n_slots, *shape)

    whole = torch.zeros(b, n_slots, dtype=torch.int64, device=code.device)
    return ObjectMemory(
        Track(zeros(2), zeros(2), zeros(3)),
        zeros(),
        zeros(code.shape[-1]),
        zeros(*like.mask.shape[-2:]),
        torch.full_like(whole, NONE),
        whole,
        whole,
        zeros(),
        whole[:, 0],
        whole[:, 0],
    )
