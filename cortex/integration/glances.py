"""The percept of an episode of glances: what was perceived after each, put together by how sharply it was seen.

The memory of an episode is the mosaic. After each glance it is perceived anew; each of these percepts is a look, and
trusted at a place as far as the mosaic was as fine there as it has become since. Where looks disagree, or nothing
was ever seen, the percept is uncertain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ciliary.cortex.device import device_of, to_device
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.integration.evidence import atoms_of, cut_by
from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.integration.percept import IntegratedPercept, integrate
from ciliary.cortex.memory.glances import displayed
from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.cortex.percept import Cues
from ciliary.cortex.table import Theta

#: Of relative acuity, in how far a look is trusted; the best of 0, 1, 2, 4, 8 and 16 on 30 photographs of OSIE's half
#: that things are chosen on.
ACUITY_EXPONENT = 2.0


@dataclass(frozen=True, eq=False)
class GlancePercepts:
    """What an episode of K glances at B scenes comes to.

    Attributes:
        percept: of all looks together; it has what every percept has.
        last: of the mosaic after the last glance.
        uncertainty: (B, 1, H, W) in [0, 1], that of ``percept``: 1 - the mean overlap of its segment with the looks'
            there; 1 where nothing was seen. That a place was seen coarsely does not make it higher: told beside people,
            acuity says the wrong thing of where a percept is wrong.
    """

    percept: IntegratedPercept
    last: AbstractPercept
    uncertainty: Tensor


@torch.no_grad()
def perceive_glances(
    perceiver: Perceiver,
    mosaics: Iterable[Mosaic],
    *,
    theta: Theta | None = None,
    discounts_acuity: bool = False,
    acuity_exponent: float = ACUITY_EXPONENT,
) -> GlancePercepts:
    """Perceive the mosaic after each glance, and put the percepts together.

    Args:
        perceiver: a cortex, or any other.
        mosaics: after each glance, such as :func:`~ciliary.cortex.dorsal.looking.mosaics_along`; of B scenes each.
        theta: its setting; the defaults when None.
        discounts_acuity: as of :func:`perceive_mosaic`.
        acuity_exponent: as of :func:`glance_looks`.

    Raises:
        ValueError: no mosaic.
    """
    seen = [to_device(one, device_of(perceiver)) for one in mosaics]
    percepts = [perceive_mosaic(perceiver, one, theta=theta, discounts_acuity=discounts_acuity) for one in seen]
    looks = glance_looks(percepts, seen, acuity_exponent=acuity_exponent)
    # No border of the sharpest look is lost: of one glance it is the percept of that glance.
    found = integrate(looks, atoms=cut_by(atoms_of(looks), looks.segments[:, -1]))
    doubt = torch.where(seen[-1].is_seen, found.uncertainty, torch.ones_like(found.uncertainty))
    return GlancePercepts(found, percepts[-1], doubt)


def perceive_mosaic(
    perceiver: Perceiver, mosaic: Mosaic, *, theta: Theta | None = None, discounts_acuity: bool = False
) -> AbstractPercept:
    """What a perceiver makes of a mosaic in linear light.

    Args:
        perceiver: a cortex, or any other.
        mosaic: what was seen.
        theta: (B,) of each parameter; the defaults when None.
        discounts_acuity: a cortex is told how fine each place was seen, and discounts edges where that changes
            (:mod:`ciliary.cortex.stages.m1_acuity`). Other perceivers cannot be told.
    """
    mosaic = to_device(mosaic, device_of(perceiver))
    image = displayed(mosaic)
    cues: Any = perceiver.cues(image)
    if discounts_acuity and isinstance(cues, Cues):
        cues = replace(cues, spacing_px=mosaic.spacing_deg * mosaic.px_per_deg)
    return perceiver(image, perceiver.table.default_theta(len(image), image.device) if theta is None else theta, cues)


def glance_looks(
    percepts: Sequence[AbstractPercept], mosaics: Sequence[Mosaic], *, acuity_exponent: float = ACUITY_EXPONENT
) -> Looks:
    """K looks at each of B scenes: the percept of the mosaic after each of K glances, in that order.

    A look is as reliable at a place as (acuity then / acuity after the last glance) ^ exponent, in [0, 1]: mosaics only
    become finer. What had not been seen says nothing.

    Args:
        percepts: of ``mosaics``, at their size.
        mosaics: after each glance.
        acuity_exponent: >= 0; 0 trusts all that was seen alike.

    Raises:
        ValueError: no look, or not a percept for each mosaic.
    """
    if not mosaics or len(percepts) != len(mosaics):
        raise ValueError(f"expected a percept for each of 1 mosaic or more, got {len(percepts)} and {len(mosaics)}")
    looks = join_looks([Looks.of(one) for one in percepts])
    spacing = torch.cat([mosaic.spacing_deg for mosaic in mosaics], 1)
    finest = spacing[:, -1:]
    share = torch.where(torch.isfinite(spacing), finest / spacing, torch.zeros_like(spacing)) ** acuity_exponent
    return replace(looks, reliability=torch.where(torch.isfinite(spacing), share, torch.zeros_like(share)))
