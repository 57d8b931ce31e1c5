"""What images are named by: sizes, lengths, and that each is what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ciliary.cortex.stages.m5_learned import N_CODE
from ciliary.cortex.stages.m5_recognition import recognise
from ciliary.tuning.benchmarks.perceive import Look
from ciliary.tuning.benchmarks.representations import (
    BOTH,
    CELLS,
    CURVES,
    DEEP,
    FIGURE,
    GLOBAL,
    GLOBAL_DEEP,
    LEARNED,
    MATHEMATICAL,
    PLACES,
    RANDOM,
    SHAPED,
    WORDS,
    representations,
)


@pytest.fixture(scope="module")
def deep(seen):
    """Tokens with deep features, though of no backbone."""
    n, t = seen[1].weight.shape
    rng = np.random.default_rng(0)
    return replace(seen[1], pooled=rng.random((n, t, 7)).astype(np.float16), deep=rng.random((n, 7)))


def test_all_there_is():
    assert set(representations(Look())) == {MATHEMATICAL, RANDOM, GLOBAL}
    assert set(representations(Look(("m2",)))) == {MATHEMATICAL, RANDOM, GLOBAL}
    every = Look(("m5",), deep="efficientnet_lite0", curvature=True)
    assert set(representations(every, has_runs=True)) == set(WORDS)
    assert set(representations(every)) == set(WORDS) - {CELLS}


def test_v4_is_what_it_says(seen):
    rng = np.random.default_rng(1)
    (n, t), p = seen[1].weight.shape, len(PLACES)
    figure = rng.random((n, p, 5)).astype(np.float16)
    figure[0, 1:] = 0  # one place answers
    tokens = replace(seen[1], curves=rng.random((n, t, 9)).astype(np.float16), figure=figure)
    found = {name: f(tokens) for name, f in representations(Look(curvature=True), has_runs=True).items()}
    assert found[CURVES].vectors.shape[1] == 9
    assert found[SHAPED].vectors.shape[1] == 9 + found[MATHEMATICAL].vectors.shape[1]
    assert found[FIGURE].vectors.shape == (n, p * 5)
    cells = found[CELLS]
    assert len(cells.of(np.array([0])).vectors) == 1
    assert np.allclose(np.add.reduceat(cells.weight, cells.starts), 1, atol=1e-5)
    what, where = cells.vectors[:, :5], cells.vectors[:, 5:]
    assert np.allclose((what**2).sum(1), 0.5, atol=1e-5)
    # Of two places far apart nothing is left of the place's half; of neighbours much is.
    own = cells.of(np.array([1]))
    place = own.vectors[:, 5:]
    assert len(own.vectors) == p
    assert place[0] @ place[-1] < 1e-3
    assert 0.3 < place[0] @ place[1] < 0.5
    assert np.allclose((where**2).sum(1), 0.5, atol=1e-5)


def test_each_is_of_length_1_and_weighs_1(deep):
    for name, representation in representations(Look(("m5",), deep="efficientnet_lite0")).items():
        features = representation(deep)
        assert len(features) == len(deep), name
        assert np.allclose(np.linalg.norm(features.vectors, axis=1), 1, atol=1e-5), name
        assert np.allclose(np.add.reduceat(features.weight, features.starts), 1, atol=1e-5), name
        assert (len(features.vectors) == len(deep)) == (name in (GLOBAL, GLOBAL_DEEP)), name


def test_they_are_what_they_say(deep):
    found = {name: f(deep) for name, f in representations(Look(("m5",), deep="efficientnet_lite0")).items()}
    first = deep.weight[0].argmax()
    assert np.allclose(found[LEARNED].vectors[0], deep.code[0, first], atol=1e-5)
    own = recognise(torch.from_numpy(deep.description), torch.from_numpy(deep.weight)).code.numpy()
    assert np.allclose(found[MATHEMATICAL].vectors[0], own[0, first], atol=1e-5)
    assert found[RANDOM].vectors.shape[1] == found[LEARNED].vectors.shape[1] == N_CODE
    both = found[BOTH].vectors
    assert np.allclose(both[:, :N_CODE], found[LEARNED].vectors / np.sqrt(2), atol=1e-5)
    assert np.allclose(both[:, N_CODE:], found[DEEP].vectors / np.sqrt(2), atol=1e-5)
    assert np.allclose(found[GLOBAL_DEEP].vectors, deep.deep / np.linalg.norm(deep.deep, axis=1)[:, None], atol=1e-5)


def test_an_image_of_one_object_is_its_object(seen):
    tokens = seen[1]
    alone = replace(
        tokens,
        description=tokens.description[:, :1],
        weight=np.ones_like(tokens.weight[:, :1]),
        code=tokens.code[:, :1],
    )
    found = {name: f(alone) for name, f in representations(Look()).items()}
    assert np.allclose(found[GLOBAL].vectors, found[MATHEMATICAL].vectors, atol=1e-5)


def test_deep_features_that_are_not_there(seen):
    with pytest.raises(ValueError, match="perceive with a deep backbone"):
        representations(Look(deep="efficientnet_lite0"))[DEEP](seen[1])
