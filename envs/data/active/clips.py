"""Frames in time of which it is known, or can be guessed, where everything goes: what memory of things is told on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from skimage.color import rgb2gray
from skimage.registration import optical_flow_ilk, optical_flow_tvl1
from torch import Tensor

from ciliary.envs.data.active.motion import PosedFrame, true_flow

_CONSISTENT_PX = 1.0
_CONSISTENT_SHARE = 0.1  # of the movement


class Clip(Protocol):
    """Frames of one size, in order."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def images(self) -> Tensor:
        """(T, 3, H, W) float32, sRGB in [0, 1]."""

    @property
    def frame_names(self) -> tuple[str, ...]:
        """T, what each frame is called."""

    def flow(self, one: int, other: int) -> tuple[Tensor, Tensor]:
        """From frame ``one`` to frame ``other``: flow_px (1, 2, H, W), y and x, and is_seen (1, 1, H, W) bool.

        ``is_seen``: the same bit of the world can be seen in both, so that it is known where it went.
        """

    def given_flow(self, one: int, other: int) -> Tensor:
        """(1, 2, H, W) px, the movement that a memory is told where it is told one."""


@dataclass(frozen=True, eq=False)
class PosedClip:
    """Frames of a camera in a still room, by depth and pose: the flow is true, and a memory may be given it."""

    name: str
    frames: Sequence[PosedFrame]

    @cached_property
    def images(self) -> Tensor:
        """(T, 3, H, W)."""
        return torch.stack([frame.image for frame in self.frames])

    @property
    def frame_names(self) -> tuple[str, ...]:
        """As their files."""
        return tuple(frame.name for frame in self.frames)

    def flow(self, one: int, other: int) -> tuple[Tensor, Tensor]:
        """See :class:`Clip`."""
        return true_flow(self.frames[one], self.frames[other])

    def given_flow(self, one: int, other: int) -> Tensor:
        """The true one."""
        return self.flow(one, other)[0]


@dataclass(frozen=True, eq=False)
class StillClip:
    """Pictures of one scene in its own frame, such as a mosaic that grows: nothing moves.

    Attributes:
        name: of the scene.
        images: (T, 3, H, W) sRGB in [0, 1].
        is_seen: (T, 1, H, W) bool, what each shows of the scene.
    """

    name: str
    images: Tensor
    is_seen: Tensor

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Glances, counted from 1."""
        return tuple(f"glance {i}" for i in range(1, len(self.images) + 1))

    def flow(self, one: int, other: int) -> tuple[Tensor, Tensor]:
        """See :class:`Clip`."""
        return self.given_flow(one, other), self.is_seen[one : one + 1] & self.is_seen[other : other + 1]

    def given_flow(self, one: int, other: int) -> Tensor:
        """Zeros."""
        del one, other
        return torch.zeros_like(self.images[:1, :2])


@dataclass(frozen=True, eq=False)
class FilmClip:
    """A film of which nothing is known.

    Its flow is a guess that stands in for the truth: optical flow (TV-L1; Zach, Pock & Bischof 2007), where the flow
    there and the flow back agree within a pixel and a tenth of the movement.

    What a memory is given is another guess (ILK; Le Besnerais & Champagnat 2005), so that it is not told its own exam.
    """

    name: str
    images: Tensor
    frame_names: tuple[str, ...]

    @cached_property
    def _grey(self) -> np.ndarray:
        return np.asarray(rgb2gray(self.images.movedim(1, -1).numpy()))

    def flow(self, one: int, other: int) -> tuple[Tensor, Tensor]:
        """See :class:`Clip`. A second or so."""
        there, back = (
            torch.from_numpy(np.stack(optical_flow_tvl1(self._grey[s], self._grey[t])))[None].float()
            for s, t in ((one, other), (other, one))
        )
        error, is_inside = _round_trip(there, back)
        size = there.square().sum(1, keepdim=True).sqrt()
        return there, is_inside & (error < _CONSISTENT_PX + _CONSISTENT_SHARE * size)

    def given_flow(self, one: int, other: int) -> Tensor:
        """See above."""
        return torch.from_numpy(np.stack(optical_flow_ilk(self._grey[one], self._grey[other])))[None].float()


def _round_trip(there: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """How far from its start a pixel comes back, (1, 1, H, W) px, and whether it stayed within the picture."""
    height, width = there.shape[-2:]
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))[None] + there
    last = place.new_tensor([height - 1, width - 1]).view(1, 2, 1, 1)
    is_inside = ((place >= 0) & (place <= last)).all(1, keepdim=True)
    grid = (2 * place / last.clamp_min(1) - 1).movedim(1, -1).flip(-1)
    error = (there + F.grid_sample(back, grid, align_corners=True)).square().sum(1, keepdim=True).sqrt()
    return error, is_inside
