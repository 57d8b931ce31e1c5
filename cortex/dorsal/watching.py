"""An eye before what moves: a sequence in, what moved at its last frame and where it draws the eye out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.dorsal.conspicuity import conspicuity
from ciliary.cortex.dorsal.motion import residual_motion
from ciliary.cortex.dorsal.priority import PrioritySettings, priority
from ciliary.cortex.motion.perceive import MotionOut, MotionSettings, see_motion
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina


@dataclass(frozen=True, eq=False)
class MotionLook:
    """What came of watching one sequence, at its last frame.

    Attributes:
        frame: (3, H, W), sRGB in [0, 1].
        motion: of the cortex, a batch of one.
        residual: (1, 1, h, w) px a frame: what moves otherwise than the whole.
        still, priority: (1, 1, h', w') each summing to 1: without and with motion, no prior for the centre in either.
    """

    frame: Tensor
    motion: MotionOut
    residual: Tensor
    still: Tensor
    priority: Tensor


@torch.no_grad()
def watch(
    frames: Tensor,
    *,
    px_per_deg: float,
    settings: MotionSettings | None = None,
    weights: PrioritySettings | None = None,
) -> MotionLook:
    """Watch a sequence to its end.

    Args:
        frames: (T, 3, H, W), sRGB in [0, 1]; T >= 2.
        px_per_deg: of them.
        settings, weights: of motion and of priority; the defaults when None.

    Raises:
        ValueError: another shape, or one frame alone.
    """
    if frames.ndim != 4 or frames.shape[0] < 2:
        raise ValueError(f"expected frames (T, 3, H, W) with T >= 2, got {tuple(frames.shape)}")
    motion = see_motion(frames[None], settings, is_last_only=True)[0]
    residual = residual_motion(motion.flow)
    maps = conspicuity(retina(frames[-1:], default_theta(1, frames.device)).opponent, px_per_deg=px_per_deg)
    still, moved = priority(maps, weights), priority(maps, weights, motion=residual)
    return MotionLook(frames[-1], motion, residual, still, moved)
