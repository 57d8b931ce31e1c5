"""A density of gaze as a log-linear mix of maps and a prior: few weights, as they were fitted to people's fixations.

ln p(place) = sum of weights x maps + prior exponent x ln prior - ln of what makes it sum to 1. The fit is
``ciliary train gaze``; what it found on photographs of OSIE (Xu et al. 2014) comes along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.dorsal.conspicuity import Conspicuity, mean_one
from ciliary.cortex.ops.smoothing import gaussian_blur

_FLOOR = 0.05  # of a map of mean 1, under its logarithm: where nothing is, how little does not matter
BLURS_DEG = (0.4, 0.8, 2.0)
TRUNK_WIDTHS = (8, 24, 32)  # leading components of each stage of EfficientNet-Lite0, fine to coarse
N_HAND_MAPS = len(BLURS_DEG) * len(Conspicuity._fields)
STEP_CELLS = 2  # cells of the conspicuity maps to a side of a cell of the mix
SHIPPED = Path(__file__).parent / "weights" / "gaze.json"


@dataclass(frozen=True, eq=False)
class GazeMixture:
    """Weights of the maps.

    Attributes:
        weights: (K,) of each map.
        prior_exponent: of the prior: 1 takes it as it is, 0 leaves it out.
        features: name of the backbone whose maps follow the 12 of the conspicuity; ``none`` without.
        about: where the weights come from.
    """

    weights: Tensor
    prior_exponent: float
    features: str = "none"
    about: Mapping[str, Any] = field(default_factory=dict)

    def density(self, maps: Tensor, prior: Tensor) -> Tensor:
        """(N, h, w) that sums to 1 over each image, of maps (N, K, h, w) and a prior (N or 1, h, w) > 0."""
        drive = self.drive(maps) + self.prior_exponent * prior.log()
        density: Tensor = torch.softmax(drive.flatten(1), 1).unflatten(1, drive.shape[1:])
        return density

    def drive(self, maps: Tensor) -> Tensor:
        """(N, h, w): the logarithm of the density without the prior, but for a constant."""
        return torch.einsum("nkhw,k->nhw", maps, self.weights.to(maps))


def log_maps(maps: Conspicuity, *, cells_per_deg: float, size: tuple[int, int]) -> Tensor:
    """The logarithm of each map at each of :data:`BLURS_DEG`, for a mix: (N, 12, h, w), of mean 0 and variance 1.

    Args:
        maps: made without a blur of their own, (N, 1, H, W).
        cells_per_deg: of these maps.
        size: (h, w) of the answer, not above (H, W).
    """
    stacked = torch.cat(list(maps), 1)
    levels = []
    for blur_deg in BLURS_DEG:
        blurred = gaussian_blur(stacked, stacked.new_full((len(stacked),), blur_deg * cells_per_deg))
        blurred = blurred / blurred.mean((2, 3), keepdim=True).clamp_min(1e-10)
        levels.append(torch.log(blurred + _FLOOR))
    found = F.interpolate(torch.cat(levels, 1), size=size, mode="bilinear", antialias=True)
    found = found - found.mean((2, 3), keepdim=True)
    return found / found.std((2, 3), keepdim=True).clamp_min(1e-6)


def trunk_maps(trunk: Sequence[Tensor], *, size: tuple[int, int]) -> Tensor:
    """Leading components of a backbone's stages, for a mix: (N, sum of :data:`TRUNK_WIDTHS`, h, w).

    Args:
        trunk: maps (N, n, h', w') of each stage, fine to coarse, :meth:`~ciliary.cortex.cues.trunk.Trunk.maps`: of unit
            variance over the photographs they were fitted on.
        size: (h, w) of the answer.
    """
    parts = [
        F.interpolate(x[:, :width], size=size, mode="bilinear", antialias=True)
        for x, width in zip(trunk, TRUNK_WIDTHS, strict=True)
    ]
    return torch.cat(parts, 1)


def mixture_maps(maps: Conspicuity, *, cells_per_deg: float, trunk: Sequence[Tensor] | None = None) -> Tensor:
    """What a mix is fitted on and told with: (N, K, h, w), a cell to each :data:`STEP_CELLS` squared of ``maps``.

    Args:
        maps: made without a blur of their own.
        cells_per_deg: of these maps.
        trunk: maps of a backbone's stages, where it is to be in the mix.
    """
    height, width = (max(1, n // STEP_CELLS) for n in maps.energy.shape[-2:])
    hand = log_maps(maps, cells_per_deg=cells_per_deg, size=(height, width))
    return hand if trunk is None else torch.cat([hand, trunk_maps(trunk, size=(height, width))], 1)


def attraction(
    mixture: GazeMixture, maps: Conspicuity, *, cells_per_deg: float, trunk: Sequence[Tensor] | None = None
) -> Tensor:
    """What the mix says of each place without its prior: (N, 1, H, W) > 0 of mean 1, in the cells of ``maps``.

    Raises:
        ValueError: the mixture has weights for other maps than there are.
    """
    found = mixture_maps(maps, cells_per_deg=cells_per_deg, trunk=trunk)
    if found.shape[1] != len(mixture.weights):
        raise ValueError(
            f"expected a mixture of {found.shape[1]} maps, got one of {len(mixture.weights)} "
            f"(backbone: {mixture.features})"
        )
    size = (maps.energy.shape[-2], maps.energy.shape[-1])
    drive = F.interpolate(mixture.drive(found)[:, None], size=size, mode="bilinear")
    return mean_one(torch.exp(drive - drive.amax((2, 3), keepdim=True)))


def mixture_text(mixture: GazeMixture) -> str:
    """A mixture as the text of a JSON file, for :func:`read_mixture`."""
    page = {
        "features": mixture.features,
        "prior_exponent": round(mixture.prior_exponent, 6),
        "weights": [round(float(x), 6) for x in mixture.weights],
        "about": dict(mixture.about),
    }
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"


def read_mixture(path: Path | str | None = None) -> GazeMixture:
    """A mixture of a file of ``ciliary train gaze``; the one that comes along when None.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it holds something else.
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no mixture of gaze at {path}; make one with ciliary train gaze")
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        weights = torch.tensor([float(x) for x in page["weights"]])
        return GazeMixture(weights, float(page["prior_exponent"]), str(page["features"]), dict(page["about"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a mixture of gaze (JSON of ciliary train gaze), got {error!r}") from None
