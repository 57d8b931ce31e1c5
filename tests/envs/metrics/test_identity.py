"""Identity over frames: counted by hand, and by an independent package of the field's metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ciliary.envs.metrics.identity import UNKNOWN, count_identities, same_things, true_tracks


def arrays(*rows):
    return [np.array(row, dtype=int) for row in rows]


def test_more_than_half_in_common_is_the_same_thing():
    shared = np.array([[60.0, 0.0], [20.0, 50.0]])
    # 60 of 80 + 80 - 60, 50 of 70 + 50 - 50; the crumb of 20 is neither.
    assert same_things(shared, np.array([80.0, 70.0]), np.array([80.0, 50.0])).tolist() == [0, 1]
    # 40 of 60 + 60 - 40 = a half: not more.
    assert same_things(np.array([[40.0]]), np.array([60.0]), np.array([60.0])).tolist() == [UNKNOWN]
    assert same_things(np.zeros((0, 2)), np.zeros(0), np.ones(2)).tolist() == [UNKNOWN, UNKNOWN]
    with pytest.raises(ValueError, match="two things"):
        same_things(shared, np.ones(2), np.ones(2), least=0.4)


def test_a_thing_that_was_away_is_the_same_when_it_is_back():
    no = [UNKNOWN]
    links = {(0, 1): np.array([0]), (0, 2): np.array([0, 1]), (1, 2): np.array([0, *no])}
    assert [x.tolist() for x in true_tracks([2, 1, 2], links, max_gap=2)] == [[0, 1], [0], [0, 1]]
    assert [x.tolist() for x in true_tracks([2, 1, 2], links, max_gap=1)] == [[0, 1], [0], [0, 2]]


def test_no_thing_is_in_one_frame_twice():
    links = {(0, 1): np.array([0]), (0, 2): np.array([UNKNOWN, 0]), (1, 2): np.array([0, UNKNOWN])}
    assert [x.tolist() for x in true_tracks([1, 1, 2], links, max_gap=2)] == [[0], [0], [0, 1]]


def test_mistakes_are_counted_by_hand():
    true = arrays([0, 1], [0, 1], [0, 1], [0, 1, 2])
    # 0 and 1 change names in the second frame and stay so; in the last one 1 has a new name; 2 is seen only once.
    told = arrays([5, 6], [6, 5], [6, 5], [6, 9, 7])
    counts = count_identities(true, told)
    assert counts.n_objects.tolist() == [2, 2, 2]
    assert counts.n_switched.tolist() == [2, 0, 0]
    assert counts.n_lost.tolist() == [0, 0, 1]
    assert counts.n_seen.tolist() == [4, 4]
    assert sorted(counts.n_right.tolist()) == [2, 3]
    assert counts.idf1 == pytest.approx(5 / 8)
    assert counts.mota == pytest.approx(1 - 3 / 8)


def test_right_names_are_right_whatever_they_are_called():
    true = arrays([0, 1, 2], [2, 0], [1, 2, 0])
    counts = count_identities(true, [np.array([40, 50, 60])[x] for x in true])
    assert counts.n_switched.sum() == counts.n_lost.sum() == 0
    assert counts.idf1 == counts.mota == 1


def test_without_a_name_a_thing_is_lost_and_one_name_for_all_is_right_for_one():
    counts = count_identities(arrays([0], [0], [0]), arrays([3], [UNKNOWN], [3]))
    assert counts.n_lost.tolist() == [1, 0]
    assert counts.n_switched.tolist() == [0, 1]
    counts = count_identities(arrays([0, 1], [0, 1]), arrays([3, 3], [3, 3]))
    assert counts.idf1 == pytest.approx(1 / 2)


def test_nothing_to_tell():
    counts = count_identities(arrays([0], [1]), arrays([0], [0]))
    assert math.isnan(counts.idf1)
    assert math.isnan(counts.mota)
    with pytest.raises(ValueError, match="a name for each segment"):
        count_identities(arrays([0]), arrays([0, 1]))


def test_another_package_counts_the_same():
    motmetrics = pytest.importorskip("motmetrics", reason="the referee is not installed: pip install motmetrics")
    rng = np.random.default_rng(3)
    true, told = [], []
    for _ in range(12):
        things = rng.permutation(6)[: rng.integers(3, 7)]
        true.append(things)
        told.append(np.where(rng.random(len(things)) < 0.25, rng.permutation(9)[: len(things)], things))
        told[-1] = np.array([name if list(told[-1]).count(name) == 1 else 20 + i for i, name in enumerate(told[-1])])
    referee = motmetrics.MOTAccumulator(auto_id=True)
    for things, names in zip(true, told, strict=True):
        # Each segment lies on its own thing, and on no other.
        referee.update(things, names, np.where(np.eye(len(things), dtype=bool), 0.0, np.nan))
    asked = ["idf1", "mota", "num_switches", "num_objects"]
    said = motmetrics.metrics.create().compute(referee, metrics=asked, name="all").loc["all"]
    counts = count_identities(true, told)
    assert counts.n_seen.sum() == said["num_objects"]
    assert counts.n_switched.sum() + counts.n_lost.sum() == said["num_switches"]
    assert counts.idf1 == pytest.approx(said["idf1"])
    assert counts.mota == pytest.approx(said["mota"])
