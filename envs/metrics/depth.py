"""How well a map of relative depth agrees with measured depth: only what no unit changes counts."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

_MIN_KNOWN_PX = 16
_N_PAIRS = 20_000
_MIN_RATIO = 1.1  # nearer than this in depth, two points are not called different


def aligned_log_rmse(predicted: np.ndarray, depth: np.ndarray) -> float:
    """Scale-invariant log RMSE (Eigen et al. 2014) under the best map of the prediction onto log depth.

    Args:
        predicted: (H, W) relative depth, larger is farther, in any unit.
        depth: (H, W) in any unit of length; 0 (or below) where unknown.

    Returns:
        RMS of log(depth) - (a + b predicted) over the known pixels, with the best a and the best b >= 0: relative depth
        has neither scale nor shift. A constant map gets the spread of log depth, and so does one that is the wrong way
        round. 0.1 is about ten per cent of depth.

    Raises:
        ValueError: shapes differ, or hardly any pixel is known.
    """
    p, z = _known(predicted, depth)
    p, z = p - p.mean(), z - z.mean()
    b = max(float(p @ z) / max(float(p @ p), 1e-12), 0.0)
    return float(np.sqrt(np.mean((z - b * p) ** 2)))


def rank_agreement(predicted: np.ndarray, depth: np.ndarray) -> float:
    """Spearman's correlation of predicted and true depth over the known pixels; 0 for a constant map. Else as above."""
    p, z = _known(predicted, depth)
    return 0.0 if np.ptp(p) == 0 or np.ptp(z) == 0 else float(spearmanr(p, z).statistic)


def ordered_pairs(predicted: np.ndarray, depth: np.ndarray, *, seed: int = 0) -> float:
    """Share of point pairs in the right order, of those whose depths differ by over 10 %; an equal prediction is half.

    As in Chen et al. 2016, on 20,000 random pairs. 0.5 is chance; NaN where no pair differs so much.
    """
    p, z = _known(predicted, depth)
    one, other = np.random.default_rng(seed).integers(0, len(p), (2, _N_PAIRS))
    far = z[one] - z[other]
    differs = np.abs(far) > np.log(_MIN_RATIO)
    guess = np.sign(p[one] - p[other])[differs] * np.sign(far[differs])
    return float(np.mean((guess + 1) / 2)) if differs.any() else float("nan")


def _known(predicted: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and log depth, (n,) float64, where depth is known."""
    if predicted.shape != depth.shape or predicted.ndim != 2:
        raise ValueError(f"expected two maps (H, W) of one shape, got {predicted.shape} and {depth.shape}")
    known = depth > 0
    if known.sum() < _MIN_KNOWN_PX:
        raise ValueError(f"expected at least {_MIN_KNOWN_PX} pixels of known depth, got {int(known.sum())}")
    return predicted[known].astype(float), np.log(depth[known].astype(float))
