"""scikit-learn's own checks of an estimator, those that need no table of numbers, and its tools around ours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from ciliary.tuning.estimator import CiliarySegmenter, image_scores

#: Those of ``check_estimator`` that fit no table (n_samples, n_features); older versions lack some. What the others ask
#: of fitted estimators is asked below, on images.
CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
)


def levels(image: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    return (image.mean(-1) > threshold).astype(np.int64)


def inverted(image: np.ndarray, *, threshold: float = 0.9) -> np.ndarray:
    """Never right: all is below."""
    return (image.mean(-1) > 10 * threshold).astype(np.int64)


@pytest.fixture(scope="module")
def data():
    images, labels = [], []
    for i in range(4):
        drawn = np.zeros((36 + 2 * i, 40), int)
        drawn[10:30, 8:24] = 3
        images.append(np.where(drawn > 0, 0.8, 0.62))
        labels.append(drawn)
    return images, labels


def quick(**parameters) -> CiliarySegmenter:
    return CiliarySegmenter(**{"perceiver": levels, "size_px": 48, "n_candidates": 8, "n_looks": 1} | parameters)


@pytest.mark.parametrize("name", [name for name in CHECKS if hasattr(estimator_checks, name)])
def test_it_passes(name):
    getattr(estimator_checks, name)("CiliarySegmenter", CiliarySegmenter())


def test_fitting_sets_attributes_with_an_underscore_and_no_parameter(data):
    images, labels = data
    made = quick()
    before, names = made.get_params(), set(vars(made))
    assert made.fit(images, labels) is made
    assert made.get_params() == before
    added = set(vars(made)) - names
    assert {"looks_", "settings_", "scores_", "seed_"} <= added
    assert all(name.startswith("_") or name.endswith("_") for name in added)
    held = dict(vars(made))
    made.predict(images[:1])
    assert vars(made) == held
    assert set(vars(clone(made))) == names


def test_it_is_cross_validated_with_images_of_several_sizes(data):
    images, labels = data
    scores = cross_val_score(quick(), images, labels, cv=2)
    assert scores == pytest.approx([1, 1], abs=0.05)
    found = cross_val_predict(quick(), images, labels, cv=KFold(2))
    assert [one.shape for one in found] == [one.shape for one in images]
    assert image_scores(labels, found).mean() == pytest.approx(scores.mean(), abs=1e-6)

    def rand(true, predicted):
        return np.mean([adjusted_rand_score(t.ravel(), p.ravel()) for t, p in zip(true, predicted, strict=True)])

    assert cross_val_score(quick(), images, labels, cv=2, scoring=make_scorer(rand)).mean() > 0.9


def test_a_grid_search_finds_the_perceiver_that_sees(data):
    search = GridSearchCV(quick(), {"perceiver": [inverted, levels]}, cv=2)
    search.fit(*data)
    assert search.best_params_["perceiver"] is levels
    one, other = search.cv_results_["mean_test_score"]
    assert one < 0.8 < 0.95 < other
    assert search.predict(data[0][:1])[0].shape == data[0][0].shape


def test_in_a_pipeline_images_are_changed_first(data):
    images, labels = data
    rng = np.random.default_rng(0)
    noisy = [np.clip(one + 0.2 * rng.standard_normal(one.shape), 0, 1) for one in images]

    def smoothed(given):
        return [gaussian_filter(one, 1.5) for one in given]

    pipeline = make_pipeline(FunctionTransformer(smoothed), quick())
    piped = pipeline.fit(noisy, labels).score(noisy, labels)
    assert piped > quick().fit(noisy, labels).score(noisy, labels) + 0.1
    assert pipeline[-1].settings_[0].keys() >= {"threshold", "glance_scale"}
