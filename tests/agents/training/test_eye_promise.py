"""A promise of places: a line that is found again, and an eye that teaches itself one, the same by the same seed."""

import numpy as np
import pytest

from ciliary.agents.eye.promise import N_FEATURES, PlacePromise, fit_promise
from ciliary.agents.training.eye_promise import learn_promise
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.vector import EyeVectorEnv

SMALL = {"size_px": (64, 96), "width_deg": 10.0, "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}


def test_a_line_is_found_again():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=N_FEATURES)
    features = [np.concatenate([[1.0], row]) for row in rng.normal(size=(4000, N_FEATURES - 1))]
    found = fit_promise(features, [float(weights @ row) for row in features])
    np.testing.assert_allclose(found.weights, weights, atol=1e-3)
    with pytest.raises(ValueError, match="weights"):
        PlacePromise(np.zeros(3))


@pytest.mark.slow
def test_what_it_teaches_itself_is_finite_and_repeats_by_seed():
    scene = planes_scene((2.0, 4.0, 1.0), size_px=(64, 96), px_per_deg=9.6)

    def learned(seed):
        envs = EyeVectorEnv(4, scenes=[scene], patience=99, **SMALL)
        return learn_promise(envs, 2, seed=seed).weights

    first = learned(0)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, learned(0))
    assert not np.array_equal(first, learned(1))
