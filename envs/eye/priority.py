"""Where looking would pay: what the dorsal pathway expects of what was seen; nothing where there is nothing to see."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.dorsal.expectation import ExpectationNet
from ciliary.cortex.dorsal.search import MAP_CELLS, believe
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.ops.guided import luminance

PRIORITY_PX = MAP_CELLS
#: Contrast below which nothing is there: over what photons do to a foveal sample at 80 cd/m2 (0.7 %), three times.
LEAST_CONTRAST = 0.03
_REACH_PX = 2


def gaze_worth(
    mosaic: Mosaic,
    lattice: FoveatedLattice,
    *,
    net: ExpectationNet,
    centre_exponent: float,
    motion: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What a gaze is chosen by, and what is left to look for.

    Args:
        mosaic: what was seen.
        lattice: of the glances.
        net, centre_exponent, motion: see :func:`ciliary.cortex.dorsal.search.believe`.

    Returns:
        priority (B, 1, 36, 48) in [0, 1]: what a look at each place would gain, of the most that any would
        (:func:`ciliary.cortex.dorsal.gain.expected_gain`), 1 all over where there is nothing to see; and the
        priority-weighted unresolved acuity (B,) in [0, 1], 0 there.
    """
    belief = believe(mosaic, lattice, net=net, centre_exponent=centre_exponent, cells=PRIORITY_PX, motion=motion)
    is_something = fine_contrast(mosaic).sum((1, 2, 3)) > 0
    most = belief.gain.amax((1, 2, 3), keepdim=True)
    told = belief.gain / most.clamp_min(1e-12)
    told = torch.where(is_something[:, None, None, None] & (most > 0), told, torch.ones_like(told))
    return told, torch.where(is_something, belief.unresolved_share, torch.zeros_like(belief.unresolved_share))


def fine_contrast(mosaic: Mosaic) -> Tensor:
    """Fine local contrast of what was seen over :data:`LEAST_CONTRAST`, (B, 1, H, W).

    Where nothing was seen it is the mean of what was: there is no reason to expect more or less.
    """
    seen = mosaic.is_seen.to(mosaic.image.dtype)
    n_seen = seen.sum((2, 3), keepdim=True).clamp_min(1)
    light = luminance(mosaic.image) * seen
    mean = light.sum((2, 3), keepdim=True) / n_seen
    side = 2 * _REACH_PX + 1
    around, inside = (F.avg_pool2d(x, side, 1, _REACH_PX, count_include_pad=False) for x in (light, seen))
    contrast = (light - around / inside.clamp_min(1e-6)).abs() / mean.clamp_min(1e-6)
    contrast = (contrast - LEAST_CONTRAST).clamp_min(0) * seen
    expected = contrast.sum((2, 3), keepdim=True) / n_seen
    return torch.where(mosaic.is_seen, contrast, expected)
