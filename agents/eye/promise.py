"""What a place will show in focus, told from one look at it that need not be: learned from places that were focused.

The hand-written guess (:func:`ciliary.agents.eye.settle.promise`) undoes the blur that the likeliest distance speaks
for. A line through what came of such looks knows better. Its teacher is the eye itself, a few looks later: no labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciliary.agents.eye.settle import promise, shown
from ciliary.cortex.eye.contrast import N_BANDS

_N_ENERGIES = 3 * N_BANDS
_N_TOLD = _N_ENERGIES + 3  # contrasts, red over blue, noise, light; not what was seen elsewhere
N_FEATURES = 1 + _N_TOLD + _N_ENERGIES + 3
_RIDGE = 0.1


@dataclass(frozen=True, eq=False)
class PlacePromise:
    """A line: ``weights`` (N_FEATURES,)."""

    weights: np.ndarray

    def __post_init__(self) -> None:
        if np.shape(self.weights) != (N_FEATURES,):
            raise ValueError(f"expected weights ({N_FEATURES},), got {np.shape(self.weights)}")

    def __call__(self, obs: Mapping[str, Any], info: Mapping[str, Any]) -> float:
        """The value, higher is better, of the place that was looked at."""
        return float(self.weights @ look_features(obs, info))


def look_features(obs: Mapping[str, Any], info: Mapping[str, Any]) -> np.ndarray:
    """What a look tells of its place, (N_FEATURES,)."""
    told = np.asarray(obs["statistics"][:_N_TOLD], dtype=np.float64)
    guess = promise(obs["statistics"], info["eye"], float(info["px_per_deg"]))
    focus = float(info["eye"]["focus_dpt"]) / 10
    return np.concatenate([[1.0], told, told[:_N_ENERGIES] ** 2, [guess, shown(obs), focus]])


def fit_promise(features: Sequence[np.ndarray], values: Sequence[float]) -> PlacePromise:
    """Ridge regression of what places came to show on first looks at them.

    Args:
        features: N of :func:`look_features`.
        values: N, higher is better.
    """
    x, y = np.stack(features), np.asarray(values)
    penalty = _RIDGE * np.eye(N_FEATURES)
    penalty[0, 0] = 0
    return PlacePromise(np.linalg.solve(x.T @ x + penalty, x.T @ y).astype(np.float32))
