"""Naming from a few examples: every proto-object votes, or nearest class mean, or a linear head.

An image is a set of unit vectors with weights (:class:`~ciliary.tuning.benchmarks.tokens.Features`); a global vector is
a set of one. ``support`` are the images of the training half that serve as examples. Scores are higher for likelier
classes; how sure to be of them is fitted on images left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from ciliary.tuning.benchmarks.episodes import Episode
from ciliary.tuning.benchmarks.tokens import Features, unit

VOTES, PROTOTYPE, LINEAR = "votes", "prototype", "linear"
MATCHED = "matched"  # of official runs alone: every pair of images is compared
CLASSIFIERS = (VOTES, PROTOTYPE, LINEAR)
Key = TypeVar("Key", bound=Hashable)
_BAND = 2048  # vectors compared with all examples at once
# Of the largest entry of the gradient: among 1280 numbers each has little to say, and 1e-3 stops before the first step.
_TOLERANCE = 1e-6
_INVERSE_PENALTY = 10.0  # C of the linear head: examples are few but of length 1, so that C = 1 hardly learns


def best_matches(targets: Features, train: Features) -> np.ndarray:
    """(M, N): cosine of each of the targets' M vectors with its best match in each of the N training images."""
    found = np.empty((len(targets.vectors), len(train)), np.float32)
    for start in range(0, len(found), _BAND):
        cosine = targets.vectors[start : start + _BAND] @ train.vectors.T
        found[start : start + _BAND] = np.maximum.reduceat(cosine, train.starts, axis=1)
    return found


def votes(
    matches: np.ndarray, targets: Features, support: np.ndarray, labels: np.ndarray, n_classes: int
) -> np.ndarray:
    """Each proto-object's best cosine match among a class's examples, summed with M5's weights.

    Naive-Bayes nearest neighbour (Boiman, Shechtman & Irani 2008): the image's distance to a class is the sum over its
    parts of the distance to the nearest part of *any* example; between unit vectors it is 2 - 2 cosine.

    Args:
        matches: of :func:`best_matches`.
        targets: the images to name.
        support: training images that are the examples.
        labels: of all training images.
        n_classes: C.

    Returns:
        (N, C) in [-1, 1].
    """
    order = support[np.argsort(labels[support], kind="stable")]
    starts = np.searchsorted(labels[order], np.arange(n_classes))
    return targets.image_sums(np.maximum.reduceat(matches[:, order], starts, axis=1))


def matched(train: Features, targets: Features, one: Episode, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """How well each image and its likeliest example find their vectors in each other, (N, C); 0 where not asked.

    Both ways, as a chamfer or Hausdorff distance is: the mean over the image's vectors of the best cosine in the
    example, and over the example's in the image; :func:`votes` goes one way only.
    """
    scores = np.zeros((len(targets), n_classes), np.float32)
    asked, example = targets.of(one.query), train.of(one.support)
    cosine = asked.vectors @ example.vectors.T
    there = asked.image_sums(np.maximum.reduceat(cosine, example.starts, axis=1))
    back = example.image_sums(np.maximum.reduceat(cosine, asked.starts, axis=0).T).T
    for name in range(n_classes):
        scores[one.query, name] = ((there + back) / 2)[:, labels[one.support] == name].max(1)
    return scores


def prototypes(
    train: Features, targets: Features, support: np.ndarray, labels: np.ndarray, n_classes: int
) -> np.ndarray:
    """Cosine (N, C) of each image's mean vector with the mean of each class's examples (Snell et al. 2017)."""
    is_of_class = (labels[support] == np.arange(n_classes)[:, None]).astype(np.float32)
    return np.asarray(targets.means @ unit(is_of_class @ train.means[support]).T)


def fit_head(train: Features, support: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """Multinomial logistic regression on the examples' vectors, each counting by its weight."""
    rows = train.rows(support)
    head = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000, tol=_TOLERANCE)
    return head.fit(train.vectors[rows], labels[train.image[rows]], sample_weight=train.weight[rows])


def head_scores(head: LogisticRegression, targets: Features) -> np.ndarray:
    """(N, C): weighted mean over each image's vectors of their log-probabilities."""
    decision = targets.vectors @ head.coef_.T.astype(np.float32) + head.intercept_.astype(np.float32)
    if decision.shape[1] == 1:  # two classes have one decision
        decision = np.concatenate([-decision, decision], 1) / 2
    return targets.image_sums(log_softmax(decision, axis=1))


def name_all(
    classifier: str,
    train: Features,
    labels: np.ndarray,
    targets: Mapping[Key, Features],
    episodes: Sequence[Episode],
    n_classes: int,
) -> Iterator[tuple[Key, np.ndarray]]:
    """Scores (E, N, C) of E episodes for each set of images to name, set after set.

    Args:
        classifier: one of :data:`CLASSIFIERS`, or ``MATCHED``, which answers for the images each episode asks for.
        train: training images, of which each episode names its support.
        labels: of all training images.
        targets: sets of images to name.
        episodes: what serves as examples.
        n_classes: C; each support has all of them.

    Raises:
        ValueError: an unknown classifier.
    """
    if classifier not in (*CLASSIFIERS, MATCHED):
        raise ValueError(f"no classifier {classifier!r}; choose from {', '.join(CLASSIFIERS)}")
    heads = [fit_head(train, one.support, labels) for one in episodes] if classifier == LINEAR else []
    for name, images in targets.items():
        if classifier == LINEAR:
            scores = [head_scores(head, images) for head in heads]
        elif classifier == MATCHED:
            scores = [matched(train, images, one, labels, n_classes) for one in episodes]
        elif classifier == VOTES:
            matches = best_matches(images, train)
            scores = [votes(matches, images, one.support, labels, n_classes) for one in episodes]
        else:
            scores = [prototypes(train, images, one.support, labels, n_classes) for one in episodes]
        yield name, np.stack(scores)


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
    return np.asarray(softmax(scores / temperature, axis=1).max(1))


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
