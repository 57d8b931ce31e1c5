"""First exam: episodes that do not leak, and shapes that are named far better than by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ciliary.tuning.benchmarks.data import ReadSettings, read_named
from ciliary.tuning.benchmarks.episodes import Episode, draw_episodes, most_shots, unit_accuracy
from ciliary.tuning.benchmarks.few_shot import few_shot, possible_shots
from ciliary.tuning.benchmarks.perceive import Eye, Look
from ciliary.tuning.benchmarks.pictures import Pictures
from ciliary.tuning.benchmarks.representations import (
    CELLS,
    FIGURE,
    GLOBAL,
    LEARNED,
    MATHEMATICAL,
    RANDOM,
    WORDS,
    representations,
)
from ciliary_tests.shapes import write_runs


@pytest.fixture(scope="module")
def findings(shapes, seen, eye):
    return few_shot(shapes, *seen, representations(eye.look), shots=[1, 3, 20], n_episodes=6, seed=0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return read_named(write_runs(tmp_path_factory.mktemp("runs") / "all_runs.zip"), ReadSettings(size_px=48))


def result(findings, representation, classifier, shots):
    (found,) = [
        one
        for one in findings.numbers["results"]
        if (one["representation"], one["classifier"], one["shots"]) == (representation, classifier, shots)
    ]
    return found


def test_proto_objects_name_shapes_far_better_than_chance(findings):
    assert findings.numbers["chance"] == pytest.approx(1 / 3)
    for classifier in ("votes", "prototype", "linear"):
        for representation in (MATHEMATICAL, RANDOM):
            assert result(findings, representation, classifier, 3)["accuracy"]["mean"] > 0.75
    one, three = (result(findings, MATHEMATICAL, "votes", n)["accuracy"]["mean"] for n in (1, 3))
    assert three >= one - 0.05
    assert one > 0.6


def test_what_is_told(findings):
    assert findings.notes == ("no 20 examples of each class: one has only 6",)
    named, gains, explained = findings.tables
    assert named.columns == ("named by", "classifier", "1-shot", "ECE 1", "3-shot", "ECE 3")
    assert len(named.rows) == 3 * 3 + 2  # votes of a single vector would be nearest neighbours
    assert (GLOBAL, "votes") not in {row[:2] for row in named.rows}
    assert f"{LEARNED} − {MATHEMATICAL}" in {row[0] for row in gains.rows}
    assert dict(explained.rows)[LEARNED] == WORDS[LEARNED]
    assert len(result(findings, LEARNED, "linear", 1)["episodes"]) == 6
    for one in findings.numbers["results"]:
        assert np.mean(one["episodes"]) == pytest.approx(one["accuracy"]["mean"], abs=1e-5)
        assert 0 <= one["calibration_error"] <= 1


def test_the_same_seed_the_same_answers(findings, shapes, seen, eye):
    found = {LEARNED: representations(eye.look)[LEARNED]}
    again = few_shot(shapes, *seen, found, shots=[1, 3], n_episodes=6, seed=0)
    other = few_shot(shapes, *seen, found, shots=[1, 3], n_episodes=6, seed=1)
    assert result(again, LEARNED, "votes", 3) == result(findings, LEARNED, "votes", 3)
    assert result(other, LEARNED, "votes", 1)["episodes"] != result(findings, LEARNED, "votes", 1)["episodes"]


def test_episodes_do_not_leak(shapes):
    few, more = (draw_episodes(shapes, n, 4, seed=3) for n in (1, 4))
    for small, large in zip(few, more, strict=True):
        for n, one in ((1, small), (4, large)):
            assert np.bincount(shapes.train.labels[one.support]).tolist() == [n] * 3
            assert not set(one.support) & set(one.validation)
            assert np.array_equal(one.query, np.arange(12))
        assert np.bincount(shapes.train.labels[small.validation]).tolist() == [5] * 3
        assert np.bincount(shapes.train.labels[large.validation]).tolist() == [2] * 3  # all that is left
        assert set(small.support) < set(large.support)
    assert len({tuple(one.support) for one in few}) > 1


def test_all_training_images_as_examples_leave_none_to_calibrate_on(shapes):
    (one,) = draw_episodes(shapes, 6, 1, seed=0)
    assert np.array_equal(one.support, np.arange(18))
    assert not len(one.validation)


def test_runs_are_episodes_of_their_own(runs):
    first, second = draw_episodes(runs, 1, 99, seed=0)
    assert first.support.tolist() == first.query.tolist() == [0, 1, 2]
    assert second.support.tolist() == second.query.tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="its runs have 1 example"):
        draw_episodes(runs, 5, 1, seed=0)
    assert possible_shots(runs, [1, 5]) == ([1], ("official runs: 1 example of each class, no others",))
    assert possible_shots(runs, [1]) == ([1], ())


def test_naming_of_runs(runs):
    look = Look(n_tokens=8, curvature=True)
    eye = Eye(look)
    tokens = [eye.perceive(half.images) for half in (runs.train, runs.test)]
    found = few_shot(runs, *tokens, representations(look, has_runs=True), shots=[1], n_episodes=1, seed=0)
    assert LEARNED not in {one["representation"] for one in found.numbers["results"]}
    assert len(result(found, MATHEMATICAL, "votes", 1)["episodes"]) == 2
    assert result(found, MATHEMATICAL, "votes", 1)["calibration_error"] is None
    assert "official runs" in found.about["episodes"]
    assert "runs" in found.about["intervals"]
    # One, two or three upright strokes: V4 tells them, by the whole figure and place by place.
    assert result(found, FIGURE, "prototype", 1)["accuracy"]["mean"] == 1
    assert result(found, CELLS, "matched", 1)["accuracy"]["mean"] == 1
    assert {row[0] for row in found.tables[0].rows} >= {"pixels", "modified Hausdorff distance"}
    assert {row[0] for row in found.tables[-1].rows} == {row[0] for row in found.tables[0].rows}


def test_unit_accuracy_by_hand(shapes, runs):
    """Two draws name 12 images; the first always says 0, the second the truth."""
    truth = shapes.test.labels
    scores = np.stack([np.eye(3)[np.zeros(12, int)], np.eye(3)[truth]])
    every = [Episode(np.arange(3), np.arange(0), np.arange(12))] * 2
    assert unit_accuracy(scores, shapes, every).tolist() == [1.0 if label == 0 else 0.5 for label in truth]
    own = draw_episodes(runs, 1, 1, seed=0)
    right = np.eye(3)[runs.test.labels]
    scores = np.stack([np.roll(right, 1, 1), right])
    assert unit_accuracy(scores, runs, own).tolist() == [0, 1]  # what a run says of another run's images is not heard


@pytest.mark.parametrize(("shots", "n_episodes"), [(0, 1), (7, 1), (1, 0)])
def test_episodes_that_cannot_be(shapes, shots, n_episodes):
    assert most_shots(shapes) == 6
    with pytest.raises(ValueError, match=r"expected n_shots|has only 6"):
        draw_episodes(shapes, shots, n_episodes, seed=0)


def test_no_number_of_examples_is_left(shapes):
    with pytest.raises(ValueError, match="has only 6"):
        possible_shots(shapes, [10, 20])


@pytest.mark.slow
def test_characters_are_named_by_v4(data_root):
    """Three of Omniglot's official runs: the figure's curvature, matched, names most; M5's codes do not."""
    folder = data_root / "omniglot_small"
    if not folder.exists():
        pytest.skip("no Omniglot here")
    whole = read_named(folder)
    halves = [
        Pictures(half.images[half.task < 3], half.labels[half.task < 3], half.task[half.task < 3])
        for half in (whole.train, whole.test)
    ]
    named = replace(whole, train=halves[0], test=halves[1])
    look = Look(curvature=True)
    tokens = [Eye(look).perceive(half.images) for half in halves]
    found = few_shot(named, *tokens, representations(look, has_runs=True), shots=[1], n_episodes=1, seed=0)
    assert result(found, CELLS, "matched", 1)["accuracy"]["mean"] >= 0.6
    assert result(found, FIGURE, "prototype", 1)["accuracy"]["mean"] >= 0.6
    assert result(found, MATHEMATICAL, "votes", 1)["accuracy"]["mean"] < 0.5
