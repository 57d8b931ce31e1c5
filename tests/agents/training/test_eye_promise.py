"""A promise of places: a function that is found, and an eye that teaches itself one, the same by the same seed."""

import numpy as np
import pytest
import torch

from ciliary.agents.eye.promise import N_FEATURES, PlacePromise, fit_promise
from ciliary.agents.training.eye_promise import learn_promise
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.vector import EyeVectorEnv

SMALL = {"size_px": (64, 96), "width_deg": 10.0, "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}


def test_what_is_no_line_is_found_too():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, N_FEATURES)).astype(np.float32)
    values = np.abs(features[:, 0]) + features[:, 1]
    found = fit_promise(list(features[:2500]), list(values[:2500]), seed=0)
    told = found.network(torch.from_numpy(features[2500:])).numpy()
    assert np.square(told - values[2500:]).mean() < 0.1 * values.var()  # a line leaves a quarter


def test_it_is_read_as_it_was_written():
    rng = np.random.default_rng(1)
    found = fit_promise(list(rng.normal(size=(50, N_FEATURES)).astype(np.float32)), list(rng.normal(size=50)), seed=1)
    again, x = PlacePromise.of(found.tensors()), torch.ones(1, N_FEATURES)
    assert torch.equal(again.network(x), found.network(x))
    with pytest.raises(RuntimeError, match="Missing"):
        PlacePromise.of({})


@pytest.mark.slow
def test_what_it_teaches_itself_is_finite_and_repeats_by_seed():
    scene = planes_scene((2.0, 4.0, 1.0), size_px=(64, 96), px_per_deg=9.6)

    def learned(seed):
        envs = EyeVectorEnv(4, scenes=[scene], patience=99, **SMALL)
        return torch.cat([value.flatten() for value in learn_promise(envs, 24, seed=seed).tensors().values()])

    first = learned(0)
    assert first.isfinite().all()
    assert torch.equal(first, learned(0))
    assert not torch.equal(first, learned(1))
