"""Whether numbers go with ratings, and how far they predict them together: intervals, corrections, a null."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, spearmanr
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ciliary.envs.metrics.statistics import DEFAULT, Bootstrap, Interval, across_image_rank_correlation, bootstrap_of

CORRECTIONS = ("holm", "bh")
ALPHAS = np.logspace(-2, 4, 13)
N_FOLDS = 5
N_LEAST = 10  # images


@dataclass(frozen=True)
class Association:
    """One number beside one rating, over the N images where both are known.

    ``p`` is of Spearman's correlation, two-sided; ``p_corrected`` for all numbers that were tried with this rating.
    """

    number: str
    n: int
    pearson: Interval
    spearman: Interval
    p: float
    p_corrected: float = float("nan")


def associate(name: str, x: np.ndarray, y: np.ndarray, *, how: Bootstrap = DEFAULT) -> Association | None:
    """Both correlations with bootstrap intervals over images; None where x is constant or too few are known.

    Args:
        name: of the number.
        x, y: (N,) number and rating of each image; NaN where unknown.
        how: the resampling.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < N_LEAST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    pairs = np.stack([x, y], 1)
    pearson = bootstrap_of(_pearson, pairs, how=how)
    spearman = across_image_rank_correlation(x, y, how=how)
    return Association(name, len(x), pearson, spearman, float(spearmanr(x, y).pvalue))


def _pearson(rows: np.ndarray) -> float:
    """Of (N, 2); 0 where a column is constant, as in a resample that drew one image again and again."""
    a, b = (rows - rows.mean(0)).T
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's (1979) correction of (K,) p-values: the chance that any true null is rejected stays below the level."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    corrected = np.empty_like(stepped)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def corrected(p: np.ndarray, how: str) -> np.ndarray:
    """P-values (K,) corrected by ``holm`` or ``bh`` (Benjamini & Hochberg 1995: the share of false finds)."""
    if how not in CORRECTIONS:
        raise ValueError(f"expected one of {', '.join(CORRECTIONS)}, got {how!r}")
    if not len(p):
        return p
    return holm(p) if how == "holm" else np.asarray(false_discovery_control(p, method="bh"))


@dataclass(frozen=True)
class Prediction:
    """How far all numbers together predict a rating of images that were not learned from.

    Attributes:
        r2: 1 - squared error / that of predicting the mean of the training images; an interval over images.
        null_high: 95th percentile of the same with ratings shuffled among images, everything learned anew.
        p: share of the shuffles that did as well, (1 + count) / (1 + shuffles).
        null: (M,) of all shuffles.
        n_numbers: numbers it was predicted from.
    """

    r2: Interval
    null_high: float
    p: float
    null: np.ndarray
    n_numbers: int


def nested_r2(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Ridge regression by nested cross-validation over images: squared errors of it and of the mean, (N, 2).

    Outer folds of images; in each, medians for what is unknown, scales and the penalty (by leave-one-out within the
    training images) come from the training images alone.

    Args:
        x: (N, K) numbers, NaN where unknown.
        y: (N,) ratings.
        seed: of the folds.
    """
    errors = np.empty((len(y), 2))
    for train, test in KFold(N_FOLDS, shuffle=True, random_state=seed).split(x):
        ridge = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), RidgeCV(ALPHAS)
        )
        predicted = ridge.fit(x[train], y[train]).predict(x[test])
        errors[test, 0] = (y[test] - predicted) ** 2
        errors[test, 1] = (y[test] - y[train].mean()) ** 2
    return errors


def r2_of(errors: np.ndarray) -> float:
    """1 - the first over the second of squared errors (N, 2)."""
    return float(1 - errors[:, 0].sum() / max(errors[:, 1].sum(), 1e-300))


def predict(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_permutations: int = 200,
    seed: int = 0,
    how: Bootstrap = DEFAULT,
    on_shuffle: Callable[[], object] = lambda: None,
) -> Prediction:
    """Nested R2 with an interval over images, beside the same of shuffled ratings."""
    errors = nested_r2(x, y, seed=seed)
    rng = np.random.default_rng(seed)
    null = np.empty(n_permutations)
    for i in range(n_permutations):
        null[i] = r2_of(nested_r2(x, rng.permutation(y), seed=seed))
        on_shuffle()
    found = bootstrap_of(r2_of, errors, how=how)
    p = float((1 + (null >= found.mean).sum()) / (1 + n_permutations))
    return Prediction(found, float(np.quantile(null, 0.95)), p, null, x.shape[1])
