"""Region scores: by hand, against independent libraries, and what must hold for any maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.metrics import variation_of_information as skimage_voi
from sklearn.metrics import rand_score

from ciliary.envs.metrics.regions import METRICS, Metric, People, region_covering, region_scores, weighted_covering
from ciliary_tests.hierarchy import cut_regions, summarise_regions


def score(name: str, labels: np.ndarray, people: list[np.ndarray]) -> float:
    return region_scores(labels, people)[name]


HALVES = np.array([[0, 0, 1, 1]] * 2)


@st.composite
def drawn_maps(draw, n_maps: int) -> list[np.ndarray]:
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9))
    kinds = arrays(np.int16, shape, elements=st.integers(-2, 4))
    return [draw(kinds) for _ in range(n_maps)]


def covering_by_sets(labels: np.ndarray, truth: np.ndarray) -> float:
    ours = [set(np.flatnonzero(labels == one)) for one in np.unique(labels)]
    theirs = [set(np.flatnonzero(truth == one)) for one in np.unique(truth)]
    return sum(len(t) * max(len(t & o) / len(t | o) for o in ours) for t in theirs) / truth.size


def test_covering_by_hand():
    assert region_covering(HALVES, [HALVES]) == 1
    assert region_covering(np.zeros_like(HALVES), [HALVES]) == 0.5
    assert region_covering(np.array([[0, 0, 0, 1]] * 2), [HALVES]) == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Covering is of people's regions by ours, not the other way round.
    assert region_covering(HALVES, [np.zeros_like(HALVES)]) == 0.5
    assert region_covering(np.array([[0, 1, 2, 2]] * 2), [HALVES]) == pytest.approx((1 / 2 + 1) / 2)


def test_rand_index_and_information_by_hand():
    one_region = np.zeros_like(HALVES)
    assert score("pri", one_region, [HALVES]) == pytest.approx(12 / 28)  # of 28 pairs 16 are apart
    assert score("voi", one_region, [HALVES]) == 1  # one bit: which half
    quarters = np.array([[0, 0, 1, 1], [2, 2, 3, 3]])
    assert score("voi", quarters, [HALVES]) == 1
    assert score("pri", quarters, [HALVES]) == pytest.approx(20 / 28)


def test_people_count_equally():
    scores = region_scores(HALVES, [HALVES, HALVES, np.zeros_like(HALVES)])
    assert scores["covering"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert scores["pri"] == pytest.approx((1 + 1 + 12 / 28) / 3)
    assert scores["voi"] == pytest.approx(1 / 3)


@given(drawn_maps(4))
def test_against_libraries(maps):
    labels, *people = maps
    scores = region_scores(labels, people)
    assert scores["covering"] == pytest.approx(np.mean([covering_by_sets(labels, one) for one in people]))
    assert scores["pri"] == pytest.approx(np.mean([rand_score(one.ravel(), labels.ravel()) for one in people]))
    positive = [one.astype(int) + 2 for one in maps]  # scikit-image wants no negative labels
    expected = np.mean([sum(skimage_voi(one, positive[0])) for one in positive[1:]])
    assert scores["voi"] == pytest.approx(expected, abs=1e-9)


@given(drawn_maps(3), st.permutations(range(7)))
def test_names_of_regions_do_not_matter(maps, names):
    labels, *people = maps
    renamed = np.array(names)[labels + 2] * 1_000_003 - 5  # far apart too
    assert region_scores(renamed, people) == pytest.approx(region_scores(labels, people))
    assert region_scores(labels, [renamed]) == pytest.approx(region_scores(labels, [labels]))


def test_a_metric_is_a_line_of_the_table(monkeypatch):
    """Columns and signs follow from it."""
    from ciliary.tuning.evaluation.measure import score_columns

    missed = Metric("missed", lambda o: float(len(o.label_px)), higher_is_better=False, title="missed", unit="regions")
    monkeypatch.setitem(METRICS, "missed", missed)
    scores = region_scores(HALVES, [HALVES])
    assert scores["missed"] == 2
    assert score_columns(scores) == {"score.covering": 1, "score.pri": 1, "score.voi": 0, "score.missed": -2}
    assert missed.oriented(missed.oriented(3.0)) == 3
    assert missed.described == "missed in regions, lower is better"
    assert [m.higher_is_better for m in METRICS.values()] == [True, True, False, False]


@given(drawn_maps(2))
def test_bounds_and_the_best(maps):
    labels, other = maps
    assert region_scores(labels, [labels, labels]) == {"covering": 1, "pri": 1, "voi": 0}
    scores = region_scores(labels, [other])
    assert 0 < scores["covering"] <= 1
    assert 0 <= scores["pri"] <= 1
    assert 0 <= scores["voi"] <= 2 * np.log2(labels.size)
    assert score("voi", other, [labels]) == pytest.approx(scores["voi"])  # a metric
    assert score("pri", other, [labels]) == pytest.approx(scores["pri"])


@given(drawn_maps(3), st.integers(1, 3))
def test_stride_is_subsampling_and_preparing_changes_nothing(maps, stride):
    labels, *people = maps
    thinned = [one[::stride, ::stride] for one in people]
    expected = region_scores(labels[::stride, ::stride], thinned)
    assert region_scores(labels, people, stride=stride) == expected
    assert region_scores(labels, People.of(people, stride=stride)) == expected


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="resize the labels"):
        region_scores(np.zeros((2, 3), int), [HALVES])
    with pytest.raises(ValueError, match="at least one map"):
        region_scores(HALVES, [])
    with pytest.raises(ValueError, match="of integers"):
        region_scores(HALVES.astype(float), [HALVES])
    with pytest.raises(ValueError, match="stride 2"):
        region_scores(HALVES, People.of([HALVES], stride=2), stride=3)
    with pytest.raises(ValueError, match="at least 1"):
        People.of([HALVES], stride=0)


def test_cutting_a_contour_map_by_hand():
    contours = np.zeros((5, 7))  # 2 x 3 pixels
    contours[:, 2], contours[2, 3:] = 0.3, 0.6
    assert np.unique(cut_regions(contours, 0.1)).size == 3
    np.testing.assert_array_equal(cut_regions(contours, 0.3), [[1, 1, 1], [1, 1, 1]])  # round the contour's end
    contours[2, 2] = contours[2, 1] = contours[2, 0] = 0.6
    np.testing.assert_array_equal(cut_regions(contours, 0.3), [[1, 1, 1], [2, 2, 2]])
    contours[2, 2] = 0.1
    np.testing.assert_array_equal(cut_regions(contours, 0.1), [[1, 1, 1], [1, 1, 1]])  # through the open corner


@given(arrays(float, (3, 4, 3), elements=st.floats(0, 1)), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_own_level_is_never_worse_than_the_common_one(values, n_people):
    scores = [[dict(zip(("covering", "pri", "voi"), row, strict=True)) for row in image] for image in values]
    summary = summarise_regions(scores, [0.2, 0.4, 0.6, 0.8], n_people=n_people)
    assert summary["covering"].ois >= summary["covering"].ods - 1e-12
    assert summary["pri"].ois >= summary["pri"].ods - 1e-12
    assert summary["voi"].ois <= summary["voi"].ods + 1e-12


def test_weighted_covering_is_covering_where_all_places_count_alike():
    rng = np.random.default_rng(3)
    labels, truth = rng.integers(0, 4, (9, 7)), rng.integers(5, 9, (9, 7))
    assert weighted_covering(labels, truth, np.full((9, 7), 0.3)) == pytest.approx(region_covering(labels, [truth]))


def test_weighted_covering_by_hand():
    """Halves against one whole: the left half has three quarters of the weight, the best overlap of either."""
    weight = np.array([[3, 3, 1, 1]] * 2)
    assert weighted_covering(HALVES, np.zeros_like(HALVES), weight) == pytest.approx(0.75)
    assert weighted_covering(HALVES, HALVES, weight) == 1
    assert weighted_covering(np.array([[0, 1, 2, 3]] * 2), HALVES, np.array([[1, 0, 1, 0]] * 2)) == 1
    with pytest.raises(ValueError, match="some above"):
        weighted_covering(HALVES, HALVES, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="one size"):
        weighted_covering(HALVES, HALVES, np.ones((2, 3)))
