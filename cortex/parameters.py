"""The parameter table: the one source for every perceptual parameter.

Two names, never mixed: ``theta`` is the physical values (a dict of tensors of shape (B,)), ``u`` is the same
settings as a matrix (B, P) in [-1, 1]. Everything else that needs ranges, defaults, units or names (action space,
Optuna space, CLI help, MLflow names, README table) reads :data:`PARAMETERS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Theta = dict[str, Tensor]


@dataclass(frozen=True)
class Parameter:
    """One perceptual parameter.

    ``scale`` says how u in [-1, 1] maps to the range: ``linear``, ``log`` (equal ratios) or ``int`` (a count; linear,
    and fractional values are legal: the last unit is then partly present, which is what keeps the gradient).
    ``source`` is a paper, or "measured" when the default was chosen, or kept after a look, by region covering on BSDS500
    training photographs (never the validation ones).
    """

    name: str
    stage: str
    low: float
    high: float
    default: float
    unit: str
    scale: Literal["linear", "log", "int"]
    source: str
    doc: str
    grad: bool = True

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(
                f"{self.name}: low <= default <= high must hold, got {self.low=}, {self.default=}, {self.high=}"
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale needs low > 0, got {self.low=}")


# fmt: off
PARAMETERS: tuple[Parameter, ...] = (
    # --- retina
    Parameter("adaptation_exponent", "retina", 0.4, 1.6, 0.54, "1", "linear", "Naka & Rushton 1966", "Exponent n of the light adaptation r^n/(r^n+s^n)."),
    Parameter("adaptation_sigma", "retina", 0.1, 4.0, 1.5, "mean luminance", "log", "Naka & Rushton 1966", "Semi-saturation, as a multiple of the image's mean light."),
    Parameter("blur_sigma_px", "retina", 0.3, 3.0, 0.68, "px", "log", "measured", "Blur before everything else (the optics of the eye)."),
    Parameter("surround_ratio", "retina", 1.5, 6.0, 3.0, "1", "log", "Croner & Kaplan 1995", "Surround size of the difference of Gaussians, in centre sizes."),
    Parameter("contrast_adaptation", "retina", 0.0, 1.0, 0.43, "1", "linear", "Carandini & Heeger 2012", "How far opponent contrast is brought to a common level: 0 not at all, 1 wholly."),
    # --- M1 perception
    Parameter("wavelength_px", "M1", 4.0, 12.0, 4.4, "px", "log", "De Valois et al. 1982", "Wavelength of the finest log-Gabor scale."),
    Parameter("bandwidth_octaves", "M1", 0.6, 2.5, 1.6, "octaves", "linear", "De Valois et al. 1982", "Half-height bandwidth of the log-Gabor filters."),
    Parameter("affinity_sigma", "M1", 0.03, 1.0, 0.14, "feature", "log", "Shi & Malik 2000", "Scale of the affinity w=exp(-d^2/2s^2) between neighbours."),
    Parameter("colour_weight", "M1", 0.2, 5.0, 2.4, "1", "log", "measured", "Weight of the chromatic channels beside luminance."),
    Parameter("texture_weight", "M1", 0.05, 5.0, 1.7, "1", "log", "measured", "Weight of oriented energy in features and affinities."),
    Parameter("position_weight", "M1", 0.02, 2.0, 0.16, "1", "log", "Achanta et al. 2012", "Weight of image position in the region features."),
    Parameter("depth_weight", "M1", 0.02, 3.0, 0.2, "1", "log", "measured", "Weight of the depth provider's map."),
    Parameter("backbone_weight", "M1", 0.02, 3.0, 0.17, "1", "log", "measured", "Weight of the backbone's feature maps (no effect without a backbone)."),
    Parameter("n_regions", "M1", 2.0, 12.0, 8.0, "regions", "int", "original notes (K=8)", "Number of soft k-means regions S1."),
    Parameter("region_temperature", "M1", 0.02, 1.0, 0.1, "feature^2", "log", "measured", "Temperature of the soft assignment to regions."),
    # --- M2 grouping
    Parameter("association_reach_px", "M2", 3.0, 16.0, 10.0, "px", "log", "Field, Hayes & Hess 1993", "Reach of the co-circular association field."),
    Parameter("completion_gain", "M2", 0.05, 4.0, 0.5, "1", "log", "Grossberg & Mingolla 1985", "Strength of contour completion across gaps."),
    Parameter("endstop_gain", "M2", 0.05, 4.0, 0.5, "1", "log", "Heitger et al. 1992", "Gain of end-stopped cells, which seed completion."),
    Parameter("barrier_gain", "M2", 0.5, 50.0, 1.4, "1", "log", "Perona & Malik 1990", "How strongly a contour stops diffusion."),
    Parameter("stabilisation_time_px2", "M2", 0.1, 4.0, 2.0, "px^2", "log", "Perona & Malik 1990", "Diffusion time of log S1 into S2."),
    # --- M3 invariance
    Parameter("texture_pool_px", "M3", 2.0, 16.0, 4.4, "px", "log", "Portilla & Simoncelli 2000", "Integration scale of the local energy statistics."),
    Parameter("region_weight", "M3", 0.02, 2.0, 0.97, "1", "log", "measured", "Weight of the stabilised regions S2 in the patches' cues."),
    Parameter("patch_compactness", "M3", 0.002, 0.2, 0.017, "1", "log", "Achanta et al. 2012", "Weight of position in the patches the slots are made of."),
    Parameter("n_slots", "M3", 2.0, 32.0, 32.0, "slots", "int", "measured", "Number of slots the image may occupy."),
    Parameter("linkage_exponent", "M3", 0.0, 1.2, 0.52, "1", "linear", "Ward 1963 (1.0)", "Size exponent of the merging cost: 0 is centroid linkage, 1 is Ward's."),
    Parameter("slot_temperature", "M3", 0.02, 2.0, 0.043, "distance", "log", "measured", "Temperature of the soft assignment to slots."),
    Parameter("geodesic_weight", "M3", 0.02, 4.0, 0.5, "1", "log", "Bai & Sapiro 2009", "Weight of the geodesic distance beside the feature distance."),
    Parameter("geodesic_barrier_weight", "M3", 0.02, 4.0, 0.5, "1", "log", "Bai & Sapiro 2009", "Weight of the barrier in geodesic steps and in the merging of patches."),
    Parameter("inhibition_gain", "M3", 0.01, 2.0, 0.2, "1", "log", "Hartline & Ratliff 1957", "Lateral inhibition between slots."),
    # --- M4 proto-objects
    Parameter("merge_threshold", "M4", 0.02, 2.0, 0.15, "cost", "log", "measured", "Cost up to which slots merge into proto-objects."),
    Parameter("threshold_adaptation", "M4", 0.0, 1.0, 0.48, "1", "linear", "measured", "How far the threshold follows the image's own costs: 0 is absolute, 1 a count."),
    Parameter("expected_objects", "M4", 2.0, 16.0, 8.6, "objects", "linear", "measured", "Number of objects at whose last merge the image's own cost is read."),
    Parameter("merge_temperature", "M4", 0.02, 1.0, 0.15, "log cost", "log", "measured", "Softness of the merging decision."),
    Parameter("closure_weight", "M4", 0.05, 10.0, 0.33, "1", "log", "Elder & Zucker 1993", "Weight of the contour between two slots in merging cost and objectness."),
    Parameter("contrast_weight", "M4", 0.05, 10.0, 1.0, "1", "log", "Alexe et al. 2012", "Weight of the feature contrast in objectness."),
    Parameter("variance_weight", "M4", 0.05, 10.0, 1.0, "1", "log", "Alexe et al. 2012", "Weight of the inner variance in objectness."),
)
# fmt: on

NAMES: tuple[str, ...] = tuple(p.name for p in PARAMETERS)
N_PARAMETERS = len(PARAMETERS)
BY_NAME: Mapping[str, Parameter] = {p.name: p for p in PARAMETERS}
STAGES: tuple[str, ...] = ("retina", "M1", "M2", "M3", "M4")


def check_names(names) -> None:
    """Raise ``KeyError`` listing the legal names if any of ``names`` is not in the table."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise KeyError(f"unknown parameter(s) {unknown}; choose from {', '.join(NAMES)}")


def check_theta(theta: Mapping[str, Tensor], batch: int) -> None:
    """Raise ``KeyError`` on unknown or missing names, ``ValueError`` unless each value is a tensor of shape (batch,)."""
    check_names(theta)
    missing = [name for name in NAMES if name not in theta]
    if missing:
        raise KeyError(f"theta lacks {missing}; start from default_theta() and change what you want")
    for name, value in theta.items():
        if tuple(value.shape) != (batch,):
            raise ValueError(
                f"theta[{name!r}]: expected shape ({batch},), one value per image, got {tuple(value.shape)}"
            )


def _column(p: Parameter, x: Tensor) -> Tensor:
    """Physical value(s) of one parameter -> u."""
    if p.scale == "log":
        span = math.log(p.high / p.low)
        return 2 * torch.log(x / p.low) / span - 1
    return 2 * (x - p.low) / (p.high - p.low) - 1


def from_unit(u: Tensor) -> Theta:
    """Physical values of unit settings.

    Args:
        u: (B, P), clipped to [-1, 1]; columns in the order of :data:`PARAMETERS`.

    Returns:
        theta: one tensor (B,) per parameter; differentiable in ``u``.

    Raises:
        ValueError: if ``u`` is not (B, P).
    """
    if u.ndim != 2 or u.shape[1] != N_PARAMETERS:
        raise ValueError(f"expected u of shape (B, {N_PARAMETERS}), got {tuple(u.shape)}")
    # Not clamp, which has no gradient at its bounds in recent versions of torch: a setting at u = 1 could never return.
    u = torch.where(u < -1, -1.0, torch.where(u > 1, 1.0, u))
    theta: Theta = {}
    for i, p in enumerate(PARAMETERS):
        t = (u[:, i] + 1) / 2
        if p.scale == "log":
            theta[p.name] = p.low * torch.exp(t * math.log(p.high / p.low))
        else:
            theta[p.name] = p.low + t * (p.high - p.low)
    return theta


def to_unit(theta: Mapping[str, Tensor]) -> Tensor:
    """Inverse of :func:`from_unit`: theta (each (B,)) to u (B, P). Raises ``KeyError`` on unknown or missing names."""
    check_names(theta)
    missing = [name for name in NAMES if name not in theta]
    if missing:
        raise KeyError(f"theta lacks {missing}; start from default_theta() and change what you want")
    return torch.stack([_column(p, torch.as_tensor(theta[p.name], dtype=torch.float32)) for p in PARAMETERS], dim=1)


def default_theta(batch: int = 1, **changes: float) -> Theta:
    """The defaults for a batch; keyword arguments replace single values. Raises ``KeyError`` on an unknown name."""
    check_names(changes)
    return {p.name: torch.full((batch,), float(changes.get(p.name, p.default))) for p in PARAMETERS}


def default_unit(batch: int = 1) -> Tensor:
    """The defaults as u, (B, P)."""
    return to_unit(default_theta(batch))


def repeat_theta(theta: Theta, n: int) -> Theta:
    """Each sample's setting ``n`` times in a row: (B,) -> (B*n,), sample-major."""
    return {name: value.repeat_interleave(n) for name, value in theta.items()}


def markdown_table() -> str:
    """The table as Markdown, for the README."""
    rows = [
        "| parameter | stage | range | default | unit | scale | source | what it does |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| `{p.name}` | {p.stage} | {p.low:g} – {p.high:g} | {p.default:g} | {p.unit} | {p.scale} | {p.source} | {p.doc} |"
        for p in PARAMETERS
    ]
    return "\n".join(rows)
