"""M2 with its contours lifted to position and angle: completed by what runs along them from either side.

V1 as Petitot (2003) and Citti & Sarti (2006) have it: a boundary is lifted to the orientations that narrow cells say it
has there, and completed by the diffusion of that geometry (:mod:`ciliary.cortex.ops.direction_process`). The completion
of a place is that of its best direction: what comes along it and what comes against it (Williams & Jacobs 1997).
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.direction_process import two_way_density
from ciliary.cortex.ops.loggabor import cut_padding, log_gabor, spectrum_of
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M1Out, M2Out
from ciliary.cortex.stages.m2_grouping import STRIDE, complete, contain

#: Orientations of the lift. M1's six answer to 25 degrees around each: too broad to tell a bend from a crossing.
N_LIFTED = 16
#: Half the variance that a direction gains in a pixel, rad^2: 16 degrees in 20 px.
WANDER_RAD2_PER_PX = 0.002
# How steeply a place is left to the orientation, and a contour to the place across it, that answers most; and what the
# default gain of completion is multiplied by. Chosen by boundary F on 16 BSDS500 training photographs, clean and in
# fog, among 4, 8, 16; 0, 4, 8, 16, 32; and 2 to 32.
_ANGLE_SHARPNESS, _PLACE_SHARPNESS = 8, 16
_GAIN = 16.0
_PAD_PX = 16  # of half resolution


def lift(m1: M1Out, theta: Theta) -> Tensor:
    """M1's boundary by position and angle, (B, N_LIFTED, H/2, W/2) in [0, 1]: thin across, and narrow in angle.

    Channel o has the tangent pi * o / N_LIFTED. The boundary's strength is M1's, of all its cues; its angle is that of
    the finest scale of luminance.
    """
    luminance = halve(m1.features[:, :1])
    h, w = luminance.shape[-2:]
    response = log_gabor(
        spectrum_of(luminance, pad_px=_PAD_PX),
        theta["wavelength_px"] / STRIDE,
        theta["bandwidth_octaves"],
        n_orientations=N_LIFTED,
    )
    response = cut_padding(response, pad_px=_PAD_PX, stride=1, size=(h, w))[:, 0]
    energy = torch.sqrt(response.real.square() + response.imag.square() + 1e-10)
    boundary = halve(m1.boundary)
    angle = energy / energy.amax(1, keepdim=True)
    ridge = boundary / (F.max_pool2d(boundary, 3, 1, 1) + 1e-6)
    return boundary * ridge**_PLACE_SHARPNESS * angle**_ANGLE_SHARPNESS


def lifted_sides(
    m1: M1Out, oriented: Tensor, seeding: Tensor, theta: Theta, gain: float = _GAIN
) -> tuple[Tensor, Tensor]:
    """What the direction process says, :data:`~ciliary.cortex.stages.m2_grouping.Sides`."""
    del oriented
    path = theta["association_reach_px"]
    started = gain * lift(m1, theta) * seeding
    along, against = two_way_density(started, path, torch.full_like(path, WANDER_RAD2_PER_PX), stride=STRIDE)
    # What comes against a direction started ahead of it.
    return against.clamp_min(0), along.clamp_min(0)


class LiftedM2(nn.Module):
    """M2 whose completion is of :func:`lifted_sides`: ``Cortex(m2=LiftedM2())``.

    Args:
        gain: what the default gain of completion is multiplied by; 16 for contours, less for regions.
    """

    inert = frozenset({"taught_share"})  # parameters that it does not read

    def __init__(self, gain: float = _GAIN) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, m1: M1Out, theta: Theta) -> M2Out:
        """See :func:`~ciliary.cortex.stages.m2_grouping.group`."""
        return contain(m1, *complete(m1, theta, partial(lifted_sides, gain=self.gain)), theta)
