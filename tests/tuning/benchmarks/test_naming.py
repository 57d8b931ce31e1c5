"""Naming from a few examples: by hand, against plain loops and scikit-learn, and that it can fail."""

from __future__ import annotations

import numpy as np
import pytest

from ciliary.tuning.benchmarks.episodes import Episode
from ciliary.tuning.benchmarks.naming import (
    CLASSIFIERS,
    MATCHED,
    best_matches,
    fit_head,
    head_scores,
    matched,
    name_all,
    prototypes,
    votes,
)
from ciliary.tuning.benchmarks.tokens import Features, sets, single, unit

NONE = np.empty(0, np.int64)


def random_sets(n, n_tokens=4, n_dims=6, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.dirichlet(np.ones(n_tokens), n)
    return sets(rng.standard_normal((n, n_tokens, n_dims)).astype(np.float32), weight)


def accuracy(classifier, train, labels, test, truth, support=None):
    support = np.arange(len(labels)) if support is None else support
    episode = Episode(support, NONE, np.arange(len(truth)))
    ((_, scores),) = name_all(classifier, train, labels, {"test": test}, [episode], labels.max() + 1)
    return (scores[0].argmax(1) == truth).mean()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_probe_on_identical_features_scores_100_percent(classifier):
    """The seed's probe read features and labels in two shuffles, and scored chance."""
    features, labels = random_sets(12, n_dims=40), np.arange(12) % 6
    assert accuracy(classifier, features, labels, features, labels) == 1


def test_the_head_learns_from_many_examples_of_many_numbers():
    """As deep features of 20 examples a class: with scikit-learn's tolerance too loose it never took a step."""
    vectors = np.random.default_rng(0).standard_normal((200, 10, 1280)).astype(np.float32)
    features, labels = sets(vectors, np.full((200, 10), 0.1)), np.arange(200) % 10
    assert accuracy("linear", features, labels, features, labels) == 1


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_separable_classes_are_learned_and_permuted_labels_are_not(classifier):
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((5, 20)))
    labels, truth = np.arange(50) % 5, np.arange(1000) % 5
    train, test = (
        sets(centres[which][:, None] + 0.1 * rng.standard_normal((len(which), 3, 20)), np.full((len(which), 3), 1 / 3))
        for which in (labels, truth)
    )
    assert accuracy(classifier, train, labels, test, truth) > 0.95
    wrong = [accuracy(classifier, train, rng.permutation(labels), test, truth) for _ in range(20)]
    assert np.mean(wrong) == pytest.approx(1 / 5, abs=0.12)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_only_the_support_is_learned_from(classifier):
    """Labels of training images that are no examples do not matter."""
    train, test = random_sets(20), random_sets(8, seed=1)
    labels = np.arange(20) % 4
    support = np.arange(8)
    episode = Episode(support, NONE, np.arange(8))
    others = labels.copy()
    others[8:] = (others[8:] + 1) % 4
    a, b = (dict(name_all(classifier, train, y, {"t": test}, [episode], 4))["t"] for y in (labels, others))
    assert np.array_equal(a, b)


def test_votes_by_hand():
    """Two examples: A has a red and a grey part, B a green and a grey one. An image of green (0.7) and grey (0.3)."""
    red, green, grey = np.eye(3, dtype=np.float32)
    train = sets(np.stack([[red, grey], [green, grey]]), np.full((2, 2), 0.5))
    test = sets(np.array([[green, grey]]), np.array([[0.7, 0.3]]))
    matches = best_matches(test, train)
    assert matches.tolist() == [[0, 1], [1, 1]]
    scores = votes(matches, test, np.array([0, 1]), np.array([0, 1]), 2)
    assert np.allclose(scores, [[0.3, 1.0]])  # all know grey; only B knows green


def test_votes_against_a_plain_loop():
    train, test = random_sets(15), random_sets(7, seed=1)
    labels = np.random.default_rng(2).permutation(np.arange(15) % 3)
    support = np.array([0, 3, 4, 7, 9, 11, 12, 14])
    found = votes(best_matches(test, train), test, support, labels, 3)
    for n in range(7):
        for c in range(3):
            score = 0.0
            for vector, weight in zip(test.vectors[test.image == n], test.weight[test.image == n], strict=True):
                examples = [
                    v for v, i in zip(train.vectors, train.image, strict=True) if i in support and labels[i] == c
                ]
                score += weight * max(vector @ v for v in examples)
            assert found[n, c] == pytest.approx(score, abs=1e-5)


def test_many_targets_are_compared_in_bands(monkeypatch):
    train, test = random_sets(5), random_sets(6, seed=1)
    whole = best_matches(test, train)
    monkeypatch.setattr("ciliary.tuning.benchmarks.naming._BAND", 5)
    assert np.allclose(best_matches(test, train), whole)


def test_prototypes_by_hand():
    train = single(np.array([[2.0, 0], [0, 3], [0, -1], [1, 1]]))
    test = single(np.array([[5.0, 0], [1, 1]]))
    scores = prototypes(train, test, np.array([0, 1, 3]), np.array([0, 0, 1, 1]), 2)
    half = np.sqrt(0.5)
    assert np.allclose(scores, [[half, half], [1, 1]])  # class 0: between the axes; class 1: its one example


def test_a_set_of_one_is_a_vector():
    vectors = np.random.default_rng(0).standard_normal((6, 4))
    a, b = single(vectors), sets(vectors[:, None], np.ones((6, 1)))
    assert np.array_equal(a.vectors, b.vectors)
    assert np.allclose(a.means, unit(vectors))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_head_weighs_log_probabilities(n_classes):
    train, test = random_sets(12), random_sets(5, seed=1)
    labels = np.arange(12) % n_classes
    head = fit_head(train, np.arange(12), labels)
    scores = head_scores(head, test)
    log_probabilities = head.predict_log_proba(test.vectors)
    for n in range(5):
        own = test.image == n
        assert np.allclose(scores[n], test.weight[own] @ log_probabilities[own], atol=1e-4)


def test_the_head_hears_heavy_objects_more():
    """Two parts that both classes have, but in class 0 the one and in class 1 the other weighs more."""
    parts = np.tile(np.eye(2)[None], (2, 1, 1))
    train = sets(parts, np.array([[0.9, 0.1], [0.1, 0.9]]))
    scores = head_scores(fit_head(train, np.arange(2), np.array([0, 1])), train)
    assert scores.argmax(1).tolist() == [0, 1]


def test_light_objects_are_left_out():
    vectors = np.ones((2, 3, 2))
    features = sets(vectors, np.array([[0.9, 0.099, 0.001], [0.0, 0.0, 0.0]]) + 1e-9)
    assert features.image.tolist() == [0, 0, 1]  # and the heaviest is kept whatever it weighs
    assert features.starts.tolist() == [0, 2]
    assert features.weight.tolist() == pytest.approx([0.9 / 0.999, 0.099 / 0.999, 1])
    assert np.allclose(np.linalg.norm(features.vectors, axis=1), 1)


def test_wrong_usage():
    with pytest.raises(ValueError, match="no classifier 'tarot'"):
        list(name_all("tarot", random_sets(2), np.arange(2), {}, [], 2))
    with pytest.raises(ValueError, match="vectors \\(N, T, D\\)"):
        sets(np.ones((2, 3)), np.ones((2, 3)))


def test_rows_and_sums():
    features = Features(np.eye(3, dtype=np.float32), np.array([0.25, 0.75, 1]), np.array([0, 2]))
    assert features.rows(np.array([1])).tolist() == [False, False, True]
    assert features.image_sums(np.array([[4.0], [8], [3]])).tolist() == [[7], [3]]
    assert np.allclose(features.means[0], np.array([1, 3, 0]) / np.sqrt(10))


def test_matched_both_ways_by_loops():
    """Against plain loops; of one image and its own part, one way is perfect and the other is not."""
    train, targets = random_sets(6, seed=1), random_sets(5, seed=2)
    labels = np.array([0, 1, 2, 0, 1, 2])
    one = Episode(np.array([0, 1, 2, 3]), NONE, np.array([1, 4]))
    scores = matched(train, targets, one, labels, 3)
    for i in range(5):
        for name in range(3):
            best = -np.inf
            for j in one.support[labels[one.support] == name]:
                a, b = targets.of(np.array([i])), train.of(np.array([j]))
                cosine = a.vectors @ b.vectors.T
                best = max(best, (a.weight @ cosine.max(1) + b.weight @ cosine.max(0)) / 2)
            assert scores[i, name] == pytest.approx(best if i in one.query else 0, abs=1e-5)
    whole = sets(np.eye(3, dtype=np.float32)[None], np.full((1, 3), 1 / 3))
    part = sets(np.eye(3, dtype=np.float32)[None, :1], np.ones((1, 1)))
    asked = Episode(np.array([0]), NONE, np.array([0]))
    ((_, found),) = name_all(MATCHED, whole, np.array([0]), {"test": part}, [asked], 1)
    assert found[0, 0, 0] == pytest.approx((1 + 1 / 3) / 2)
