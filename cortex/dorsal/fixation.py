"""What an eye sees move while it fixates: motion by what its lattice catches of every frame, and no more.

Between two saccades the gaze rests and the samples stand still, so that what changes in them has moved. Each fixation
begins anew: what the saccade itself sweeps over the retina is suppressed (Volkmann 1986). Far from the gaze, samples
are sparse and only what is large or fast is seen to move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.dorsal.motion import ResidualSettings, left_over, whole_field_flow
from ciliary.cortex.eye.fovea import Glance
from ciliary.cortex.eye.mosaic import render_glance
from ciliary.cortex.motion.flow import FlowOut, FlowSettings
from ciliary.cortex.motion.perceive import MotionSettings, see_motion
from ciliary.cortex.motion.temporal import TemporalSettings
from ciliary.cortex.stages.retina import linear_to_srgb

#: Of flow as a glance has it, chosen on made-up sequences of other seeds than those of the exam: the periphery blurs a
#: thing into its ground already, a narrow window of velocities leaves them apart.
FLOW = FlowSettings(pool_cells=2.0)
RESIDUAL = ResidualSettings(least_px=0.05, deviations=1.0)
_BLIND_PX = 7.7  # between samples: their flow may be off by all there is
_HALF_HEARD = 0.1  # share that a flow may be off, to be heard half when the field's own is sought
_SURE = 3.0  # spreads of the flow about it, by which the field's own must be more than nothing
_RIM_CELLS = 2  # at the border of what was seen, that are not believed


@dataclass(frozen=True, eq=False)
class FixationMotion:
    """How B fields moved at the end of a fixation, all in degrees a second, (y, x), y down.

    Attributes:
        flow: (B, 2, h, w) as the cortex measured it.
        whole: (B, 2, h, w) of it what the whole field does, an affine flow; 0 of a field that may as well rest.
        residual: (B, 1, h, w) >= 0: speed of what moves otherwise, times how well it is known.
    """

    flow: Tensor
    whole: Tensor
    residual: Tensor


@torch.no_grad()
def see_fixation(
    glances: Glance,
    *,
    size_px: tuple[int, int],
    px_per_deg: float,
    frame_ms: float,
    settings: MotionSettings | None = None,
    residual: ResidualSettings = RESIDUAL,
) -> FixationMotion:
    """Watch a fixation to its end.

    Args:
        glances: at T >= 2 frames, one gaze for all of them: samples (B, T, rows, columns) are their luminances, linear.
        size_px: (H, W) of the picture in the scene's frame that motion is read from.
        px_per_deg: of it.
        frame_ms: between two frames.
        settings: of the motion; :data:`FLOW` and the frames' time when None.
        residual: of what moves otherwise.

    Returns:
        Motion at cells of four pixels. A scene at rest has exactly none.

    Raises:
        ValueError: one frame alone.
    """
    if glances.samples.shape[1] < 2:
        raise ValueError(f"expected glances at two frames or more, got samples {tuple(glances.samples.shape)}")
    settings = settings or MotionSettings(temporal=TemporalSettings(frame_ms=frame_ms), flow=FLOW)
    light, spacing = render_glance(glances, size_px, px_per_deg)
    is_seen = torch.isfinite(spacing)
    # Where nothing was seen stands the mean of what was: a black border would hold what moves against it.
    mean = light.sum((2, 3), keepdim=True) / is_seen.sum((2, 3), keepdim=True).clamp_min(1)
    frames = linear_to_srgb(torch.where(is_seen, light, mean))[:, :, None].expand(-1, -1, 3, -1, -1)
    seen = see_motion(frames, settings, is_last_only=True)[0].flow
    flow = replace(seen, confidence=seen.confidence * _well_inside(is_seen, seen))
    mistaken = _mistaken(spacing * px_per_deg, flow)
    heard = replace(flow, confidence=flow.confidence / (1 + (mistaken / _HALF_HEARD).square()))
    whole, spread = whole_field_flow(heard, residual)
    spread = spread.view(-1, 1, 1, 1)
    speed = whole.square().sum(1, keepdim=True).sqrt()
    is_sure = speed.mean((2, 3), keepdim=True) > residual.least_px + _SURE * spread
    whole, speed = (torch.where(is_sure, x, torch.zeros_like(x)) for x in (whole, speed))
    rest = left_over(flow, whole, residual.least_px + residual.deviations * spread + mistaken * speed)
    a_second = 1000 / frame_ms / px_per_deg
    return FixationMotion(flow.flow_px_per_frame * a_second, whole * a_second, rest * a_second)


def _mistaken(spacing_px: Tensor, flow: FlowOut) -> Tensor:
    """Share (B, 1, h, w) of a field's velocity by which the flow may be off, for samples so far apart (B, 1, H, W).

    A cube: of fields of noise that pan by 4 to 9 degrees a second, some 19 of 20 cells are off by no more than that
    from 6 to 16 degrees of eccentricity (.07 at 7, .26 at 11, .63 at 15), in pictures of 4.8 pixels a degree.
    """
    size = (flow.confidence.shape[-2], flow.confidence.shape[-1])
    spacing = F.interpolate(spacing_px.clamp_max(_BLIND_PX), size=size, mode="bilinear")
    return (spacing / _BLIND_PX) ** 3


def _well_inside(is_seen: Tensor, flow: FlowOut) -> Tensor:
    """Share (B, 1, h, w) of cells that was seen, without those at the border of it."""
    size = (flow.confidence.shape[-2], flow.confidence.shape[-1])
    seen = F.interpolate(is_seen.to(flow.confidence), size=size, mode="area")
    return 1 - F.max_pool2d(1 - seen, 2 * _RIM_CELLS + 1, 1, _RIM_CELLS)
