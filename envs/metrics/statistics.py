"""Means with intervals, paired differences, gaps closed, harm done, and rank correlations. The unit is the image.

Everything here resamples *images* (Efron 1979, percentile intervals): an image under eight disturbances is one witness,
not eight. So arrays have images on their first axis, and what lies on other axes is averaged within the image first.

Ours, not ``scipy.stats.bootstrap``: all intervals of a table share their draws, so that differences of what it shows
are paired; ratios without a gap stay bounded; and a mean of 2,000 resamples is one product, drawn once, where SciPy's
takes 16 times as long (0.1 against 1.6 ms for 100 images). Ranks are SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class Bootstrap:
    """How images are resampled.

    Attributes:
        seed: of the draws: the same draws for the same number of images.
        n_resamples: how often the N images are drawn, with replacement.
        level: of the interval, in (0, 1).
    """

    seed: int = 0
    n_resamples: int = 2000
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.n_resamples < 1:
            raise ValueError(f"expected n_resamples >= 1, got {self.n_resamples}")
        if not 0 < self.level < 1:
            raise ValueError(f"expected a level in (0, 1), got {self.level}")


DEFAULT = Bootstrap()


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval it lies in at the level asked for."""

    mean: float
    low: float
    high: float
    n: int  # images it rests on
    n_skipped: int = 0  # images that had nothing to say

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def bootstrap_mean(values: np.ndarray, *, how: Bootstrap = DEFAULT) -> Interval:
    """Mean over images.

    Args:
        values: (N,) one score an image, or (N, ...), averaged within the image first.
        how: the resampling; with one seed, intervals of one table share their noise.

    Returns:
        The interval; from -inf to inf when there is one image, which says nothing of others.

    Raises:
        ValueError: on no images, or values that are not finite.
    """
    (column,) = _columns(values=values)
    resampled = _resampled_means(column[:, None], how)[:, 0]
    return _interval(column.mean(), resampled, resampled, n=len(column), how=how)


def bootstrap_of(statistic: Callable[[np.ndarray], float], values: np.ndarray, *, how: Bootstrap = DEFAULT) -> Interval:
    """Any number that is computed of all values of all images; images are drawn whole.

    Args:
        statistic: of values (M, ...) of M images, such as ``np.median``.
        values: (N, ...), images first.
        how: the resampling.

    Raises:
        ValueError: on no images, or values that are not finite.
    """
    values = np.asarray(values, float)
    _columns(values=values)
    resampled = np.array([statistic(values[rows]) for rows in _indices(len(values), how)])
    return _interval(statistic(values), resampled, resampled, n=len(values), how=how)


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    *,
    how: Bootstrap = DEFAULT,
) -> Interval:
    """Mean over images of ``a - b``, both (N,) or (N, ...) in the same order of images. See :func:`bootstrap_mean`."""
    a, b = _columns(a=a, b=b)
    return bootstrap_mean(a - b, how=how)


def gap_closed(
    fixed: np.ndarray,
    chosen: np.ndarray,
    oracle: np.ndarray,
    *,
    how: Bootstrap = DEFAULT,
) -> Interval:
    """Share of the gap from fixed to oracle that the choice closes: mean(chosen - fixed) / mean(oracle - fixed).

    A ratio of means, not a mean of ratios: images with next to no gap would drown the others.

    Args:
        fixed, chosen, oracle: (N,) or (N, ...) scores, higher is better, in the same order of images.

    Returns:
        1 where all of it is closed, 0 none, below 0 where the choice is worse than fixed. The mean is NaN when there is
        no gap; a resample without a gap could be anything, and widens the interval on both sides.
    """
    fixed, chosen, oracle = _columns(fixed=fixed, chosen=chosen, oracle=oracle)
    parts = np.stack([chosen - fixed, oracle - fixed], 1)
    gain, gap = parts.mean(0)
    gains, gaps = _resampled_means(parts, how).T
    has_gap = gaps > 0
    ratio = np.divide(gains, gaps, out=np.zeros_like(gains), where=has_gap)
    return _interval(
        gain / gap if gap > 0 else np.nan,
        np.where(has_gap, ratio, -np.inf),
        np.where(has_gap, ratio, np.inf),
        n=len(parts),
        how=how,
    )


def recovered_share(
    clean_fixed: np.ndarray,
    disturbed_fixed: np.ndarray,
    disturbed_chosen: np.ndarray,
    *,
    how: Bootstrap = DEFAULT,
) -> Interval:
    """Share of what a disturbance costs the fixed setting that the choice wins back.

    mean(disturbed_chosen - disturbed_fixed) / mean(clean_fixed - disturbed_fixed); above 1 where more comes back than
    was lost. Arguments and answer as those of :func:`gap_closed`.
    """
    return gap_closed(disturbed_fixed, disturbed_chosen, clean_fixed, how=how)


def harm_rate(chosen: np.ndarray, fixed: np.ndarray, *, tolerance: float = 0.005) -> float:
    """Share of images, in [0, 1], that the choice makes worse than fixed by more than ``tolerance`` of score."""
    chosen, fixed = _columns(chosen=chosen, fixed=fixed)
    return float(np.mean(chosen < fixed - tolerance))


def within_image_rank_correlation(
    x: np.ndarray,
    y: np.ndarray,
    *,
    how: Bootstrap = DEFAULT,
) -> Interval:
    """Does ``x`` order the settings of an image as ``y`` does? Mean over images of Spearman's (1904) correlation.

    Args:
        x, y: (I, S) of I images and S settings. Infinite values have ranks; NaN has none.

    Returns:
        The interval in [-1, 1]. Images where ``x`` or ``y`` is the same for all settings are skipped and counted; when
        that is all of them, mean, low and high are NaN.

    Raises:
        ValueError: on shapes that differ or are not (I, S), or on NaN.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"expected x and y of one shape (images, settings), got {x.shape} and {y.shape}")
    _refuse_nan(x=x, y=y)
    rho = row_rank_correlation(x, y)
    heard = rho[~np.isnan(rho)]
    n_skipped = len(rho) - len(heard)
    if not len(heard):
        return Interval(np.nan, np.nan, np.nan, 0, n_skipped)
    result = bootstrap_mean(heard, how=how)
    return Interval(result.mean, result.low, result.high, result.n, n_skipped)


def across_image_rank_correlation(
    x: np.ndarray,
    y: np.ndarray,
    *,
    how: Bootstrap = DEFAULT,
) -> Interval:
    """Does ``x`` order the images as ``y`` does? Spearman's correlation over images, resampled by image.

    Args:
        x, y: (N,) one value an image, say at the fixed setting. Infinite values have ranks; NaN has none.

    Returns:
        The interval in [-1, 1]; NaN throughout when ``x`` or ``y`` is the same for all images.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"expected x and y of one shape (images,), got {x.shape} and {y.shape}")
    _refuse_nan(x=x, y=y)
    rho = row_rank_correlation(x[None], y[None])[0]
    if np.isnan(rho):
        return Interval(np.nan, np.nan, np.nan, 0, len(x))
    index = _indices(len(x), how)
    resampled = row_rank_correlation(x[index], y[index])
    resampled = resampled[~np.isnan(resampled)]  # of very few images: one drawn again and again
    return _interval(rho, resampled, resampled, n=len(x), how=how)


def row_rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of two (C, S), ties sharing their mean rank.

    Returns:
        (C,) in [-1, 1]; NaN where a row of either is constant.
    """
    ranks = [rankdata(values, axis=1) for values in (x, y)]
    a, b = (r - r.mean(1, keepdims=True) for r in ranks)
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.asarray(np.divide((a * b).sum(1), norm, out=np.full(len(x), np.nan), where=norm > 0))


def _columns(**named: np.ndarray) -> list[np.ndarray]:
    """Each array as (N,) means of its images, after checking that they are finite and go together."""
    arrays = {name: np.asarray(values, float) for name, values in named.items()}
    shapes = {name: values.shape for name, values in arrays.items()}
    if any(values.ndim == 0 or values.size == 0 for values in arrays.values()):
        raise ValueError(f"expected one or more values an image, images first, got shapes {shapes}")
    if len({values.shape[0] for values in arrays.values()}) > 1:
        raise ValueError(f"expected the same images in each, got shapes {shapes}; select the common ones first")
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            n_bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{name}: expected finite values, got {n_bad} that are not; leave those images out")
    return [values.reshape(len(values), -1).mean(1) for values in arrays.values()]


def _refuse_nan(**named: np.ndarray) -> None:
    for name, values in named.items():
        if np.isnan(values).any():
            raise ValueError(f"{name}: expected values that can be ranked, got {int(np.isnan(values).sum())} NaN")


@lru_cache(maxsize=32)
def _indices(n: int, how: Bootstrap) -> np.ndarray:
    """(R, N) of which images each resample holds."""
    return np.random.default_rng(how.seed).integers(0, n, (how.n_resamples, n))


@lru_cache(maxsize=32)
def _shares(n: int, how: Bootstrap) -> np.ndarray:
    """(R, N) of what share of each resample an image is: a mean is then one product."""
    index = _indices(n, how)
    counts = np.zeros(index.shape)
    np.add.at(counts, (np.arange(len(index))[:, None], index), 1)
    return counts / n


def _resampled_means(columns: np.ndarray, how: Bootstrap) -> np.ndarray:
    """(N, K) to (R, K): means of resamples that take all K values of an image together."""
    return np.asarray(_shares(len(columns), how) @ columns)


def _interval(mean: float, lows: np.ndarray, highs: np.ndarray, *, n: int, how: Bootstrap) -> Interval:
    """Percentile interval; ``lows`` and ``highs`` are the resamples as seen from below and from above."""
    if n == 1 or not len(lows):
        return Interval(float(mean), -np.inf, np.inf, n)
    tail = (1 - how.level) / 2
    # Not interpolated: between a number and infinity there is no number.
    low = np.quantile(lows, tail, method="lower")
    high = np.quantile(highs, 1 - tail, method="higher")
    return Interval(float(mean), float(low), float(high), n)
