"""What becomes of the percept of a few glances: told of its acuity or not, of the last mosaic or of all together.

Beside the exam of detail (:mod:`ciliary.tuning.evaluation.gaze_detail`), whose policies and weights these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.cortex.dorsal.expectation import octaves
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.integration.glances import perceive_glances, perceive_mosaic
from ciliary.cortex.integration.similarity import likeness_at
from ciliary.cortex.perceiver import Perceiver
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.gaze import Fixations
from ciliary.envs.metrics.gaze import roc_area
from ciliary.envs.metrics.regions import weighted_covering
from ciliary.tuning.evaluation.gaze_detail import (
    GRID,
    OWN,
    PERSON,
    DetailSettings,
    growing,
    labels_of,
    remembered,
    sent,
)

POLICIES = (OWN, GRID, PERSON)
#: What may say where a percept is wrong: how finely a place was seen, how far the looks agree, both.
ACUITY_ALONE, UNCERTAINTY, BOTH = "acuity alone", "uncertainty", "uncertainty and acuity"
_WRONG = 0.5  # a place is wrong where segments there share less of their union than this
_STEP_PX = 4  # places are every so many pixels: neighbours say the same


@dataclass(frozen=True)
class Coverings:
    """One policy at one photograph: covering of the sharp percept, where people look, by two percepts of its mosaic.

    Attributes:
        plain: of the last mosaic, as a photograph.
        other: of what is tried.
    """

    plain: float
    other: float


@dataclass(frozen=True)
class Doubt:
    """How well something tells where a percept is wrong, on one photograph.

    Attributes:
        area: chance that a wrong place has more of it than a right one; None where all are right, or all wrong.
        rho: Spearman's correlation with how wrong a place is; None where one of them is the same everywhere.
    """

    area: float | None
    rho: float | None


@torch.no_grad()
def sit_discount(
    image: Tensor, fixations: Fixations, number: int, perceiver: Perceiver, settings: DetailSettings,
    *, photograph: tuple[int, int], px_per_deg: float, policies: Sequence[str] = POLICIES,
) -> dict[str, Coverings]:  # fmt: skip
    """With edges discounted where acuity changes, or not. Arguments as :func:`~.gaze_detail.sit`; row -> coverings."""
    _, weight, paths = sent(
        image, fixations, number, settings, photograph=photograph, px_per_deg=px_per_deg, only=policies
    )
    sharp, light, lattice = _sharp(perceiver, image), srgb_to_linear(image), FoveatedLattice()
    found = {}
    for name, path in paths.items():
        mosaic = remembered(light, lattice, path, px_per_deg)
        plain, other = (
            labels_of(perceive_mosaic(perceiver, mosaic, discounts_acuity=discounts)) for discounts in (False, True)
        )
        found[name] = Coverings(*(weighted_covering(one, sharp[0].numpy(), weight) for one in (plain, other)))
    return found


@torch.no_grad()
def sit_together(
    image: Tensor, fixations: Fixations, number: int, perceiver: Perceiver, settings: DetailSettings,
    *, photograph: tuple[int, int], px_per_deg: float, policies: Sequence[str] = (OWN,),
) -> tuple[dict[str, Coverings], dict[str, Doubt]]:  # fmt: skip
    """The percepts after each glance together, or that of the last mosaic; and what tells where the former is wrong.

    Arguments as :func:`~.gaze_detail.sit`.

    Returns:
        Row -> coverings; of the first policy, what tells -> how well.
    """
    _, weight, paths = sent(
        image, fixations, number, settings, photograph=photograph, px_per_deg=px_per_deg, only=policies
    )
    sharp, light, lattice = _sharp(perceiver, image), srgb_to_linear(image), FoveatedLattice()
    found: dict[str, Coverings] = {}
    doubts: dict[str, Doubt] = {}
    for name in policies:
        mosaics = list(growing(light, lattice, paths[name], px_per_deg))
        glanced = to_device(perceive_glances(perceiver, mosaics), "cpu")
        labels = [labels_of(one) for one in (glanced.last, glanced.percept)]
        found[name] = Coverings(*(weighted_covering(one, sharp[0].numpy(), weight) for one in labels))
        if not doubts:
            wrong = 1 - likeness_at(glanced.percept.segments, sharp)[0]
            coarse = octaves(mosaics[-1].spacing_deg, lattice)
            both = 1 - (1 - glanced.uncertainty) * (1 - coarse)
            maps = {ACUITY_ALONE: coarse, UNCERTAINTY: glanced.uncertainty, BOTH: both}
            doubts = {says: doubt_of(one[0, 0], wrong) for says, one in maps.items()}
    return found, doubts


def doubt_of(doubt: Tensor, wrong: Tensor) -> Doubt:
    """How well a map (H, W) tells where another (H, W) in [0, 1] is high."""
    said, true = (x[::_STEP_PX, ::_STEP_PX].flatten().double().numpy() for x in (doubt, wrong))
    is_wrong = true > _WRONG
    area = roc_area(said[is_wrong], said[~is_wrong]) if is_wrong.any() and not is_wrong.all() else None
    return Doubt(area, float(spearmanr(said, true).statistic) if np.ptp(said) > 0 and np.ptp(true) > 0 else None)


def _sharp(perceiver: Perceiver, image: Tensor) -> Tensor:
    """(1, H, W) labels of the sharp photograph."""
    labels: Tensor = perceiver(image, perceiver.table.default_theta(1), perceiver.cues(image)).labels()
    return labels
