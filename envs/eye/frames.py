"""Scenes that were photographed at settings of a muscle: the nearest frame is what an eye sees.

Real optics have no formula here. A focus stack is a lens, an exposure stack a pupil, that can only be at its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.eye.parameters import EYE
from ciliary.envs.data.active.scene import SceneFrames


@dataclass(frozen=True, eq=False)
class Eyes:
    """State of B eyes, float64 as that of a controller: gaze_deg (B, 2), focus_dpt (B,), pupil_mm (B,)."""

    gaze_deg: Tensor
    focus_dpt: Tensor
    pupil_mm: Tensor


@dataclass(frozen=True, eq=False)
class GroundFrames:
    """Frames of one scene made ready: with ``coarse`` (N, 3, h, w), what is seen about the window."""

    frames: SceneFrames
    coarse: Tensor

    @classmethod
    def of(cls, frames: SceneFrames, k: int, device: torch.device | None = None) -> GroundFrames:
        """Frames on a device, and the means of their k x k pixels; beyond the border as the border is."""
        frames = replace(frames, light=frames.light.to(device), marks=frames.marks.to(device))
        below, right = (-side % k for side in frames.light.shape[-2:])
        return cls(frames, F.avg_pool2d(F.pad(frames.light, (0, right, 0, below), mode="replicate"), k))


class FrameSight:
    """What B eyes see of B scenes of one size and one muscle.

    Raises:
        ValueError: muscles that differ.
    """

    def __init__(self, grounds: Sequence[GroundFrames]) -> None:
        muscles = {ground.frames.muscle for ground in grounds}
        if len(muscles) != 1:
            raise ValueError(f"expected frames at settings of one muscle, got {', '.join(sorted(muscles))}")
        (self._muscle,) = muscles
        # One eye's frames are not copied: they may be hundreds of megabytes.
        is_one = len(grounds) == 1
        self._light = grounds[0].frames.light if is_one else torch.cat([ground.frames.light for ground in grounds])
        self._coarse = grounds[0].coarse if is_one else torch.cat([ground.coarse for ground in grounds])
        counts = torch.tensor([len(ground.frames) for ground in grounds], device=self._light.device)
        self._first = counts.cumsum(0) - counts
        self._scaled = grounds[0].frames.scaled
        marks = [self._scaled(ground.frames.marks.double()) for ground in grounds]
        self._marks = torch.nn.utils.rnn.pad_sequence(marks, batch_first=True, padding_value=torch.inf)
        self._row = self._first

    def choose(self, eyes: Eyes) -> Eyes:
        """Take the frames nearest to where the muscle stands; returns the eyes as photons are to be counted for.

        A shutter has let in its light already: the pupil then is as wide as at rest.
        """
        setting = self._scaled(getattr(eyes, self._muscle))
        self._row = self._first + (self._marks - setting[:, None]).abs().argmin(1)
        if self._muscle != "pupil_mm":
            return eyes
        return replace(eyes, pupil_mm=torch.full_like(eyes.pupil_mm, EYE["pupil_mm"].default))

    def window(self, corner: Tensor, side: int) -> Tensor:
        """Windows (B, 3, side, side) of the frames taken, from corners (B, 2); beyond the border as the border is."""
        reach = torch.arange(side, device=corner.device)
        y, x = ((corner[:, axis, None] + reach).clamp(0, self._light.shape[axis - 2] - 1) for axis in (0, 1))
        return self._light[self._row[:, None, None], :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2).contiguous()

    def coarse(self) -> Tensor:
        """The frames taken, coarsely, (B, 3, h, w)."""
        return self._coarse[self._row]
