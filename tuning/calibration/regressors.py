"""The model of the score from label-free inputs: a line, more or less firm, on (C, S, F) inputs and (C, S) scores.

What counts is the order within a case, since settings are chosen image by image; the level across cases is kept too,
so that a prediction can be read as a score. The loss is therefore the squared error plus ``WITHIN`` times the squared
error of deviations from the case's mean. A pairwise ranking, small networks, trees and non-negative weights on losses
were tried in its place and picked no better settings (``docs/results.md``): the simplest was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from ciliary.envs.objective.calibration import Calibration

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]
WITHIN = 3.0


@dataclass(frozen=True, eq=False)
class Line:
    """A fitted line on squashed inputs."""

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.float32

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Inputs (C, S, F) to scores (C, S)."""
        return np.asarray(squash(x, self.mean, self.scale) @ self.weight + self.bias)

    @property
    def layers(self) -> Layers:
        """As a calibration ships it."""
        return ((self.weight[None].astype(np.float32), np.array([self.bias], np.float32)),)


def standardise(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale (F,) of inputs (C, S, F); a constant input gets scale 1."""
    flat = x.reshape(-1, x.shape[-1])
    scale = flat.std(0)
    return flat.mean(0), np.where(scale > 1e-6, scale, 1.0).astype(np.float32)


def squash(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Standardised inputs, softly clipped as :meth:`ciliary.envs.objective.calibration.Calibration.predict` does."""
    return np.asarray(Calibration.CLIP * np.tanh((x - mean) / scale / Calibration.CLIP), np.float32)


def fit_line(x: np.ndarray, y: np.ndarray, *, ridge: float = 1.0) -> Line:
    """Ridge regression; ``ridge`` is the penalty per observation."""
    mean, scale = standardise(x)
    z = squash(x, mean, scale)
    a, b = _stack(z, y)
    n = x.shape[0] * x.shape[1]
    weight = np.linalg.solve(a.T @ a + ridge * n * np.eye(a.shape[1]), a.T @ b).astype(np.float32)
    return Line(mean, scale, weight, np.float32(y.mean() - (z @ weight).mean()))


#: Forms of the model by name, for the comparison.
FORMS: Mapping[str, Callable[[np.ndarray, np.ndarray], Line]] = {
    "line": fit_line,
    "firm line": partial(fit_line, ridge=10.0),
}


def _stack(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a least squares problem: deviations from the case's mean, and the cases' means."""
    n_settings = z.shape[1]
    within = np.sqrt(1 + WITHIN) * (z - z.mean(1, keepdims=True))
    level = np.sqrt(n_settings) * (z.mean(1) - z.mean((0, 1)))
    deviation = np.sqrt(1 + WITHIN) * (y - y.mean(1, keepdims=True))
    means = np.sqrt(n_settings) * (y.mean(1) - y.mean())
    return np.concatenate([within.reshape(-1, z.shape[2]), level]), np.concatenate([deviation.ravel(), means])
