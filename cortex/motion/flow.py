"""Flow: the plane in frequency space that the energy of all component cells lies on, in closed form.

Every component cell tells one line of velocities: wave vector . velocity = - advance of phase. Where they meet is the
pattern's velocity (intersection of constraints: Adelson and Movshon 1982); weighed by energy it is the plane of Simoncelli
and Heeger's pattern cells that holds most of it. A weak preference for standing still (Weiss, Simoncelli and Adelson
2002) decides where there is nothing to see. Coarse scales first: a finer one is heard where it cannot have been aliased.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.motion.energy import ComponentOut
from ciliary.cortex.ops.smoothing import gaussian_blur

_IMAGE_PX = 2  # pixels of the image to one of the magno pathway


@dataclass(frozen=True)
class FlowSettings:
    """How velocities are read.

    Attributes:
        pool_cells: standard deviation of the window in which one velocity is sought, in cells, > 0.
        noise: amplitude (of the retina's luminance) of the slow filter that is taken to be noise, > 0.
        slowness: weight of the preference for standing still, > 0, in units of one component cell's constraint.
        largest_advance_rad: advance of phase to a frame, by the coarser scales' word, from which a component is not
            believed any more, > 0.
    """

    pool_cells: float = 2.0
    noise: float = 0.002
    slowness: float = 0.002
    largest_advance_rad: float = 2.0

    def __post_init__(self) -> None:
        if min(self.pool_cells, self.noise, self.slowness, self.largest_advance_rad) <= 0:
            raise ValueError(f"expected pool_cells, noise, slowness and largest_advance_rad > 0, got {self}")


@dataclass(frozen=True, eq=False)
class FlowOut:
    """How the image moves.

    Attributes:
        flow_px_per_frame: (B, 2, h, w), (y, x), y down, in pixels of the image (not of the halved magno pathway).
        confidence: (B, 1, h, w) in [0, 1): how well the weaker of the two directions is known; 0 where nothing moves,
            little on a single edge.
    """

    flow_px_per_frame: Tensor
    confidence: Tensor

    def deg_per_s(self, *, px_per_deg: float, frame_ms: float) -> Tensor:
        """(B, 2, h, w): the same in degrees of visual angle a second."""
        return self.flow_px_per_frame * (1000 / frame_ms / px_per_deg)


def read_flow(component: ComponentOut, settings: FlowSettings | None = None) -> FlowOut:
    """Velocity and confidence at every cell; differentiable but for the gates' hard choices, of which there are none."""
    settings = settings or FlowSettings()
    total = component.strength.sum(1, keepdim=True)
    believed = component.strength / (total + settings.noise**2) * component.coherence.square()
    wave, advance = component.wave_rad, component.advance_rad
    n_scales = wave.shape[2]
    normal = wave.new_zeros(wave.shape[0], 3, *wave.shape[-2:])
    target = wave.new_zeros(wave.shape[0], 2, *wave.shape[-2:])
    velocity = torch.zeros_like(target)
    for s in reversed(range(n_scales)):
        k, a, weight = wave[:, :, s], advance[:, :, s], believed[:, :, s]
        if s < n_scales - 1:
            foreseen = (k * velocity[:, None]).sum(2)
            weight = weight / (1 + (foreseen / settings.largest_advance_rad) ** 8)
        weight = weight[:, :, None]
        squares = torch.stack([k[:, :, 0].square(), k[:, :, 1].square(), k[:, :, 0] * k[:, :, 1]], 2)
        constraint = torch.cat([(weight * squares).sum(1), (-weight * k * a[:, :, None]).sum(1)], 1)
        constraint = gaussian_blur(constraint, wave.new_full((len(wave),), settings.pool_cells))
        normal, target = normal + constraint[:, :3], target + constraint[:, 3:]
        velocity = _solved(normal, target, settings.slowness)
    yy, xx, yx = normal.unbind(1)
    half_gap = torch.sqrt((0.5 * (yy - xx)).square() + yx.square() + 1e-12)
    weaker = (0.5 * (yy + xx) - half_gap).clamp_min(0)
    confidence = weaker / (weaker + 10 * settings.slowness)
    return FlowOut(velocity * _IMAGE_PX, confidence[:, None])


def _solved(normal: Tensor, target: Tensor, ridge: float) -> Tensor:
    """(B, 2, h, w): of the 2 x 2 normal equations (yy, xx, yx) with a ridge."""
    yy, xx, yx = normal[:, 0] + ridge, normal[:, 1] + ridge, normal[:, 2]
    determinant = yy * xx - yx.square()
    y = (xx * target[:, 0] - yx * target[:, 1]) / determinant
    x = (yy * target[:, 1] - yx * target[:, 0]) / determinant
    return torch.stack([y, x], 1)
