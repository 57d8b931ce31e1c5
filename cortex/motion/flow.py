"""Flow: the plane in frequency space that the energy of all component cells lies on, in closed form.

Every component cell tells one line of velocities: wave vector . velocity = - advance of phase. Where they meet is the
pattern's velocity (intersection of constraints: Adelson and Movshon 1982); weighed by energy it is the plane of
Simoncelli and Heeger's pattern cells that holds most of it. What a place's own components leave open, its surround
decides, and last a weak preference for standing still (Weiss, Simoncelli and Adelson 2002). Coarse scales first: a
finer one is heard where it cannot have been aliased.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.motion.energy import ComponentOut
from ciliary.cortex.ops.smoothing import gaussian_blur

_UNSURE = 0.01  # of the weaker direction's weight: confidence is a half there
_IMAGE_PX = 2  # pixels of the image to one of the magno pathway


@dataclass(frozen=True)
class FlowSettings:
    """How velocities are read.

    Attributes:
        pool_cells: standard deviation of the window in which one velocity is sought, in cells, > 0.
        noise: amplitude (of the retina's luminance) of the slow filter that is taken to be noise, > 0.
        slowness: weight of the preference for standing still, > 0; a component cell that is sure weighs the length of
            its wave vector, .26 (at 48 px of the image) to 1 (at 12).
        largest_advance_rad: advance of phase to a frame, by the coarser scales' word, from which a component is not
            believed any more, > 0.
        surround_cells: standard deviation of the wider window whose velocity decides what a place's own components
            leave open, in cells, > 0; there the preference for standing still decides.
        likeness: weight of that, > 0, in the units of slowness.
        leakage: share of the energy of all scales under which one is not believed, >= 0.
        n_passes: 1, or more to hear less of those that disagree with the velocity found so far.
        miss_rad: disagreement at which a component's weight is halved in those, > 0.
    """

    pool_cells: float = 3.0
    noise: float = 0.005
    slowness: float = 0.003
    surround_cells: float = 10.0
    likeness: float = 0.05
    leakage: float = 0.1
    largest_advance_rad: float = 1.6
    n_passes: int = 2
    miss_rad: float = 0.25

    def __post_init__(self) -> None:
        positive = {name: value for name, value in vars(self).items() if name not in ("leakage", "n_passes")}
        if wrong := [name for name, value in positive.items() if not value > 0]:
            raise ValueError(f"expected {', '.join(wrong)} > 0, got {self}")
        if self.leakage < 0:
            raise ValueError(f"expected leakage >= 0, got {self.leakage}")
        if self.n_passes < 1:
            raise ValueError(f"expected n_passes >= 1, got {self.n_passes}")


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
    """Velocity and confidence at every cell; differentiable."""
    settings = settings or FlowSettings()
    # Among its scale's orientations; and a scale that holds next to nothing of the whole is leakage of the others.
    of_scale = component.strength.sum(1, keepdim=True)
    total = of_scale + settings.leakage * of_scale.sum(2, keepdim=True) + settings.noise**2
    believed = component.strength / total * component.coherence.square()
    velocity, normal = _coarse_to_fine(component, believed, settings)
    for _ in range(settings.n_passes - 1):
        miss = (component.wave_rad * velocity[:, None, None]).sum(3) + component.advance_rad
        heard = believed / (1 + (miss / settings.miss_rad) ** 2)
        velocity, normal = _coarse_to_fine(component, heard, settings)
    yy, xx, yx = normal.unbind(1)
    half_gap = torch.sqrt((0.5 * (yy - xx)).square() + yx.square() + 1e-12)
    weaker = (0.5 * (yy + xx) - half_gap).clamp_min(0)
    confidence = weaker / (weaker + _UNSURE)
    return FlowOut(velocity * _IMAGE_PX, confidence[:, None])


def _coarse_to_fine(component: ComponentOut, believed: Tensor, settings: FlowSettings) -> tuple[Tensor, Tensor]:
    """Velocity (B, 2, h, w) in magno pixels, and the normal equations (B, 3, h, w) (yy, xx, yx) it comes of."""
    waves, advances = component.wave_rad, component.advance_rad
    batch, n_scales = waves.shape[0], waves.shape[2]
    normal = waves.new_zeros(batch, 3, *waves.shape[-2:])
    target = waves.new_zeros(batch, 2, *waves.shape[-2:])
    velocity = target
    for s in reversed(range(n_scales)):
        wave, advance, weight = waves[:, :, s], advances[:, :, s], believed[:, :, s]
        if s < n_scales - 1:
            foreseen = (wave * velocity[:, None]).sum(2)
            weight = weight / (1 + (foreseen / settings.largest_advance_rad) ** 8)
        y, x = wave[:, :, 0], wave[:, :, 1]
        # A component counts by the length of its wave vector, not by its square, so that coarse patterns have a say.
        weight = weight / torch.sqrt(y.square() + x.square() + 1e-4)
        sums = [weight * y * y, weight * x * x, weight * y * x, -weight * y * advance, -weight * x * advance]
        constraint = torch.stack([one.sum(1) for one in sums], 1)
        constraint = gaussian_blur(constraint, waves.new_full((batch,), settings.pool_cells))
        normal, target = normal + constraint[:, :3], target + constraint[:, 3:]
        velocity = _solved(normal, target, settings.slowness)
    wide = gaussian_blur(torch.cat([normal, target], 1), waves.new_full((batch,), settings.surround_cells))
    around = _solved(wide[:, :3], wide[:, 3:], settings.slowness)
    velocity = _solved(normal, target + settings.likeness * around, settings.likeness)
    return velocity, normal


def _solved(normal: Tensor, target: Tensor, ridge: float) -> Tensor:
    """(B, 2, h, w): of the 2 x 2 normal equations (yy, xx, yx) with a ridge."""
    yy, xx, yx = normal[:, 0] + ridge, normal[:, 1] + ridge, normal[:, 2]
    determinant = yy * xx - yx.square()
    y = (xx * target[:, 0] - yx * target[:, 1]) / determinant
    x = (yy * target[:, 1] - yx * target[:, 0]) / determinant
    return torch.stack([y, x], 1)
