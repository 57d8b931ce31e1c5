"""Gaze metrics: closed forms, small maps by hand, properties, and numbers of pysaliency."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciliary.envs.metrics.gaze import (
    GAZE_METRICS,
    Gazed,
    as_density,
    fixation_counts,
    fixation_density,
    gaze_scores,
)

RAMP = np.arange(12.0).reshape(3, 4)


def test_a_uniform_map_says_nothing():
    centre = as_density(np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]))
    scores = gaze_scores(Gazed.of(np.full((3, 3), 0.3), [1, 1, 0], [1, 1, 1], others=([0, 2], [0, 2]), baseline=centre))
    assert scores["nss"] == 0
    assert scores["auc_judd"] == scores["sauc"] == 0.5
    assert scores["ig"] == pytest.approx(np.log2(1 / 9) - (2 * np.log2(0.25) + np.log2(1 / 8)) / 3)
    assert scores["ig"] <= 0
    assert scores["cc"] == 0
    assert scores["kl"] == pytest.approx(2 / 3 * np.log(6) + 1 / 3 * np.log(3))  # people: 2/3 and 1/3 on two of 9 cells
    assert scores["sim"] == pytest.approx(2 / 9)


def test_a_ramp_by_hand():
    g = Gazed.of(RAMP, [2, 0], [3, 0], others=([1, 1, 2], [0, 1, 3]))
    scores = gaze_scores(g)
    assert scores["nss"] == pytest.approx(0)  # 11 and 0: the mean of both is the map's
    # 11 beats 11 of 12 pixels and ties with itself, 0 ties with itself.
    assert scores["auc_judd"] == pytest.approx((11.5 / 12 + 0.5 / 12) / 2)
    # Elsewhere are 4, 5, 11: the 11 beats two and ties with one, the 0 none.
    assert scores["sauc"] == pytest.approx((2.5 / 3 + 0) / 2)
    assert scores["ig"] == -np.inf  # people looked where the map has none
    assert scores["sim"] == pytest.approx(1 / 6)  # 11 / 66 of the map, 1 / 2 of people


def test_fractions_of_a_cell_are_cut_off_and_repeated_fixations_count():
    once, twice = (Gazed.of(RAMP, y, x) for y, x in (([1.99], [2.5]), ([1.2, 1.0], [2.0, 2.9])))
    assert GAZE_METRICS["nss"].function(once) == GAZE_METRICS["nss"].function(twice)
    assert fixation_counts([1.2, 1.0, 0], [2.0, 2.9, 0], size=(3, 4)).sum() == 3
    assert fixation_counts([1.2, 1.0, 0], [2.0, 2.9, 0], size=(3, 4))[1, 2] == 2


def test_the_people_themselves_are_the_best_map():
    people = fixation_density([4, 5, 9], [3, 7, 2], size=(12, 16), sigma=1.5)
    scores = gaze_scores(Gazed.of(people, [4, 5, 9], [3, 7, 2], sigma=1.5))
    assert scores["cc"] == pytest.approx(1)
    assert scores["sim"] == pytest.approx(1)
    assert scores["kl"] == pytest.approx(0, abs=1e-9)
    assert scores["nss"] > 2
    assert scores["ig"] > 1


def test_pysaliency_has_the_same_numbers():
    """pysaliency 0.2.22 gave these once, its `np.trapz` an alias of NumPy's `trapezoid`: the functions of `metrics`
    (KL: `MIT_KLDiv`), and `AUCs`, `sAUCs`, `NSSs` and `information_gains` of models of two images, the same."""
    y, x = np.mgrid[:6, :8]
    saliency = ((3 * y + 5 * x + (y * x) % 4) % 7) / 4
    baseline = as_density(1.0 + (y + 2 * x) % 5)
    others = [0, 2, 2, 4, 5, 3, 1, 0], [1, 1, 6, 3, 7, 5, 2, 0]
    density = as_density(as_density(saliency) + 0.01)
    where = [0, 1, 3, 5, 5, 2], [7, 2, 4, 0, 6, 4]
    plain = gaze_scores(Gazed.of(saliency, *where, others=others))
    assert plain["nss"] == pytest.approx(-0.3344927571238747, rel=1e-12)
    assert plain["auc_judd"] == pytest.approx(0.3923611111111111, rel=1e-12)
    assert plain["sauc"] == pytest.approx(0.3645833333333333, rel=1e-12)
    assert plain["cc"] == pytest.approx(-0.12642637867172873, rel=1e-12)
    assert plain["sim"] == pytest.approx(0.09420289855072463, rel=1e-12)
    assert plain["kl"] == pytest.approx(7.785084985603376, rel=1e-9)
    gain = GAZE_METRICS["ig"].function(Gazed.of(saliency, *where, baseline=baseline, density=density))
    assert gain == pytest.approx(0.27209924213906383, rel=1e-12)


@given(st.integers(0, 10_000), st.floats(0.1, 5), st.floats(-3, 3))
def test_what_must_hold_for_any_map(seed, gain, offset):
    rng = np.random.default_rng(seed)
    saliency = rng.integers(0, 6, (5, 7)).astype(float)
    where = rng.integers(0, 5, 9), rng.integers(0, 7, 9)
    others = rng.integers(0, 5, 20), rng.integers(0, 7, 20)
    one = gaze_scores(Gazed.of(saliency, *where, others=others, sigma=1.0))
    other = gaze_scores(Gazed.of(gain * saliency + offset, *where, others=others, sigma=1.0))
    for name in ("nss", "auc_judd", "sauc", "cc"):  # no unit of the map counts
        assert other[name] == pytest.approx(one[name], abs=1e-9)
    turned = gaze_scores(Gazed.of(-saliency, *where, others=others, sigma=1.0))
    assert turned["nss"] == pytest.approx(-one["nss"], abs=1e-9)
    assert turned["sauc"] == pytest.approx(1 - one["sauc"])
    assert 0 <= one["sim"] <= 1 + 1e-9
    assert one["kl"] >= -1e-9


def test_directions_stand_with_the_metrics():
    assert {name for name, metric in GAZE_METRICS.items() if not metric.higher_is_better} == {"kl"}
    assert GAZE_METRICS["ig"].described == "information gain in bits, higher is better"
    assert np.isnan(GAZE_METRICS["sauc"].function(Gazed.of(RAMP, [0], [0])))  # no other images


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"saliency": np.zeros(4)}, "finite map"),
        ({"saliency": np.full((3, 4), np.nan)}, "finite map"),
        ({"y": [], "x": []}, "at least one fixation"),
        ({"y": [3]}, "outside of the map"),
        ({"x": [-0.1]}, "outside of the map"),
        ({"x": [0, 1]}, "one length"),
        ({"baseline": np.ones((3, 4))}, "sums to 1"),
        ({"density": np.full((4, 3), 1 / 12)}, "density"),
    ],
)
def test_errors_say_what_is_wrong(arguments, message):
    given = {"saliency": RAMP, "y": [1], "x": [1]} | arguments
    with pytest.raises(ValueError, match=message):
        Gazed.of(given.pop("saliency"), given.pop("y"), given.pop("x"), **given)
