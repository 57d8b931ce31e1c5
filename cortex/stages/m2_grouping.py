"""M2, grouping: end points, contours completed across gaps, the barrier, and the stabilised regions S2."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.association import two_sided_support
from ciliary.cortex.ops.loggabor import dominant_orientation
from ciliary.cortex.ops.smoothing import diffuse, halve
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS, M1Out, M2Out

# Completion and diffusion run at half resolution: their fields are smooth, and they cost a quarter.
STRIDE = 2
_N_DIFFUSION_STEPS = 4
# Oriented energy at which an element counts half, in units of retinal contrast.
_HALF_ENERGY = 0.04
#: From M1, its energy by orientation (B, O, h, w) in [0, 1], how much each place counts (B, 1, h, w) and theta, to what
#: supports a contour at each place from ahead and from behind of its orientations, two (B, O', h, w) >= 0, at half
#: resolution: ahead of channel o is the direction pi * o / O'.
Sides = Callable[[M1Out, Tensor, Tensor, Theta], tuple[Tensor, Tensor]]


def end_stopping(strength: Tensor, orientation: Tensor, reach_px: Tensor) -> Tensor:
    """End-stopped response: strong where a contour goes on to one side of its own tangent only (Heitger et al. 1992).

    Args:
        strength: (B, 1, H, W) in [0, 1].
        orientation: (B, 1, H, W) tangent in radians.
        reach_px: (B,) distance along the tangent at which continuation is looked for.

    Returns:
        (B, 1, H, W) in [0, 1]: 0 inside a straight contour and on a blank.
    """
    h, w = strength.shape[-2:]
    y = torch.arange(h, dtype=torch.float32, device=strength.device)[:, None].expand(h, w)
    x = torch.arange(w, dtype=torch.float32, device=strength.device)[None].expand(h, w)
    step_x = torch.cos(orientation[:, 0]) * reach_px.view(-1, 1, 1)
    step_y = torch.sin(orientation[:, 0]) * reach_px.view(-1, 1, 1)

    def look(sign: int) -> Tensor:
        grid_x = (x + sign * step_x) * (2 / max(w - 1, 1)) - 1
        grid_y = (y + sign * step_y) * (2 / max(h - 1, 1)) - 1
        grid = torch.stack([grid_x, grid_y], -1)
        # Reflection: a contour that leaves the picture has not ended.
        return F.grid_sample(strength, grid, padding_mode="reflection", align_corners=True)

    ahead, behind = look(1), look(-1)
    return strength * (ahead - behind).abs() / (ahead + behind + 0.05)


def group(m1: M1Out, theta: Theta) -> M2Out:
    """From :class:`M1Out` to :class:`M2Out`."""
    return contain(m1, *complete(m1, theta), theta)


def complete(m1: M1Out, theta: Theta, sides: Sides | None = None) -> tuple[Tensor, Tensor]:
    """End points and the contour completed, each (B, 1, H, W) in [0, 1]; ``sides`` as in :func:`find_completion`."""
    end_points, completion = find_completion(m1, theta, sides)
    return end_points, 1 - (1 - m1.boundary) * (1 - completion)


def find_completion(m1: M1Out, theta: Theta, sides: Sides | None = None) -> tuple[Tensor, Tensor]:
    """End points, and how far each place is completed, each (B, 1, H, W) in [0, 1].

    Args:
        sides: :func:`co_circular_sides` if not given.
    """
    h, w = m1.boundary.shape[-2:]
    ends, (ahead, behind) = find_sides(m1, theta, sides or co_circular_sides)
    # Only what has support from both sides bridges a gap: the geometric mean is 0 if either side is silent.
    support = torch.sqrt(ahead * behind + 1e-8).amax(1, keepdim=True) - 1e-4
    completion = 1 - torch.exp(-theta["completion_gain"].view(-1, 1, 1, 1) * support.clamp_min(0))
    completion = F.interpolate(completion, size=(h, w), mode="bilinear", align_corners=False)
    return F.interpolate(ends, size=(h, w), mode="bilinear", align_corners=False), completion


def find_sides(m1: M1Out, theta: Theta, sides: Sides) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """End points (B, 1, h, w), and what ``sides`` says of places that count more where they are ends."""
    oriented = halve(m1.energy.unflatten(1, (-1, N_ORIENTATIONS)).mean(1))
    oriented = oriented**2 / (oriented**2 + _HALF_ENERGY**2)
    strength = halve(m1.boundary)
    orientation = dominant_orientation(oriented.square())
    ends = end_stopping(strength, orientation, theta["association_reach_px"] / (2 * STRIDE))
    seeding = 1 + theta["endstop_gain"].view(-1, 1, 1, 1) * ends
    return ends, sides(m1, oriented, seeding, theta)


def co_circular_sides(m1: M1Out, oriented: Tensor, seeding: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
    """What the association field says, :data:`Sides`."""
    del m1
    return two_sided_support(oriented * seeding, theta["association_reach_px"], stride=STRIDE)


def contain(m1: M1Out, end_points: Tensor, contour: Tensor, theta: Theta) -> M2Out:
    """The barrier that a contour (B, 1, H, W) is, and S1 stabilised behind it."""
    barrier = 1 - torch.exp(-theta["barrier_gain"].view(-1, 1, 1, 1) * contour)
    return M2Out(end_points, contour, barrier, stabilise(m1.regions_coarse, barrier, theta["stabilisation_time_px2"]))


def stabilise(regions: Tensor, barrier: Tensor, time_px2: Tensor) -> Tensor:
    """S2: log S1 diffused for ``time_px2`` (B,) where the barrier lets it.

    Args:
        regions: S1 at half resolution, (B, K, H/2, W/2).
        barrier: (B, 1, H, W).
    """
    log_regions = torch.log(regions.clamp_min(1e-6))
    # The strongest barrier of a block counts: a thin contour must not leak at half resolution.
    conductance = 1 - F.max_pool2d(barrier, STRIDE, ceil_mode=True)
    diffused = diffuse(log_regions, conductance, time=time_px2 / STRIDE**2, n_steps=_N_DIFFUSION_STEPS)
    return torch.softmax(diffused, 1)


class M2(nn.Module):
    """:func:`group` as a module."""

    inert = frozenset({"taught_share"})  # parameters that it does not read

    def forward(self, m1: M1Out, theta: Theta) -> M2Out:
        """See :func:`group`."""
        return group(m1, theta)
