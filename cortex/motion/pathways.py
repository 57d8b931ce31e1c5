"""The retina's two pathways. Which of them a function reads stands in its types.

*Parvo* asks **what**: colour and detail, sustained; it is the opponent channels that the stages read, no second copy.
*Magno* asks **where and when**: achromatic, half the size, transient. A scene at rest is nothing to it. V1's cells
for direction need both, a transient and a slower input a quarter of a cycle apart (De Valois et al. 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ciliary.cortex.motion.temporal import FAST, SLOW, TemporalSettings, change_kernel, pending_kernel
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import RetinaOut


@dataclass(frozen=True, eq=False)
class ParvoOut:
    """What is there.

    Attributes:
        opponent: (B, 3, H, W) luminance, red-green, blue-yellow: the retina's own tensor.
        slow: (B, 1, ceil(H/2), ceil(W/2)) luminance, halved, through the slower of the two filters in time.
    """

    opponent: Tensor
    slow: Tensor


@dataclass(frozen=True, eq=False)
class MagnoOut:
    """Where and when something changes, at the end of one frame.

    Attributes:
        on_off: (B, 2, ceil(H/2), ceil(W/2)) >= 0: brighter and darker than a moment ago; the fast filter,
            rectified, in the retina's luminance, of gain 1 at the frequency it answers to most.
    """

    on_off: Tensor

    @property
    def transient(self) -> Tensor:
        """(B, 1, h, w), signed: ON less OFF."""
        return self.on_off[:, :1] - self.on_off[:, 1:]


@dataclass(frozen=True, eq=False)
class PathwayState:
    """What the filters remember: the last frame (B, h, w), and the changes up to it (B, N, h, w), oldest first."""

    frame: Tensor
    changes: Tensor


def pathways_step(
    retina: RetinaOut, state: PathwayState | None = None, settings: TemporalSettings | None = None
) -> tuple[ParvoOut, MagnoOut, PathwayState]:
    """One frame more. Differentiable in it and in the state.

    Args:
        retina: of this frame.
        state: after the frame before; None when this is the first, which then is taken to have stood there always, so
            that there is no onset.
        settings: the defaults when None.

    Raises:
        ValueError: a state of other frames than these, or of other settings.
    """
    settings = settings or TemporalSettings()
    frame = halve(retina.opponent[:, :1])[:, 0]
    state = resting_state(frame, settings) if state is None else state
    expected = (frame.shape[0], settings.n_taps, *frame.shape[1:])
    if tuple(state.changes.shape) != expected:
        raise ValueError(
            f"expected a state of changes {expected}, got {tuple(state.changes.shape)}; start anew with None when "
            "frames or settings change"
        )
    changes = torch.cat([state.changes[:, 1:], (frame - state.frame)[:, None]], 1)
    is_biphasic = settings.partner == "biphasic"
    at = frame.device
    second = change_kernel(SLOW, settings, at) if is_biphasic else pending_kernel(FAST, settings, at)
    kernels = torch.stack([change_kernel(FAST, settings, at), second]).to(frame)
    fast, slow = torch.einsum("kn,bnhw->kbhw", kernels, changes)[:, :, None]
    slow = slow if is_biphasic else frame[:, None] - slow
    on_off = torch.cat([fast.relu(), (-fast).relu()], 1)
    return ParvoOut(retina.opponent, slow), MagnoOut(on_off), PathwayState(frame, changes)


def resting_state(frame: Tensor, settings: TemporalSettings) -> PathwayState:
    """Of an eye that always saw ``frame`` (B, h, w), halved luminance; zeros make a later one an onset."""
    return PathwayState(frame, frame.new_zeros(frame.shape[0], settings.n_taps, *frame.shape[1:]))


class Pathways(nn.Module):
    """:func:`pathways_step` with its settings."""

    def __init__(self, settings: TemporalSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or TemporalSettings()

    def forward(self, retina: RetinaOut, state: PathwayState | None = None) -> tuple[ParvoOut, MagnoOut, PathwayState]:
        """See :func:`pathways_step`."""
        return pathways_step(retina, state, self.settings)
