"""What a response table is measured on: settings spread around the defaults, and cases of images and disturbances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import norm, qmc

from ciliary.cortex.parameters import PARAMETERS, ParameterTable
from ciliary.envs.data.disturbances import MIXED_V0
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.cases import case_seed

#: Standard deviation in u of the parameters worth moving: few knobs, far; the others hardly move.
SPREAD: Mapping[str, float] = {
    "taught_share": 0.25,
    "merge_threshold": 0.35,
    "expected_objects": 0.45,
    "threshold_adaptation": 0.4,
    "contrast_adaptation": 0.5,
    "colour_weight": 0.3,
    "texture_weight": 0.35,
    "region_weight": 0.25,
    "backbone_weight": 0.3,
    "closure_weight": 0.3,
    "geodesic_barrier_weight": 0.3,
    "geodesic_weight": 0.25,
    "barrier_gain": 0.25,
    "linkage_exponent": 0.25,
    "adaptation_exponent": 0.3,
    "adaptation_sigma": 0.3,
    "wavelength_px": 0.2,
    "texture_pool_px": 0.25,
    "patch_compactness": 0.2,
    "slot_temperature": 0.2,
}
_OTHERS = 0.05
_BLUR = PARAMETERS.names.index("blur_sigma_px")


def spread_settings(n: int, *, seed: int = 0, table: ParameterTable = PARAMETERS) -> np.ndarray:
    """Settings (n, P) in [-1, 1], float32: the defaults, then a scrambled Sobol sample of normals around them.

    Every other one is spread half as far. Half of them also blur more than the defaults, evenly up to nearly the
    most: what noise asks for is far from what a clean image does, and in one direction.

    Args:
        n: how many, >= 1.
        seed: of the sample.
        table: whose defaults.

    Raises:
        ValueError: ``n`` < 1.
    """
    if n < 1:
        raise ValueError(f"expected at least one setting, got {n}")
    default = table.default_unit(1)[0].numpy()
    scale = np.array([SPREAD.get(name, _OTHERS) for name in PARAMETERS.names])
    points = qmc.Sobol(d=len(PARAMETERS), seed=seed).random_base2(max(1, n - 1).bit_length())[: n - 1]
    normal = np.clip(norm.ppf(np.clip(points, 1e-3, 1 - 1e-3)), -2, 2)
    u = default + normal * scale * np.where(np.arange(n - 1) % 2, 0.55, 1.0)[:, None]
    n_sharp = (n - 1) // 2
    blur = np.concatenate([np.zeros(n_sharp), np.linspace(0.1, 1.0, n - 1 - n_sharp)])
    u[:, _BLUR] += np.random.default_rng(seed).permutation(blur) * (0.95 - default[_BLUR])
    return np.concatenate([default[None], np.clip(u, -1, 1)]).astype(np.float32)


def training_cases(names: Sequence[str]) -> list[Case]:
    """Each image clean and under one disturbance: the kinds in rotation, and beside them the severities 1 to 5."""
    n = len(MIXED_V0)
    disturbed = [(name, f"{MIXED_V0[i % n]}:{1 + (i // n) % 5}") for i, name in enumerate(names)]
    pairs = [*((name, "none") for name in names), *disturbed]
    return [Case(*pair, seed=case_seed(*pair)) for pair in pairs]
