"""A gaze that goes where looking would bring most, by what it has seen itself: look, expect, choose, look again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.dorsal.expectation import PX_PER_DEG, ExpectationNet, expected_priority, unresolved
from ciliary.cortex.dorsal.gain import expected_gain
from ciliary.cortex.dorsal.priority import centre_prior, drawn_by_motion, normalised
from ciliary.cortex.eye.fovea import field_deg, take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic

#: Of the centre prior; chosen of 0, .25, .5 and 1 on one half of OSIE, told on the other.
CENTRE_EXPONENT = 0.5
MAP_CELLS = (36, 48)


@dataclass(frozen=True, eq=False)
class Belief:
    """What is known of a field, and what looking at each place would bring.

    Attributes:
        density: (B, 1, h, w) priority that is expected, of sum 1.
        unresolved: (B, 1, h, w) acuity still to be gained, in [0, 1].
        gain: (B, 1, h, w) fall of the priority-weighted unresolved acuity by a look at each place, >= 0.
    """

    density: Tensor
    unresolved: Tensor
    gain: Tensor

    @property
    def unresolved_share(self) -> Tensor:
        """Priority-weighted unresolved acuity, (B,) in [0, 1]."""
        return (self.density * self.unresolved).sum((1, 2, 3))


def believe(
    mosaic: Mosaic,
    lattice: FoveatedLattice,
    *,
    density: Tensor | None = None,
    net: ExpectationNet | None = None,
    centre_exponent: float = CENTRE_EXPONENT,
    cells: tuple[int, int] = MAP_CELLS,
    motion: Tensor | None = None,
) -> Belief:
    """What a mosaic lets expect.

    Args:
        mosaic: what was seen.
        lattice: of the glances.
        density: (B, 1, h, w) >= 0, where it is known; what the network expects when None.
        net: the one that comes along when None.
        centre_exponent: of the centre prior that multiplies what the network expects, >= 0.
        cells: (h, w) of the maps.
        motion: (B, 1, h, w) degrees a second at which places move otherwise than the whole
            (:mod:`ciliary.cortex.dorsal.fixation`); None: nothing does.
    """
    height, width = mosaic.image.shape[-2:]
    if density is None:
        prior = centre_prior(cells, exponent=centre_exponent).to(mosaic.image)
        density = expected_priority(mosaic, lattice, net=net, prior=prior)
    density = normalised(F.interpolate(density, size=cells, mode="bilinear", antialias=True))
    if motion is not None:
        density = drawn_by_motion(density, motion)
    left = F.interpolate(unresolved(mosaic, lattice), size=cells, mode="area")
    field = field_deg((height, width), mosaic.px_per_deg)
    return Belief(density, left, expected_gain(density, left, lattice, field_deg=field))


@torch.no_grad()
def search(
    light: Tensor,
    *,
    px_per_deg: float,
    n_glances: int,
    lattice: FoveatedLattice | None = None,
    density: Tensor | None = None,
    net: ExpectationNet | None = None,
    centre_exponent: float = CENTRE_EXPONENT,
) -> Tensor:
    """Gazes (B, n_glances, 2) in degrees from the centre, (y, x), the first at the centre.

    Args:
        light: (B, 3, H, W) linear.
        px_per_deg: of it.
        n_glances: >= 1.
        lattice: of a glance.
        density: (B, 1, h, w) of priority, if the eye is to know it beforehand; what it sees itself when None.
        net, centre_exponent: see :func:`believe`.
    """
    lattice = FoveatedLattice() if lattice is None else lattice
    height, width = light.shape[-2:]
    scale = PX_PER_DEG / px_per_deg
    size = (max(round(height * scale), 2), max(round(width * scale), 2))
    mosaic = blank_mosaic(len(light), size, size[1] / width * px_per_deg, device=light.device)
    path = [torch.zeros(len(light), 2, dtype=torch.float64, device=light.device)]
    field = field_deg((height, width), px_per_deg)
    for _ in range(n_glances - 1):
        mosaic = add_glance(mosaic, take_glance(light, lattice, path[-1], px_per_deg))
        belief = believe(mosaic, lattice, density=density, net=net, centre_exponent=centre_exponent)
        path.append(winner_deg(belief.gain, field))
    return torch.stack(path, 1)


def winner_deg(gain: Tensor, field_deg: tuple[float, float]) -> Tensor:
    """Middle of the cell of a map (B, 1, h, w) that has most, (B, 2) float64 degrees from the field's centre."""
    height, width = gain.shape[-2:]
    best = gain.flatten(1).argmax(1)
    cell = torch.stack([best // width, best % width], 1).double() + 0.5
    size, field = (torch.tensor(x, dtype=torch.float64, device=gain.device) for x in ((height, width), field_deg))
    return (cell / size - 0.5) * field
