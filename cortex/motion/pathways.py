"""The retina's two pathways. Which of them a function reads stands in its types.

*Parvo* asks **what**: colour and detail, sustained; it is the opponent channels that the stages read, not a second copy.
*Magno* asks **where and when**: achromatic, half the size, transient. A scene at rest is nothing to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ciliary.cortex.motion.temporal import FAST, SLOW, TemporalSettings, change_kernel
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import RetinaOut


@dataclass(frozen=True, eq=False)
class ParvoOut:
    """What is there. Attributes: opponent, (B, 3, H, W) luminance, red-green, blue-yellow."""

    opponent: Tensor


@dataclass(frozen=True, eq=False)
class MagnoOut:
    """Where and when something changes, at the end of one frame. Units: the retina's luminance.

    Attributes:
        on_off: (B, 2, ceil(H/2), ceil(W/2)) >= 0: brighter and darker than a moment ago; the fast filter, rectified.
        lagged: (B, 1, ceil(H/2), ceil(W/2)) of the slow filter, signed: lagged cells (Mastronarde 1987), with which V1
            tells directions.
    """

    on_off: Tensor
    lagged: Tensor

    @property
    def transient(self) -> Tensor:
        """(B, 1, h, w) of the fast filter, signed: ON less OFF."""
        return self.on_off[:, :1] - self.on_off[:, 1:]


@dataclass(frozen=True, eq=False)
class MagnoState:
    """What the filters remember: the last frame (B, h, w) and the changes before it (B, N, h, w), oldest first."""

    frame: Tensor
    changes: Tensor


def parvo(retina: RetinaOut) -> ParvoOut:
    """The parvo pathway of the retina's answer: the same tensors under their own type."""
    return ParvoOut(retina.opponent)


def magno_step(
    retina: RetinaOut, state: MagnoState | None = None, settings: TemporalSettings | None = None
) -> tuple[MagnoOut, MagnoState]:
    """One frame more. Differentiable in it and in the state.

    Args:
        retina: of this frame; only its luminance is read.
        state: after the frame before; None when this is the first, which then is taken to have stood there always, so
            that there is no onset.
        settings: the defaults when None.

    Raises:
        ValueError: a state of other frames than these, or of other settings.
    """
    settings = settings or TemporalSettings()
    frame = halve(retina.opponent[:, :1])[:, 0]
    if state is None:
        state = resting_state(frame, settings)
    expected = (frame.shape[0], settings.n_taps, *frame.shape[1:])
    if tuple(state.changes.shape) != expected:
        raise ValueError(
            f"expected a state of changes {expected}, got {tuple(state.changes.shape)}; start anew with None when "
            "frames or settings change"
        )
    changes = torch.cat([state.changes[:, 1:], (frame - state.frame)[:, None]], 1)
    kernels = torch.stack([change_kernel(FAST, settings), change_kernel(SLOW, settings)]).to(frame)
    fast, slow = torch.einsum("kn,bnhw->kbhw", kernels, changes)[:, :, None]
    return MagnoOut(torch.cat([fast.relu(), (-fast).relu()], 1), slow), MagnoState(frame, changes)


def resting_state(frame: Tensor, settings: TemporalSettings) -> MagnoState:
    """Of an eye before which ``frame`` (B, h, w), halved luminance, has always stood; zeros make a later one an onset."""
    return MagnoState(frame, frame.new_zeros(frame.shape[0], settings.n_taps, *frame.shape[1:]))


class Magno(nn.Module):
    """:func:`magno_step` with its settings."""

    def __init__(self, settings: TemporalSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or TemporalSettings()

    def forward(self, retina: RetinaOut, state: MagnoState | None = None) -> tuple[MagnoOut, MagnoState]:
        """See :func:`magno_step`."""
        return magno_step(retina, state, self.settings)
