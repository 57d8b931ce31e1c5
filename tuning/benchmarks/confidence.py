"""How sure to be: temperature scaling (Guo et al. 2017) and the expected calibration error."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

N_BINS = 15  # as in Guo et al.
_LOG_RANGE = (-9.0, 7.0)  # of the temperature: cosines differ by little, log-probabilities by much


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which softmax(scores / T) is likeliest.

    Args:
        scores: (N, C) of images that are neither examples nor to be named.
        labels: (N,).

    Returns:
        T > 0; NaN without images.
    """
    if not len(scores):
        return float("nan")
    rows = np.arange(len(scores))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores * np.exp(-log_temperature), axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded").x))


def confidence(scores: np.ndarray, temperature: float) -> np.ndarray:
    """(N,) probability of the class named, of scores (N, C) at a temperature."""
    return softmax(scores / temperature, axis=1).max(1)


def calibration_error(sureness: np.ndarray, is_right: np.ndarray, *, n_bins: int = N_BINS) -> float:
    """Expected calibration error: mean over bins of |accuracy - mean confidence|, weighted by what is in them.

    Bins are of equal width, open below and closed above, as in Guo et al.

    Args:
        sureness: (N,) confidences in [0, 1].
        is_right: (N,) bool.

    Returns:
        In [0, 1]; NaN without images or with confidences that are NaN.
    """
    sureness, right = np.asarray(sureness, float), np.asarray(is_right, float)
    if sureness.shape != right.shape or sureness.ndim != 1:
        raise ValueError(f"expected confidences and answers of one shape (N,), got {sureness.shape} and {right.shape}")
    if not len(sureness) or np.isnan(sureness).any():
        return float("nan")
    if sureness.min() < 0 or sureness.max() > 1 + 1e-6:
        raise ValueError(f"expected confidences in [0, 1], got {sureness.min():.3g} to {sureness.max():.3g}")
    which = np.clip(np.ceil(sureness * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(which, weights=right - sureness, minlength=n_bins)  # times how many there are
    return float(np.abs(gap).sum() / len(sureness))
