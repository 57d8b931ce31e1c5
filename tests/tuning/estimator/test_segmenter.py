"""The estimator: fitting finds what is right by construction, predicting keeps sizes and sees no labels."""

from __future__ import annotations

import io
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ciliary.agents import make_controller, run_episode
from ciliary.agents.looking import Looking
from ciliary.cortex.perceivers import make_glancing, make_perceiver
from ciliary.envs import AccommodationEnv
from ciliary.envs.metrics.regions import region_scores
from ciliary.envs.objective.chosen_looks import ChosenLooks
from ciliary.envs.objective.panel import draw_panel
from ciliary.tuning.estimator import CiliarySegmenter, image_scores


def levels(image: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    """Two regions, what is brighter and what is not: right for one range of thresholds."""
    return (image.mean(-1) > threshold).astype(np.int64)


def scene(greys: tuple[float, float], size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A bright rectangle on a darker ground, and its labels, whose numbers mean nothing."""
    labels = np.full(size, -7)
    labels[8:-6, 5 : size[1] // 2] = 1000
    noise = 0.01 * np.random.default_rng(seed).standard_normal(size)
    return (np.where(labels > 0, greys[1], greys[0]) + noise).astype(np.float32), labels


def scenes(greys: tuple[float, float], n: int = 3, *, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    images, labels = zip(*(scene(greys, (34 + 3 * i, 40), seed + i) for i in range(n)), strict=True)
    return list(images), list(labels)


BRIGHT, DARK = (0.62, 0.8), (0.2, 0.38)


def segmenter(**parameters) -> CiliarySegmenter:
    return CiliarySegmenter(**{"perceiver": levels, "size_px": 64, "n_candidates": 8, "n_looks": 2} | parameters)


@pytest.fixture(scope="module")
def fitted() -> CiliarySegmenter:
    return segmenter().fit(*scenes(BRIGHT))


@pytest.mark.parametrize("greys", [BRIGHT, DARK])
def test_fitting_finds_the_setting_that_is_right(greys):
    found = segmenter(answer="best", n_looks=1, n_candidates=16).fit(*scenes(greys))
    assert greys[0] + 0.02 < found.settings_[0]["threshold"] < greys[1] - 0.02
    assert found.scores_ == pytest.approx([1.0], abs=0.05)  # at half the size


def test_the_first_look_is_the_one_that_scores_best_alone():
    images, labels = scenes(DARK)
    found = segmenter(answer="best", n_looks=1).fit(images, labels)
    perceiver = make_perceiver(levels)
    u = draw_panel(perceiver, 8)
    thresholds = perceiver.table.by_name(u)["threshold"]
    scores = [
        np.mean([region_scores(levels(np.repeat(x[..., None], 3, 2), threshold=t), [y])["covering"]
                 for x, y in zip(images, labels, strict=True)]) for t in thresholds
    ]  # fmt: skip
    np.testing.assert_allclose(found.looks_.u[0], u[int(np.argmax(scores))], atol=1e-6)


def test_it_predicts_new_images_better_than_unfitted_at_their_own_sizes(fitted):
    images, labels = scenes(BRIGHT, seed=50)
    score = fitted.score(images, labels)
    plain = segmenter().fit(images)  # no labels: nothing is chosen
    assert score > 0.95 > 0.8 > plain.score(images, labels)
    assert plain.scores_ is None
    predicted = fitted.predict(images)
    assert [one.shape for one in predicted] == [one.shape for one in images]
    assert {one.dtype for one in predicted} == {np.dtype(np.int32)}
    assert all(set(np.unique(one)) == set(range(one.max() + 1)) for one in predicted)
    # each image by itself, and in any order
    for i in (2, 0):
        np.testing.assert_array_equal(fitted.predict([images[i]])[0], predicted[i])


def test_numbers_of_labels_mean_nothing_and_labels_are_seen_in_fit_alone(fitted):
    images, labels = scenes(BRIGHT)
    other = segmenter().fit(images, [(one < 0).astype(np.uint8) for one in labels])
    np.testing.assert_array_equal(other.looks_.u, fitted.looks_.u)
    before = fitted.predict(images[:1])[0]
    for one in labels:
        one[:] = 0
    np.testing.assert_array_equal(fitted.predict(images[:1])[0], before)


def test_without_labels_it_answers_as_a_session_does():
    image = scene(BRIGHT, (48, 64))[0]
    found = CiliarySegmenter("felzenszwalb", size_px=64).fit([image]).percepts([image])[0]
    env = AccommodationEnv(
        perceiver=make_glancing("felzenszwalb"), objective="looks", size_px=64, action_mode="absolute", with_looks=True
    )
    trace = run_episode(env, make_controller("panel"), found.trace.seed, options={"image": image}, looking=Looking())
    np.testing.assert_array_equal(found.trace.u, trace.u)
    percept = env.looks.percept if trace.is_integrated else env.percept(trace.u_chosen)
    np.testing.assert_array_equal(found.labels, percept.labels((48, 64))[0])


def test_percepts_tell_boundary_and_doubt(fitted):
    image, labels = scene(BRIGHT, (44, 40), 9)
    found = fitted.percepts([image])[0]
    assert found.labels.shape == found.boundary.shape == found.uncertainty.shape == (44, 40)
    assert 0 <= found.uncertainty.min() <= found.uncertainty.max() <= 1
    edge = np.abs(np.diff(labels, axis=1)) > 0
    beside = np.maximum(found.boundary[:, 1:], found.boundary[:, :-1])
    assert beside[edge].mean() > 0.5 > 0.1 > found.boundary[:, -15:].mean()
    assert found.after.masks.shape[0] == 1
    # one look cannot disagree with itself
    assert segmenter(n_looks=1).fit([image], [labels]).percepts([image])[0].uncertainty.max() == 0
    searched = segmenter(answer="best", n_trials=4).fit([image], [labels]).percepts([image])[0]
    assert searched.uncertainty is None
    assert searched.trace.n_trials == 4


def test_doubt_is_where_looks_differ(fitted):
    """A patch that half of the looks see as ground and half as figure."""
    image, _ = scene((0.3, 0.9), (48, 48))
    image[20:40, 30:44] = 0.6
    u = make_glancing(levels).table.default_unit(2)
    pair = clone(fitted).set_params(use_guard=False).fit([image])
    table = make_glancing(levels).table
    u[1] = table.default_unit(1, threshold=0.7)[0]
    pair.looks_ = ChosenLooks(u.numpy(), table.names, "levels glances")
    doubt = pair.percepts([image])[0].uncertainty
    assert doubt[24:36, 33:41].min() > 0.2 > 0.1 > doubt[2:6, 2:30].mean()


def test_it_is_the_same_again_and_from_a_file(fitted, tmp_path):
    images, labels = scenes(BRIGHT, n=2, seed=70)
    again = clone(fitted).fit(*scenes(BRIGHT))
    np.testing.assert_array_equal(again.looks_.u, fitted.looks_.u)
    file = io.BytesIO()
    joblib.dump(fitted, file)
    assert len(file.getvalue()) < 20_000  # settings, no weights
    file.seek(0)
    loaded = joblib.load(file)
    assert loaded.score(images, labels) == fitted.score(images, labels)
    # the safe file: numbers alone
    fitted.looks_.save(tmp_path / "looks.json")
    given = segmenter(looks=tmp_path / "looks.json", n_looks=None).fit(images)
    np.testing.assert_allclose(given.looks_.u, fitted.looks_.u, atol=1e-6)
    assert given.score(images, labels) == fitted.score(images, labels)
    assert len(segmenter(looks=fitted.looks_, n_looks=1).fit(images, labels).looks_.u) == 1
    with pytest.raises(ValueError, match="looks that were chosen for felzenszwalb, got those of levels"):
        segmenter(perceiver="felzenszwalb", looks=fitted.looks_).fit(images)


def test_images_may_be_held_in_any_way(fitted, tmp_path):
    image = (255 * scene(BRIGHT, (40, 40))[0]).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "one.png")
    ways = [image, image / 255.0, image.astype(np.uint16) * 257, np.repeat(image[..., None], 3, 2),
            Image.fromarray(image), tmp_path / "one.png", str(tmp_path / "one.png")]  # fmt: skip
    first, *others = fitted.predict(ways)
    for one in others:
        np.testing.assert_array_equal(one, first)
    together = fitted.predict(np.stack([image, image]))
    assert together.shape == (2, 40, 40)
    np.testing.assert_array_equal(together[1], first)


def test_several_people_may_have_drawn_an_image(tmp_path):
    images, labels = scenes(BRIGHT, n=2)
    ground = [np.zeros_like(one) for one in labels]
    Image.fromarray((labels[1] > 0).astype(np.uint8)).save(tmp_path / "map.png")
    drawn = [[labels[0], ground[0]], [tmp_path / "map.png", tmp_path / "map.png"]]
    found = segmenter(n_looks=1).fit(images, drawn)
    assert found.scores_[0] < 0.95
    scores = image_scores([drawn[0], labels[1]], labels)
    assert scores[0] == pytest.approx(region_scores(labels[0], [labels[0], ground[0]])["covering"])
    assert scores[1] == 1
    weighed = found.score(images, drawn, sample_weight=[0, 1])
    assert weighed == pytest.approx(image_scores(drawn[1:], found.predict(images[1:]))[0])


def test_metrics_are_the_higher_the_better():
    _, labels = scenes(BRIGHT, n=2)
    ground = [np.zeros_like(one) for one in labels]
    for metric, best in (("covering", 1), ("pri", 1), ("voi", 0)):
        np.testing.assert_allclose(image_scores(labels, labels, metric=metric), best, atol=1e-12)
        assert (image_scores(labels, ground, metric=metric) < best).all()
    images, _ = scenes(BRIGHT, n=2)
    by_bits = segmenter(answer="best", n_looks=1, metric="voi").fit(images, labels)
    assert -0.5 < by_bits.scores_[0] <= 0
    assert by_bits.score(images, labels) == image_scores(labels, by_bits.predict(images), metric="voi").mean()
    with pytest.raises(ValueError, match="unknown metric 'dice'; choose from covering, pri, voi"):
        image_scores(labels, labels, metric="dice")


def test_before_fitting_nothing_is_predicted():
    for method in ("predict", "percepts"):
        with pytest.raises(NotFittedError):
            getattr(segmenter(), method)([np.zeros((40, 40))])


GOOD = np.zeros((40, 40))
ONE = GOOD.astype(int)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (GOOD, None, r"X: expected a list of images, .* got an array \(40, 40\)"),
        ("photo.png", None, "X: expected a list of images, .* got str"),
        ([], None, "X: expected at least one image"),
        ([GOOD, GOOD[0]], None, r"X\[1\]: expected \(H, W\) or \(H, W, C\), got an array of shape \(40,\)"),
        ([GOOD, GOOD - 1], None, r"X\[1\]: expected values in \[0, 1\], uint8 or uint16, got -1 to -1"),
        ([GOOD, Path("nowhere.png")], None, r"X\[1\] \(nowhere.png\): no such file"),
        ([GOOD, None], None, r"X\[1\]: expected an image .* got NoneType"),
        ([GOOD], [ONE, ONE], "as many entries of y as of X, got 2 for 1 images"),
        ([GOOD, GOOD], [ONE, ONE[1:]], r"y\[1\]: expected label maps of the image's size \(40, 40\), got \(39, 40\)"),
        ([GOOD], [ONE * 0.5], r"y\[0\]: expected a label map \(H, W\) of integers, .* float64"),
        ([GOOD], ["nowhere.png"], r"y\[0\]: nowhere.png: cannot be read as a label map"),
        ([GOOD], 3, "y: expected a list of label maps"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(images, labels, words):
    with pytest.raises(ValueError, match=words):
        segmenter().fit(images, labels)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"answer": "looks"}, "answer: expected one of integrated, best, got 'looks'"),
        ({"metric": "dice"}, "unknown metric 'dice'"),
        ({"n_looks": 0}, "n_looks: expected a whole number >= 1, got 0"),
        ({"n_looks": 9}, "n_looks <= n_candidates, got 9 of 8"),
        ({"size_px": 16}, "size_px: expected a whole number >= 32"),
        ({"n_trials": 2.5}, "n_trials: expected a whole number"),
        ({"perceiver": "nobody"}, "unknown perceiver 'nobody'"),
        ({"controller": "nobody"}, "unknown controller 'nobody'"),
        ({"device": "abacus"}, "unknown device 'abacus'"),
    ],
)
def test_parameters_are_checked_when_it_is_fitted(parameters, words):
    with pytest.raises(ValueError, match=words):
        segmenter(**parameters).fit([GOOD], [ONE])


def test_a_perceiver_that_fails_says_on_which_image(fitted):
    def picky(image, *, threshold=0.5):
        if image.mean() > 0.9:
            raise ZeroDivisionError("too bright")
        return levels(image, threshold=threshold)

    dark, bright = np.full((40, 40), 0.3), np.full((40, 40), 0.95)
    with pytest.raises(RuntimeError, match=r"X\[1\]: .*too bright"):
        segmenter(perceiver=picky).fit([dark, bright], [ONE, ONE])
    with pytest.raises(RuntimeError, match=r"X\[2\]: .*too bright"):
        segmenter(perceiver=picky).fit([dark]).predict([dark, dark, bright])
    with pytest.raises(ValueError, match=r"X\[1\]: expected"):
        fitted.predict([dark, dark[0]])
