"""Proto-objects in a plane: what is alike lies together, and what moves is followed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ciliary.cortex.parameters import PARAMETERS
from ciliary.tuning.inspect.embedding import Thing, draw_things, same_things, settings_of, things_of, to_plane


def test_two_clusters_stay_two():
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(0, 1, (15, 8)), rng.normal(12, 1, (15, 8))])
    flat, words = to_plane(vectors, seed=0)
    assert "t-SNE, perplexity 10" in words
    labels = np.arange(30) // 15
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(1)] == labels).all()
    np.testing.assert_array_equal(to_plane(vectors, seed=0)[0], flat)


@pytest.mark.parametrize("n", [2, 5])
def test_of_few_it_is_principal_components(n):
    flat, words = to_plane(np.random.default_rng(0).normal(size=(n, 4)), seed=0)
    assert flat.shape == (n, 2)
    assert words == "two principal components"


def test_the_same_thing_is_what_overlaps_most():
    def thing(image, columns):
        mask = np.zeros((4, 8), bool)
        mask[:, columns] = True
        return Thing(image, np.zeros((2, 2, 3)), mask, {})

    before = [thing("a", slice(0, 4)), thing("a", slice(4, 8)), thing("b", slice(0, 4))]
    after = [thing("a", slice(5, 8)), thing("a", slice(0, 1)), thing("b", slice(0, 5))]
    assert same_things(before, after) == [(1, 0), (2, 2)]


def test_a_plane_an_area(mathematical, learned):
    before, after = things_of(mathematical), things_of(learned)
    assert set(before[0].codes) == {"M4: embedding", "M5: code"}
    figure = draw_things(before, before, seed=0, n_images=1)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["M4: embedding", "M5: code"]
    assert len(after) > 1
    with pytest.raises(ValueError, match="more images"):
        draw_things(before[:1], [], seed=0, n_images=1)


def test_settings_of_a_session(tmp_path):
    rows = [
        {
            "key": {},
            "image": "cat",
            "status": "FINISHED",
            "disturbance": "none",
            "parameters": {"n_regions": 4.0, "own": 1.0},
        },
        {"key": {}, "image": "dog", "status": "FAILED", "disturbance": "none", "parameters": {"n_regions": 5.0}},
        {"key": {}, "image": "cat", "status": "FINISHED", "disturbance": "fog:3", "parameters": {"n_regions": 9.0}},
    ]
    (tmp_path / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = settings_of(tmp_path, PARAMETERS)
    assert list(found) == ["cat"]
    assert float(found["cat"]["n_regions"]) == 4.0
    with pytest.raises(FileNotFoundError, match="folder of a session"):
        settings_of(tmp_path / "nowhere", PARAMETERS)
