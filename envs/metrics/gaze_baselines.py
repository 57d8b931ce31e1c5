"""What a map of gaze lies between: the bias to the centre below, and how well people tell each other above."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from ciliary.envs.data.gaze import Fixations
from ciliary.envs.metrics.gaze import Gazed, fixation_counts, fixation_density, gaze_scores

PEOPLE_SIGMA_DEG = 1.0  # eye trackers' error and the fovea's size; as in the MIT saliency benchmark
PEOPLE_CENTRE_SHARE = 0.2  # of the centre bias in what people tell of each other: few people leave holes


def scaled(
    fixations: Fixations, *, photograph: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """y and x (N,) of fixations in cells of a map of ``size`` over a photograph, both (height, width)."""
    return fixations.y_px * (size[0] / photograph[0]), fixations.x_px * (size[1] / photograph[1])


def centre_bias(counts: np.ndarray, *, sigma: float, uniform_share: float = 0.02) -> np.ndarray:
    """Where people look in *other* images: for each image the smoothed fixations of all but it.

    Args:
        counts: (N, H, W) fixations of each of N >= 2 images (:func:`~ciliary.envs.metrics.gaze.fixation_counts`).
        sigma: of the Gaussian kernel, in cells, >= 0. Of .6, 1, 1.7 and 2.5 degrees 1 tells most of OSIE.
        uniform_share: of a uniform distribution, in (0, 1], so that no place is impossible.

    Returns:
        (N, H, W) distributions > 0.

    Raises:
        ValueError: fewer than two images, or all fixations lie in one.
    """
    if counts.ndim != 3 or len(counts) < 2 or np.count_nonzero(counts.sum((1, 2))) < 2:
        raise ValueError(f"expected counts (N, H, W) with fixations in at least 2 images, got {counts.shape}")
    smooth = np.asarray(gaussian_filter(counts.astype(float), (0, sigma, sigma), mode="constant"))
    others = np.maximum(smooth.sum(0) - smooth, 0)
    others /= others.sum((1, 2), keepdims=True)
    return np.asarray((1 - uniform_share) * others + uniform_share / (counts.shape[1] * counts.shape[2]))


def people_out(
    fixations: Fixations, *, photograph: tuple[int, int], centre: np.ndarray, sigma: float
) -> Iterator[tuple[Fixations, np.ndarray]]:
    """Each person's fixations, and the distribution (H, W) that all the others' make, with a share of the centre bias.

    Args:
        fixations: of one image, of two people or more.
        photograph: (height, width) in px.
        centre: (H, W) distribution of the centre bias; its size is that of the answer.
        sigma: of the Gaussian kernel, in cells.
    """
    size = (centre.shape[0], centre.shape[1])
    for subject in fixations.subjects:
        y, x = scaled(fixations.without(subject), photograph=photograph, size=size)
        density = fixation_density(y, x, size=size, sigma=sigma)
        yield fixations.of(subject), (1 - PEOPLE_CENTRE_SHARE) * density + PEOPLE_CENTRE_SHARE * centre


def people_scores(
    fixations: Fixations,
    *,
    photograph: tuple[int, int],
    centre: np.ndarray,
    sigma: float,
    others: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, float]:
    """The ceiling: every metric of each of :func:`people_out` at that person's own fixations, the mean over people.

    ``centre`` is the baseline of the information gain. KL, CC and SIM compare with one person's few fixations here:
    they are no ceiling for maps that are compared with everybody's. Arguments as there, ``others`` as
    :meth:`~ciliary.envs.metrics.gaze.Gazed.of`.
    """
    size = (centre.shape[0], centre.shape[1])
    rows = []
    for own, density in people_out(fixations, photograph=photograph, centre=centre, sigma=sigma):
        y, x = scaled(own, photograph=photograph, size=size)
        rows.append(gaze_scores(Gazed.of(density, y, x, others=others, baseline=centre, sigma=sigma)))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def all_counts(fixations: tuple[Fixations, ...], *, photograph: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(N, H, W) :func:`~ciliary.envs.metrics.gaze.fixation_counts` of N images of one size."""
    return np.stack([fixation_counts(*scaled(one, photograph=photograph, size=size), size=size) for one in fixations])
