"""What moves otherwise than the whole: the map of motion that priority weighs.

The whole field's motion, as of an eye or a camera that turns and goes, is the affine flow that most of the image agrees
on; what is left of each place's velocity draws the eye. (Cells of the dorsal pathway that are silenced by motion of
their wide surround: Born and Tootell 1992.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.motion.flow import FlowOut

_TINY = 1e-6
_MAD = 1.4826  # of a normal distribution: standard deviation over the median distance


@dataclass(frozen=True)
class ResidualSettings:
    """How the whole field's motion is taken off.

    Attributes:
        n_passes: of reweighted least squares (Geman and McClure's weights), >= 1.
        least_px: speed in pixels a frame that is nothing yet, >= 0.
        deviations: of the residual's own spread, that are nothing yet either, >= 0.
    """

    n_passes: int = 8
    least_px: float = 0.2
    deviations: float = 2.0

    def __post_init__(self) -> None:
        if self.n_passes < 1 or self.least_px < 0 or self.deviations < 0:
            raise ValueError(f"expected n_passes >= 1, least_px and deviations >= 0, got {self}")


def whole_field_flow(flow: FlowOut, settings: ResidualSettings | None = None) -> tuple[Tensor, Tensor]:
    """The affine flow (B, 2, h, w) that most of the confident image has, and the spread (B,) of the others about it.

    Both in pixels a frame. From the median on, each pass hears those less that are farther off.
    """
    settings = settings or ResidualSettings()
    field, trust = flow.flow_px_per_frame, flow.confidence + _TINY
    h, w = field.shape[-2:]
    y, x = torch.meshgrid(
        *(torch.linspace(-1, 1, n, dtype=field.dtype, device=field.device) for n in (h, w)), indexing="ij"
    )
    basis = torch.stack([torch.ones_like(y), y, x], -1).flatten(0, 1)  # (hw, 3)
    target = field.flatten(2).transpose(1, 2)  # (B, hw, 2)
    weight = trust.flatten(1)
    fitted = _weighted_median(target, weight)[:, None].expand_as(target)
    ridge = _TINY * torch.eye(3, dtype=field.dtype, device=field.device)
    spread = field.new_zeros(len(field))
    for _ in range(settings.n_passes):
        off = torch.sqrt((target - fitted).square().sum(2) + _TINY**2)
        spread = _MAD * _weighted_median(off[..., None], weight)[:, 0]
        heard = weight / (1 + (off / (2 * spread[:, None] + 0.05)).square()).square()
        left = basis.T[None] * heard[:, None]
        fitted = basis @ torch.linalg.solve(left @ basis + ridge * heard.sum(1)[:, None, None], left @ target)
    return fitted.transpose(1, 2).unflatten(2, (h, w)), spread


def residual_motion(flow: FlowOut, settings: ResidualSettings | None = None) -> Tensor:
    """Speed (B, 1, h, w), pixels a frame, that remains when the whole field's is taken off, times confidence; >= 0.

    0 where it is within what the field's own spread explains: a scene at rest, or seen by a camera that turns, draws
    no eye by its motion.
    """
    settings = settings or ResidualSettings()
    whole, spread = whole_field_flow(flow, settings)
    return left_over(flow, whole, settings.least_px + settings.deviations * spread.view(-1, 1, 1, 1))


def left_over(flow: FlowOut, whole: Tensor, nothing_px: Tensor) -> Tensor:
    """:func:`residual_motion` of a known flow of the whole field (B, 2, h, w) and what is nothing yet (B, 1, ...)."""
    off = torch.sqrt((flow.flow_px_per_frame - whole).square().sum(1, keepdim=True) + _TINY**2)
    return (off - nothing_px).relu() * flow.confidence


def _weighted_median(values: Tensor, weight: Tensor) -> Tensor:
    """(B, C): of values (B, N, C), each channel by itself, with weights (B, N) >= 0."""
    ordered, order = values.sort(1)
    share = weight[..., None].expand_as(values).gather(1, order).cumsum(1)
    place = (share < 0.5 * share[:, -1:]).sum(1, keepdim=True).clamp_max(values.shape[1] - 1)
    return ordered.gather(1, place)[:, 0]
