"""Where to look next: one map of priority, from what draws the eye and what the eye has not yet had.

Priority (Fecteau and Munoz 2006; lateral intraparietal area: Bisley and Goldberg 2010) joins bottom-up conspicuity
with the state of the search. It never reads recognition (M5), nor M4: objectness as it is there anti-predicts gaze.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.dorsal.conspicuity import Conspicuity, ConspicuitySettings, conspicuity, mean_one
from ciliary.cortex.dorsal.mixture import GazeMixture, attraction
from ciliary.cortex.dorsal.motion import residual_motion
from ciliary.cortex.motion.flow import FlowOut
from ciliary.cortex.percept import RetinaOut

#: Of the centre prior, in parts of the image's height and width.
CENTRE_SD = (0.20, 0.21)
#: How much a thing that moves fast draws the eye, in means of what a scene at rest does, and the speed that draws half
#: of it. Chosen on made-up sequences of other seeds than those of the exam.
POP_OUT, HALF_DEG_PER_S = 30.0, 0.3


@dataclass(frozen=True)
class PrioritySettings:
    """Weights of the maps, each of mean 1; chosen on one half of 350 photographs (OSIE), told on the other.

    Attributes:
        energy_weight: of V1 energy, >= 0; none, because it adds nothing to the rarity and ends that are made of it.
        rarity_weight: of self-information of local features (Bruce and Tsotsos 2009), >= 0.
        ends_weight: of corners and line ends (Krieger et al. 2000), >= 0.
        colour_weight: of rare colour, >= 0.
        motion_weight: of a map of motion where one is given, >= 0; not measured (photographs do not move).
        exponent: that the sum is raised to, > 0: the eye takes the best places, not a fair sample of them.
        resolved_share: share of its priority that a wholly resolved place keeps, in [0, 1], where a map of unresolved
            acuity is given.
    """

    energy_weight: float = 0.0
    rarity_weight: float = 1.0
    ends_weight: float = 1.0
    colour_weight: float = 0.25
    motion_weight: float = 1.0
    exponent: float = 2.5
    resolved_share: float = 0.0

    def __post_init__(self) -> None:
        weights = (self.energy_weight, self.rarity_weight, self.ends_weight, self.colour_weight, self.motion_weight)
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(f"expected weights >= 0, one of them above, got {self}")
        if self.exponent <= 0 or not 0 <= self.resolved_share <= 1:
            raise ValueError(f"expected exponent > 0 and resolved_share in [0, 1], got {self}")


def priority(
    maps: Conspicuity,
    settings: PrioritySettings | None = None,
    *,
    motion: Tensor | None = None,
    unresolved: Tensor | None = None,
    prior: Tensor | None = None,
    inhibition: Tensor | None = None,
) -> Tensor:
    """Priority (B, 1, h, w), >= 0, that sums to 1 over each image.

    (sum of weighted maps)^exponent x (resolved_share + (1 - resolved_share) unresolved) x prior x (1 - inhibition).
    Where nothing is left of it (a blank image, all inhibited) the factors that are left decide, and at last all places
    have the same.

    Args:
        maps: of :func:`~ciliary.cortex.dorsal.conspicuity.conspicuity`.
        settings: the defaults when None.
        motion: (B, 1, H, W) >= 0, the speed that remains when the whole field's is taken off
            (:func:`ciliary.cortex.dorsal.motion.residual_motion`); any scale.
        unresolved: (B, 1, H, W) in [0, 1]: 1 where the eye has seen nothing finer than the periphery gives.
        prior: (1 or B, 1, H, W) >= 0: where people look whatever there is, any scale.
        inhibition: (B, 1, H, W) in [0, 1], of :class:`~ciliary.cortex.dorsal.scan.GazeState`.

    Raises:
        ValueError: a map is not (B, 1, H, W); other sizes than (h, w) are resampled to it (mean of what a cell spans).
    """
    settings = settings or PrioritySettings()
    size = (maps.energy.shape[-2], maps.energy.shape[-1])
    weights = (settings.energy_weight, settings.rarity_weight, settings.ends_weight, settings.colour_weight)
    drive = sum((weight * x for weight, x in zip(weights, maps, strict=True)), torch.zeros_like(maps.energy))
    if motion is not None:
        drive = drive + settings.motion_weight * mean_one(_at(motion, size, "motion"))
    return modulated(
        drive**settings.exponent,
        resolved_share=settings.resolved_share,
        unresolved=unresolved,
        prior=prior,
        inhibition=inhibition,
    )


def drawn_by_motion(density: Tensor, motion: Tensor, settings: PrioritySettings | None = None) -> Tensor:
    """A density of priority (B, 1, h, w) to which motion is added, as :func:`priority` adds it: before the power.

    What is given is a speed, not any scale: v / (v + :data:`HALF_DEG_PER_S`), so that what hardly moves draws hardly,
    also where nothing moves more.

    Args:
        density: of sum 1.
        motion: (B, 1, H, W) >= 0, degrees a second that remain when the whole field's motion is taken off. Where it is
            0 all over, the density is left as it is, bit by bit.
        settings: the exponent of the density; the default when None.
    """
    settings = settings or PrioritySettings()
    speed = _at(motion, (density.shape[-2], density.shape[-1]), "motion")
    drive = mean_one(density.clamp_min(0) ** (1 / settings.exponent)) + POP_OUT * speed / (speed + HALF_DEG_PER_S)
    moves = speed.amax((1, 2, 3), keepdim=True) > 0
    return torch.where(moves, normalised(drive**settings.exponent), density)


def modulated(
    attraction: Tensor,
    *,
    resolved_share: float = 0.0,
    unresolved: Tensor | None = None,
    prior: Tensor | None = None,
    inhibition: Tensor | None = None,
) -> Tensor:
    """Any attraction (B, 1, h, w) >= 0 by the state of the search, summing to 1; arguments as :func:`priority`."""
    size = (attraction.shape[-2], attraction.shape[-1])
    result = normalised(attraction)
    if prior is not None:
        result = normalised(result * _at(prior, size, "prior"), otherwise=result)
    if unresolved is not None:
        wanted = resolved_share + (1 - resolved_share) * _at(unresolved, size, "unresolved")
        result = normalised(result * wanted, otherwise=result)
    if inhibition is not None:
        result = normalised(result * (1 - _at(inhibition, size, "inhibition")), otherwise=result)
    return result


def centre_prior(size: tuple[int, int], *, exponent: float = 1.0, uniform_share: float = 0.02) -> Tensor:
    """Where people look whatever there is, (1, 1, h, w), that sums to 1: a Gaussian about the centre.

    Its standard deviations are the fixations' in OSIE's half that things are chosen on: .20 of the height and .21 of
    the width. That Gaussian tells .53 bits a fixation over uniform there, the smoothed fixations themselves .56.

    Args:
        size: (h, w) cells of the map.
        exponent: that the prior is raised to, >= 0; 0 is none.
        uniform_share: of a uniform distribution, in (0, 1], so that no place is impossible.

    Raises:
        ValueError: an exponent below 0.
    """
    if exponent < 0:
        raise ValueError(f"expected an exponent >= 0, got {exponent}")
    y, x = ((torch.arange(n) + 0.5) / n - 0.5 for n in size)
    rows, columns = (torch.exp(-0.5 * (d / sd) ** 2) for d, sd in zip((y, x), CENTRE_SD, strict=True))
    spot = normalised((rows[:, None] * columns)[None, None])
    return normalised(((1 - uniform_share) * spot + uniform_share / spot.numel()) ** exponent)


def normalised(x: Tensor, *, otherwise: Tensor | None = None) -> Tensor:
    """(B, 1, h, w) >= 0 that sums to 1 over each image; where it is 0 all over, ``otherwise``, or the same anywhere."""
    total = x.sum((1, 2, 3), keepdim=True)
    if otherwise is None:
        otherwise = torch.full_like(x, 1 / (x.shape[-2] * x.shape[-1]))
    return torch.where(total > 1e-30, x / total.clamp_min(1e-30), otherwise)


class Dorsal(nn.Module):
    """:func:`conspicuity` and :func:`priority` in a row, as a module: from the retina's answer to priority.

    Args:
        px_per_deg: pixels of the image to a degree of visual angle, > 0.
        how: how the maps are made.
        settings: how they are weighed.
        mixture: weights that were fitted to people's fixations
            (:func:`~ciliary.cortex.dorsal.mixture.read_mixture`), in place of the settings' weights and exponent; a
            prior is raised to the exponent that was fitted, a map of motion is not in it.

    Raises:
        ValueError: a mixture with maps of a backbone, which the retina's answer does not have.
    """

    def __init__(
        self,
        *,
        px_per_deg: float,
        how: ConspicuitySettings | None = None,
        settings: PrioritySettings | None = None,
        mixture: GazeMixture | None = None,
    ) -> None:
        super().__init__()
        if mixture is not None and mixture.features != "none":
            raise ValueError(f"this mixture needs maps of {mixture.features}; call cortex.dorsal.mixture.attraction")
        self.mixture = mixture
        self.px_per_deg, self.how = px_per_deg, how or ConspicuitySettings()
        self.settings = settings or PrioritySettings()

    def forward(
        self,
        retina: RetinaOut,
        *,
        motion: FlowOut | None = None,
        unresolved: Tensor | None = None,
        prior: Tensor | None = None,
        inhibition: Tensor | None = None,
    ) -> Tensor:
        """Priority (B, 1, h, w) of :class:`RetinaOut` and of how the image moves; the maps as for :func:`priority`."""
        if self.mixture is not None:
            if motion is not None:
                raise ValueError("a mixture has no weight for motion; leave one of them out")
            sharp = conspicuity(retina.opponent, px_per_deg=self.px_per_deg, settings=replace(self.how, blur_deg=0.0))
            pull = attraction(self.mixture, sharp, cells_per_deg=self.px_per_deg / self.how.cell_px)
            prior = None if prior is None else prior**self.mixture.prior_exponent
            share = self.settings.resolved_share
            return modulated(pull, resolved_share=share, prior=prior, unresolved=unresolved, inhibition=inhibition)
        maps = conspicuity(retina.opponent, px_per_deg=self.px_per_deg, settings=self.how)
        moved = None if motion is None else residual_motion(motion)
        return priority(maps, self.settings, motion=moved, unresolved=unresolved, prior=prior, inhibition=inhibition)


def _at(x: Tensor, size: tuple[int, int], name: str) -> Tensor:
    if x.ndim != 4 or x.shape[1] != 1:
        raise ValueError(f"expected {name} (B, 1, H, W), got {tuple(x.shape)}")
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
