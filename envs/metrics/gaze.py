"""How well a map tells where people look: the metrics of :data:`GAZE_METRICS`.

Definitions are those of the pysaliency project (Kümmerer, Wallis and Bethge 2018, "Saliency benchmarking made easy"):
areas under the curve take all pixels (Judd) or all other images' fixations (shuffled) as negatives, and a tie is half.
Values are the mean over fixations of one image; a table takes the mean over images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from ciliary.envs.metrics.metric import Metric


@dataclass(frozen=True, eq=False)
class Gazed:
    """A map of an image and where people looked, made by :meth:`of`. Maps are (H, W) float64.

    Attributes:
        saliency: any values, higher where people should look.
        density: the same as a distribution, > 0 or = 0, that sums to 1.
        baseline: distribution that is known without the image (centre bias).
        people: distribution of people's fixations, smoothed.
        here: (N,) values of ``saliency`` at the N fixations.
        elsewhere: (M,) values of ``saliency`` where people looked in other images.
        y, x: (N,) cells of the fixations.
    """

    saliency: np.ndarray
    density: np.ndarray
    baseline: np.ndarray
    people: np.ndarray
    here: np.ndarray
    elsewhere: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(
        cls,
        saliency: ArrayLike,
        y: ArrayLike,
        x: ArrayLike,
        *,
        others: tuple[ArrayLike, ArrayLike] | None = None,
        baseline: ArrayLike | None = None,
        density: ArrayLike | None = None,
        sigma: float = 0.0,
    ) -> Gazed:
        """Prepare a map (H, W) for all metrics.

        Args:
            saliency: (H, W), finite.
            y, x: (N,) fixations in cells of the map; a cell i spans i to i + 1, and fractions are cut off.
            others: y and x of fixations on other images, (M,) each; without them sAUC is NaN.
            baseline: (H, W) distribution; uniform when None.
            density: (H, W) distribution of the map where it is another than ``saliency`` less its minimum, over its
                sum; a map without a probabilistic meaning has no information gain worth telling.
            sigma: standard deviation in cells that people's fixations are smoothed with for KL, CC and SIM; 0 for none.

        Raises:
            ValueError: a map that is not (H, W) and finite, a distribution that is negative or does not sum to 1, no
                fixation, or one outside of the map.
        """
        found = np.asarray(saliency, float)
        if found.ndim != 2 or found.size == 0 or not np.isfinite(found).all():
            raise ValueError(f"expected a finite map (height, width), got {found.shape}")
        ys, xs = _inside(y, x, found.shape)
        if not len(ys):
            raise ValueError("expected at least one fixation, got none; leave this image out")
        uniform = np.full(found.shape, 1 / found.size)
        elsewhere = np.empty(0)
        if others is not None:
            elsewhere = found[_inside(*others, found.shape)]
        return cls(
            found,
            as_density(found) if density is None else _checked(density, found.shape, "density"),
            uniform if baseline is None else _checked(baseline, found.shape, "baseline"),
            fixation_density(ys, xs, size=found.shape, sigma=sigma),
            found[ys, xs],
            elsewhere,
            ys,
            xs,
        )


def nss(g: Gazed) -> float:
    """Normalised scanpath saliency: the map in its standard deviations at the fixations; 0 for a constant map.

    Peters, Iyer, Itti and Koch 2005.
    """
    spread = float(g.saliency.std())
    return float((g.here.mean() - g.saliency.mean()) / spread) if spread > _flat(g.saliency) else 0.0


def auc_judd(g: Gazed) -> float:
    """Chance in [0, 1] that a fixation has a higher value than a pixel, all pixels taken (Judd et al. 2009)."""
    return roc_area(g.here, g.saliency.ravel())


def shuffled_auc(g: Gazed) -> float:
    """Chance in [0, 1] that a fixation has a higher value than a place looked at in other images (Zhang et al. 2008).

    NaN without other images.
    """
    return roc_area(g.here, g.elsewhere)


def information_gain(g: Gazed) -> float:
    """Bits a fixation that the density tells more than the baseline: mean of log2 density - log2 baseline.

    Kümmerer, Wallis and Bethge 2015. -inf where people looked and the density is 0.
    """
    with np.errstate(divide="ignore"):
        return float(np.mean(np.log2(g.density[g.y, g.x]) - np.log2(g.baseline[g.y, g.x])))


def kl_divergence(g: Gazed) -> float:
    """Nats that the density lacks of people's smoothed distribution, >= 0, as the MIT/Tübingen benchmark counts them.

    sum p ln(eps + p / (q + eps)) with eps = 2.2204e-16, p people's and q the map's.
    """
    eps = 2.2204e-16
    return float((g.people * np.log(eps + g.people / (g.density + eps))).sum())


def correlation(g: Gazed) -> float:
    """Pearson's correlation in [-1, 1] of the map and people's smoothed distribution; 0 for a constant map."""
    a, b = g.saliency - g.saliency.mean(), g.people - g.people.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if a.std() > _flat(g.saliency) and norm > 0 else 0.0


def similarity(g: Gazed) -> float:
    """What the density and people's smoothed distribution share, in [0, 1]: sum of their minima."""
    return float(np.minimum(g.density, g.people).sum())


#: As in pysaliency 0.2.22.
GAZE_METRICS: Mapping[str, Metric[Gazed]] = {
    metric.name: metric
    for metric in (
        Metric("nss", nss, higher_is_better=True, title="NSS", unit="standard deviations"),
        Metric("auc_judd", auc_judd, higher_is_better=True, title="AUC"),
        Metric("sauc", shuffled_auc, higher_is_better=True, title="shuffled AUC"),
        Metric("ig", information_gain, higher_is_better=True, title="information gain", unit="bits"),
        Metric("kl", kl_divergence, higher_is_better=False, title="KL", unit="nats"),
        Metric("cc", correlation, higher_is_better=True, title="CC"),
        Metric("sim", similarity, higher_is_better=True, title="SIM"),
    )
}


def gaze_scores(gazed: Gazed) -> dict[str, float]:
    """Every metric of :data:`GAZE_METRICS`."""
    return {name: metric.function(gazed) for name, metric in GAZE_METRICS.items()}


def as_density(saliency: ArrayLike) -> np.ndarray:
    """A map (H, W) over its sum, less its minimum where that is below 0; uniform where nothing is left."""
    found = np.asarray(saliency, float)
    found = found - min(float(found.min()), 0.0)
    total = found.sum()
    return np.asarray(found / total) if total > 0 else np.full(found.shape, 1 / found.size)


def fixation_counts(y: ArrayLike, x: ArrayLike, *, size: tuple[int, int]) -> np.ndarray:
    """(H, W) how often each cell was looked at. ``ValueError`` if a fixation is outside of it."""
    counts = np.zeros(size)
    np.add.at(counts, _inside(y, x, size), 1.0)
    return counts


def fixation_density(y: ArrayLike, x: ArrayLike, *, size: tuple[int, int], sigma: float) -> np.ndarray:
    """(H, W) distribution of fixations, each a Gaussian of ``sigma`` cells (0 for none), what leaves the map cut off.

    Raises:
        ValueError: no fixation, one outside of the map, or ``sigma`` below 0.
    """
    if sigma < 0:
        raise ValueError(f"expected sigma >= 0, got {sigma}")
    counts = fixation_counts(y, x, size=size)
    return as_density(_smooth(counts, sigma)) if counts.any() else _no_fixation()


def _no_fixation() -> np.ndarray:
    raise ValueError("expected at least one fixation, got none")


def _smooth(counts: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(gaussian_filter(counts, sigma, mode="constant")) if sigma else counts


def roc_area(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Area under the ROC of scores, nan without negatives: Mann and Whitney's share of pairs in order, ties half."""
    if not len(negatives):
        return float("nan")
    ranked = np.sort(negatives)
    below = np.searchsorted(ranked, positives, "left") + np.searchsorted(ranked, positives, "right")
    return float(below.mean() / (2 * len(ranked)))


def _flat(values: np.ndarray) -> float:
    """The standard deviation that rounding gives a constant map."""
    return 1e-12 * float(np.abs(values).max())


def _inside(y: ArrayLike, x: ArrayLike, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    ys, xs = (np.floor(np.asarray(values, float)) for values in (y, x))
    if ys.shape != xs.shape or ys.ndim != 1:
        raise ValueError(f"expected y and x of one length, got shapes {ys.shape} and {xs.shape}")
    if not ((ys >= 0) & (ys < size[0]) & (xs >= 0) & (xs < size[1])).all():
        raise ValueError(f"a fixation lies outside of the map of {size[0]} x {size[1]} cells; scale or drop it first")
    return ys.astype(np.intp), xs.astype(np.intp)


def _checked(values: ArrayLike, size: tuple[int, ...], name: str) -> np.ndarray:
    found = np.asarray(values, float)
    if found.shape != size or not (found >= 0).all() or not np.isclose(found.sum(), 1, atol=1e-4):
        raise ValueError(f"expected {name} {size} >= 0 that sums to 1, got {found.shape} with sum {found.sum():.6g}")
    return found
