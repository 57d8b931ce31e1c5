"""Measure the homeostat's loops: set points and spreads of the percept's statistics, and how parameters move them.

Statistics only: neither an objective nor people's labels are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.agents.controllers.homeostat import Loop
from ciliary.cortex import Cortex
from ciliary.cortex.parameters import ParameterTable
from ciliary.envs.data.reading import Photograph
from ciliary.envs.observation import STATISTICS, statistics

#: (statistic, parameter) in the order in which they are considered. The notes' homeostat feeds activity, boundary
#: density and entropies back to gain, barriers, temperatures and counts; each pair is the parameter through which the
#: cortex moves that statistic.
CANDIDATES: tuple[tuple[str, str], ...] = (
    ("energy_mean", "adaptation_exponent"),  # activity -> light adaptation
    ("contour_mean", "colour_weight"),  # contour density -> how much colour edges count
    ("barrier_mean", "barrier_gain"),  # barrier density -> what stops diffusion
    ("affinity_mean", "affinity_sigma"),  # likeness of neighbours -> its scale
    ("regions_s1_confidence", "region_temperature"),  # entropy of the assignment to regions -> its temperature
    ("slots_confidence", "patch_compactness"),  # entropy of the assignment to slots -> how compact their patches are
    ("slots_effective_share", "linkage_exponent"),  # entropy of the slots' sizes -> how merging weighs size
    ("masks_effective_share", "merge_threshold"),  # effective number of proto-objects -> where merging stops
    ("masks_confidence", "merge_temperature"),  # entropy of the proto-objects' masks -> its temperature
    ("affinity_sparsity", "blur_sigma_px"),  # lone unlike pixels, which is what noise makes -> blur
    ("on_off_sparsity", "blur_sigma_px"),
    ("light_std", "contrast_adaptation"),
    ("on_off_mean", "adaptation_sigma"),
    ("regions_s2_confidence", "stabilisation_time_px2"),
    ("slots_effective_share", "n_slots"),
)


@dataclass(frozen=True)
class ReflexSettings:
    """How loops are measured, and which are kept.

    Attributes:
        share: share of its error that a loop alone corrects in one step, in (0, 1].
        half_step: half the finite difference in u, > 0.
        min_response: a loop must move its statistic by so many spreads per unit of u ... (u may move by 0.5, so that a
            loop at the bound still reaches three quarters of a spread; 2 would leave out the activity loop, at 1.86)
        min_agreement: ... in the same direction on this share of the images.
        max_radius: of the error of all loops together, at most this share may be left after a step, along any
            direction, in the long run: spectral radius of the closed loop. A loop that breaks this is not taken.
    """

    share: float = 0.5
    half_step: float = 0.2
    min_response: float = 1.5
    min_agreement: float = 0.9
    max_radius: float = 0.8


def measure_reflexes(
    photographs: Sequence[Photograph],
    *,
    candidates: Sequence[tuple[str, str]] = CANDIDATES,
    settings: ReflexSettings = ReflexSettings(),
    cortex: Cortex | None = None,
) -> dict[str, Any]:
    """Measure the candidates on undisturbed training photographs, and keep those that respond and are stable together.

    Set point: median over images at the defaults; spread: 1.4826 median absolute deviations; response: median over
    images of the central difference of the statistic in u, in spreads.

    Args:
        photographs: at the size at which the cortex is to look.
        candidates: (statistic, parameter) pairs.
        settings: see :class:`ReflexSettings`.
        cortex: the default one if None.

    Returns:
        the table: ``loops`` (fields of :class:`ciliary.agents.controllers.homeostat.Loop`, ``response`` and
            ``agreement``), ``dropped`` (pairs and why), ``spectral_radius`` of all loops together.

    Raises:
        ValueError: fewer than two photographs, or no candidate is fit to be a loop.
    """
    if len(photographs) < 2:
        raise ValueError(f"expected at least two photographs to tell a spread, got {len(photographs)}")
    cortex = (cortex or Cortex()).eval()
    moved = tuple(dict.fromkeys(parameter for _, parameter in candidates))
    u, step = _settings(cortex.table, moved, settings.half_step)
    seen = np.stack([_look(cortex, photograph.image, u) for photograph in photographs])  # (E, 1 + 2J, D)
    at_default = seen[:, 0]
    set_point = np.median(at_default, axis=0)
    spread = 1.4826 * np.median(np.abs(at_default - set_point), axis=0)
    slope = (seen[:, 2::2] - seen[:, 1::2]) / step[:, None]  # (E, J, D) per unit of u
    response = np.median(slope, axis=0) / np.where(spread > 0, spread, np.inf)
    agreement = (np.sign(slope) == np.sign(response)).mean(0)

    kept: list[tuple[int, int]] = []
    dropped: list[dict[str, Any]] = []
    for statistic, parameter in candidates:
        j, d = moved.index(parameter), STATISTICS.index(statistic)
        why = _why_not(response, agreement, kept, (j, d), settings=settings)
        if why is None:
            kept.append((j, d))
        else:
            dropped.append({"statistic": statistic, "parameter": parameter, "why": why})
    if not kept:
        raise ValueError(f"no candidate is fit to be a loop: {dropped}")
    loops = [
        asdict(Loop(STATISTICS[d], moved[j], float(set_point[d]), float(spread[d]), -settings.share / response[j, d]))
        | {"response": float(response[j, d]), "agreement": float(agreement[j, d])}
        for j, d in kept
    ]
    return {
        "loops": loops,
        "dropped": dropped,
        "spectral_radius": spectral_radius(response, kept, share=settings.share),
    }


def spectral_radius(response: np.ndarray, loops: Sequence[tuple[int, int]], *, share: float) -> float:
    """Largest factor by which an error of the loops together is multiplied in a step, in the long run.

    With A the response of the loops' statistics to the loops' parameters, errors z follow z <- (I - share A D^-1) z,
    where D is the diagonal of A: below 1 all errors die out. ``response`` (J, D) per unit of u, ``loops`` as positions
    in it.
    """
    j, d = (list(index) for index in zip(*loops, strict=True))
    a = response[np.ix_(j, d)].T
    return float(np.abs(np.linalg.eigvals(np.eye(len(a)) - share * a / np.diag(a))).max())


def _why_not(
    response: np.ndarray,
    agreement: np.ndarray,
    kept: list[tuple[int, int]],
    loop: tuple[int, int],
    *,
    settings: ReflexSettings,
) -> str | None:
    """Why a candidate is no loop, or None."""
    if any(loop[0] == j for j, _ in kept):
        return "its parameter has a loop"
    if any(loop[1] == d for _, d in kept):
        return "its statistic has a loop"
    if abs(response[loop]) < settings.min_response:
        return f"response {response[loop]:.2f} spreads per unit of u"
    if agreement[loop] < settings.min_agreement:
        return f"only {agreement[loop]:.0%} of the images respond in this direction"
    radius = spectral_radius(response, [*kept, loop], share=settings.share)
    return None if radius <= settings.max_radius else f"spectral radius {radius:.2f} together with the loops before"


def _settings(table: ParameterTable, names: Sequence[str], half_step: float) -> tuple[Tensor, np.ndarray]:
    """The defaults, then for each parameter one setting below and one above: (1 + 2J, P), and the differences (J,)."""
    base = table.default_unit()[0]
    rows = [base]
    for name in names:
        for sign in (-1, 1):
            row = base.clone()
            row[table.names.index(name)] += sign * half_step
            rows.append(row.clamp(-1, 1))
    u = torch.stack(rows)
    columns = [table.names.index(name) for name in names]
    return u, np.array([float(u[2 + 2 * j, i] - u[1 + 2 * j, i]) for j, i in enumerate(columns)])


@torch.no_grad()
def _look(cortex: Cortex, image: Tensor, u: Tensor) -> np.ndarray:
    """Statistics (N, D) float64 of one image (3, H, W) at N settings."""
    image = image.to(cortex.device)
    cues = cortex.cues(image[None])
    rows = []
    for part in torch.split(u, 8):
        x = image.expand(len(part), -1, -1, -1)
        percept = cortex(x, cortex.table.from_unit(part), cues[torch.zeros(len(part), dtype=torch.int64)])
        rows.append(statistics(x, percept))
    return np.concatenate(rows).astype(np.float64)
