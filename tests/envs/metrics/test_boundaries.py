"""Boundary matching and its summary: by hand, against SciPy's own matching, and what must hold for any counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ciliary.envs.metrics.boundaries import (
    Counts,
    boundary_counts,
    label_boundaries,
    match_boundaries,
    summarise,
)
from ciliary.envs.metrics.matching import match_pixels

SMALL_MAPS = arrays(bool, (9, 8), elements=st.booleans())


def line(column: int, size: tuple[int, int] = (20, 20)) -> np.ndarray:
    drawn = np.zeros(size, bool)
    drawn[:, column] = True
    return drawn


def dots(*columns: int) -> np.ndarray:
    drawn = np.zeros((3, 12), bool)
    drawn[1, list(columns)] = True
    return drawn


def assigned(distance_px: np.ndarray, radius_px: float) -> tuple[int, float]:
    """Number and summed distance of the best pairs, by SciPy's dense solver."""
    cost = np.where(distance_px <= radius_px, distance_px, 1e4)
    pairs = cost[linear_sum_assignment(cost)]
    return int((pairs < 1e4).sum()), float(pairs[pairs < 1e4].sum())


def counts(*rows: tuple[int, int, int, int]) -> Counts:
    return Counts(*np.array(rows).T)


def test_label_boundaries_by_hand():
    labels = np.array([[0, 0, 0, 0], [0, 7, 7, 0], [0, 7, 7, 0], [0, 0, 0, 0]])
    expected = [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(label_boundaries(labels), np.array(expected, bool))
    assert not label_boundaries(np.ones((5, 6), int)).any()


def test_every_border_pixel_pair_is_counted_to_the_rim():
    np.testing.assert_array_equal(label_boundaries(np.array([[1, 2], [1, 2]])), [[True, False], [True, False]])
    np.testing.assert_array_equal(label_boundaries(np.array([[1, 1], [2, 2]])), [[True, True], [False, False]])


def test_a_shift_within_reach_is_forgiven():
    near, far = line(6), line(15)
    found = match_boundaries(line(5), [near, far], max_distance=0.05)  # reach 1.4 px
    assert (found.hit_recall, found.n_recall, found.hit_precision, found.n_precision) == (20, 40, 20, 20)
    assert (found.recall, found.precision, found.f) == (0.5, 1, pytest.approx(2 / 3))
    assert match_boundaries(line(5), [near], max_distance=0.03).f == 0  # reach 0.8 px


def test_matches_are_one_to_one_but_any_person_makes_a_pixel_right():
    assert match_boundaries(dots(4, 6), [dots(5)], max_distance=0.1).precision == 0.5
    assert match_boundaries(dots(5), [dots(4, 6)], max_distance=0.1).recall == 0.5
    both = match_boundaries(dots(4, 6), [dots(4), dots(6)], max_distance=0.1)
    assert (both.hit_precision, both.n_precision, both.hit_recall, both.n_recall) == (2, 2, 2, 2)
    same = match_boundaries(dots(4, 6), [dots(4), dots(4)], max_distance=0.1)
    assert (same.hit_precision, same.n_precision, same.hit_recall, same.n_recall) == (1, 2, 2, 2)


def test_as_many_as_can_be_then_as_close_as_can_be():
    # 5 could take its own place, but then 4 would find none.
    np.testing.assert_array_equal(match_pixels(dots(4, 5), dots(5, 6), radius_px=1), dots(4, 5))
    np.testing.assert_array_equal(match_pixels(dots(4, 5), dots(5), radius_px=1), dots(5))
    np.testing.assert_array_equal(match_pixels(dots(3, 5), dots(6), radius_px=3), dots(5))


@given(st.integers(0, 10**6), st.floats(0.05, 0.7), st.floats(0.05, 0.7), st.sampled_from([0.0, 1.0, 1.5, 2.3, 4.3]))
def test_against_a_dense_assignment(seed, share, share_drawn, radius_px):
    """No match is lost, and no other choice of as many pixels lies closer."""
    noise = np.random.default_rng(seed).random((2, 12, 11))
    predicted, drawn = noise[0] < share, noise[1] < share_drawn
    distance_px = cdist(np.argwhere(predicted), np.argwhere(drawn))
    matched = match_pixels(predicted, drawn, radius_px=radius_px)
    assert not (matched & ~predicted).any()
    n_best, sum_best = assigned(distance_px, radius_px)
    assert matched.sum() == n_best
    n_kept, sum_kept = assigned(distance_px[matched[predicted]], radius_px)
    assert n_kept == n_best
    assert sum_kept == pytest.approx(sum_best, abs=0.005 * n_best + 1e-9)  # distances count in hundredths


@given(SMALL_MAPS)
def test_a_map_matches_itself_and_nothing_matches_nothing(drawn):
    np.testing.assert_array_equal(match_pixels(drawn, drawn, radius_px=2.0), drawn)
    nothing = match_boundaries(np.zeros_like(drawn), [drawn])
    assert (nothing.hit_recall, nothing.hit_precision, nothing.n_precision, nothing.f) == (0, 0, 0, 0)


def test_thick_predictions_are_thinned():
    thick = np.zeros((30, 30), bool)
    thick[4:26, 10:13] = True
    found = match_boundaries(thick, [line(11, (30, 30))], max_distance=0.05)
    assert found.n_precision <= 22
    assert found.precision == 1


def test_counts_at_thresholds_are_those_of_each_cut():
    strength = np.zeros((20, 20))
    strength[:, 5], strength[:, 12] = 0.5, 0.9
    people = [line(5), line(12)]
    found = boundary_counts(strength, people, [0.2, 0.4, 0.5, 0.6, 0.95])
    for index, cut in enumerate([0.2, 0.4, 0.5, 0.6, 0.95]):
        alone = match_boundaries(strength >= cut, people)
        assert found[index].hit_recall == alone.hit_recall
        assert found[index].n_precision == alone.n_precision
    np.testing.assert_array_equal(found.n_precision, [40, 40, 40, 20, 0])
    np.testing.assert_array_equal(found.recall, [1, 1, 1, 0.5, 0])


def test_summary_by_hand():
    found = summarise([counts((10, 10, 10, 20), (5, 10, 10, 10))], [0.25, 0.75])  # (R, P) = (1, .5), (.5, 1)
    assert found.ods == pytest.approx(0.75, abs=1e-4)  # halfway both are .75
    assert found.ods_threshold == pytest.approx(0.5, abs=0.01)
    assert found.ap == pytest.approx(51 * 0.75 / 100)  # recall .50, .51 .. 1
    np.testing.assert_allclose(found.recall, [1, 0.5])
    two = summarise([counts((10, 10, 10, 10), (0, 10, 0, 10)), counts((0, 10, 0, 10), (10, 10, 10, 10))], [0.2, 0.8])
    assert (two.ods, two.ois) == (0.5, 1)


def test_own_thresholds_that_spoil_the_pool_are_not_taken():
    """The first image's own best is precise, the pool would rather have its recall."""
    images = [counts((50, 100, 50, 100), (43, 100, 30, 50)), counts((0, 100, 0, 0), (1, 100, 1, 100))]
    pooled_at_best = images[0][int(np.argmax(images[0].f))] + images[1][int(np.argmax(images[1].f))]
    found = summarise(images, [0.3, 0.6])
    assert pooled_at_best.f < found.ods
    assert found.ois == found.ods


@given(st.data())
def test_own_thresholds_are_never_worse_than_a_common_one(data):
    n_images, n_cuts = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    images = []
    for _ in range(n_images):
        n_recall = np.full(n_cuts, data.draw(st.integers(0, 50)))
        n_precision = data.draw(arrays(int, n_cuts, elements=st.integers(0, 50)))
        shares = data.draw(arrays(float, (2, n_cuts), elements=st.floats(0, 1)))
        hits = np.floor(shares * [n_recall, n_precision]).astype(int)
        images.append(Counts(hits[0], n_recall, hits[1], n_precision))
    found = summarise(images, np.arange(1, n_cuts + 1) / (n_cuts + 1))
    assert 0 <= found.ods <= found.ois <= 1
    assert 0 <= found.ap <= 1.01  # 101 points of .01 each, as the official one sums them


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="at least one person"):
        match_boundaries(line(3), [])
    with pytest.raises(ValueError, match="one size"):
        match_boundaries(line(3), [line(3, (20, 21))])
    with pytest.raises(ValueError, match="rising"):
        boundary_counts(line(3), [line(3)], [0.5, 0.5])
    with pytest.raises(ValueError, match="finite"):
        boundary_counts(np.full((4, 4), np.nan), [np.ones((4, 4), bool)], [0.5])
    with pytest.raises(ValueError, match="expected counts"):
        summarise([counts((1, 1, 1, 1))], [0.2, 0.4])
