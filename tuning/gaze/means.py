"""What gaze is looked at with beside the settings: weights that they name."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ciliary.cortex.cues import make_backbone
from ciliary.cortex.dorsal.expectation import ExpectationNet, read_expectation
from ciliary.cortex.dorsal.looking import Trunk
from ciliary.cortex.dorsal.mixture import GazeMixture, read_mixture
from ciliary.tuning.gaze.settings import OWN_SIGHT, GazeSettings


@dataclass(frozen=True, eq=False)
class Means:
    """What was read.

    Attributes:
        mixture, trunk: of the learned map.
        net: of an eye by its own sight.
    """

    mixture: GazeMixture | None
    trunk: Trunk | None
    net: ExpectationNet | None


def read_means(settings: GazeSettings) -> Means:
    """What the settings name.

    Raises:
        ValueError, FileNotFoundError: a file is not there, or is something else.
        ProviderUnavailable: there is no such backbone here.
    """
    needs_mixture = settings.map == "learned" or settings.people is not None
    mixture = read_mixture(settings.weights) if needs_mixture else None
    net = read_expectation(settings.expectation) if settings.sight == OWN_SIGHT else None
    return Means(mixture, trunk_of(mixture), net)


def trunk_of(mixture: GazeMixture | None, device: str | torch.device = "cpu") -> Trunk | None:
    """Maps of the backbone that a mixture names, which lies on ``device``; None without.

    Raises:
        ProviderUnavailable, ValueError: there is no such backbone here.
    """
    if mixture is None or mixture.features == "none":
        return None
    backbone = make_backbone(mixture.features)
    return None if backbone is None else backbone.to(device).maps
