"""What is usual: against scipy's Gaussian, from a file and back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ciliary.envs.observation import STATISTICS
from ciliary.tuning.fluency.typicality import fit, load, reference_of, shipped, to_bytes

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1, 2, 3], [[1, 0.8, 0], [0.8, 1, 0], [0, 0, 4]], 400)
    return fit(x, NAMES, {"cortex": "cortex", "size_px": 64})


def test_surprise_is_the_gaussian_s(reference):
    covariance = np.linalg.inv(reference.precision)
    x = np.array([[1.0, 2.0, 3.0], [4.0, -1.0, 0.0]])
    z = (x - reference.mean) / reference.scale
    expected = -multivariate_normal([0, 0, 0], covariance).logpdf(z) / 3
    np.testing.assert_allclose(reference.surprise(x), expected, rtol=1e-9)


def test_what_breaks_a_correlation_is_more_surprising(reference):
    along, across = reference.surprise(np.array([[2.0, 3.0, 3.0], [2.0, 1.0, 3.0]]))
    assert across > along + 1


def test_from_a_file_and_back(reference, tmp_path):
    path = tmp_path / "usual.safetensors"
    path.write_bytes(to_bytes(reference))
    again = load(path)
    np.testing.assert_array_equal(again.precision, reference.precision)
    assert (again.names, again.size_px, again.about["n_images"], again.log_det) == (NAMES, 64, 400, reference.log_det)


def test_a_statistic_that_all_share_says_nothing():
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[:, 1] = 0.5
    found = fit(x, NAMES, {})
    other = x.copy()
    other[:, 1] = 0.7
    np.testing.assert_array_equal(found.surprise(other), found.surprise(x))
    np.testing.assert_allclose(found.surprise(x), fit(x[:, [0, 2]], ("a", "c"), {}).surprise(x[:, [0, 2]]))
    with pytest.raises(ValueError, match="differ"):
        fit(np.ones((40, 3)), NAMES, {})


@pytest.mark.parametrize("x", [np.zeros((5, 3)), np.zeros((40, 2)), np.full((40, 3), np.nan)])
def test_what_is_refused(x):
    with pytest.raises(ValueError, match="expected"):
        fit(x, NAMES, {})


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="ciliary train typicality"):
        load(tmp_path / "none")
    (tmp_path / "x").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="no reference"):
        load(tmp_path / "x")


@pytest.mark.parametrize("cortex", ["cortex", "cortex-contours"])
def test_what_comes_along(cortex):
    found = reference_of(cortex)
    assert found is not None
    assert found.names == STATISTICS
    assert found.about["cortex"] == cortex
    np.testing.assert_allclose(found.precision, found.precision.T)
    with pytest.raises(ValueError, match="made for"):
        reference_of("another", shipped(cortex))


def test_a_cortex_without_a_reference_is_told():
    said = []
    assert reference_of("another", say=said.append) is None
    assert "another" in said[0]
