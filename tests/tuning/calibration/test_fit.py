"""Calibration from made-up response tables: what is there to be found is found, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.objective.calibration import load_calibration
from ciliary.tuning.calibration.candidates import spread_settings, training_cases
from ciliary.tuning.calibration.fit import (
    calibrate,
    choose_least_gain,
    compare,
    cross_predict,
    fold_of,
    greedy_portfolio,
    input_groups,
    inputs_of,
    pick,
)
from ciliary.tuning.calibration.regressors import fit_line
from ciliary.tuning.evaluation.table import Case, ResponseTable

NAMES = PARAMETERS.names


def table(n_images=40, n_settings=12, *, signal=1.0, seed=0):
    """Half the images want a low first knob, half a high one, and a feature tells which, with noise."""
    rng = np.random.default_rng(seed)
    u = np.zeros((n_settings, len(NAMES)), np.float32)
    u[:, 0] = np.linspace(-1, 1, n_settings)
    u[[0, n_settings // 2]] = u[[n_settings // 2, 0]]  # the default in the middle
    cases = tuple(Case(f"i{i:02d}", d, 0) for d in ("none", "fog:3") for i in range(n_images))
    wants = np.where(np.arange(len(cases)) % 2, 0.6, -0.6)[:, None]
    score = 0.6 - 0.2 * (u[None, :, 0] - wants) ** 2 + 0.01 * rng.standard_normal((len(cases), n_settings))
    clue = signal * (score - score.mean()) * 5 + 0.3 * rng.standard_normal(score.shape)
    noise = rng.standard_normal(score.shape)
    columns = {"score.covering": score, "feature.clue": clue, "feature.noise": noise, "term.loss": -clue}
    return ResponseTable(u, cases, {name: x.astype(np.float32) for name, x in columns.items()}, {"n_views": 0})


def test_inputs_are_columns_and_settings():
    t = table()
    x = inputs_of(t, ["feature.clue", f"u.{NAMES[0]}"])
    np.testing.assert_array_equal(x[..., 0], t.column("feature.clue"))
    np.testing.assert_array_equal(x[3, :, 1], t.u[:, 0])
    assert f"u.{NAMES[0]}" in input_groups(t)["+ setting"]
    assert f"u.{NAMES[1]}" not in input_groups(t)["+ setting"]  # a setting that never changes tells nothing


def test_an_image_is_in_one_fold():
    t = table()
    fold = fold_of(t.images)
    assert set(np.bincount(fold)) == {16}
    assert all(len({fold[i] for i, name in enumerate(t.images) if name == one}) == 1 for one in t.images)


def test_the_line_finds_the_clue():
    t = table()
    predicted = cross_predict(t, ["feature.clue", "feature.noise", f"u.{NAMES[0]}"], fit_line)
    score = t.column("score.covering")
    correlation = np.mean([np.corrcoef(p, s)[0, 1] for p, s in zip(predicted, score, strict=True)])
    assert correlation > 0.55
    picked = score[np.arange(len(score)), predicted.argmax(1)].mean()
    assert picked > score.mean(0).max() + 0.01


def test_layers_predict_what_the_fit_predicts(tmp_path):
    t = table()
    names = ["feature.clue", f"u.{NAMES[0]}"]
    made = calibrate(t, form="line", inputs=names, n_starts=3, about={"data": "made up"})
    made.save(tmp_path / "c.npz")
    read = load_calibration(tmp_path / "c.npz")
    x = inputs_of(t, names)
    expected = fit_line(x, t.column("score.covering")).predict(x)
    inputs = {name: torch.from_numpy(x[5, :, i].copy()) for i, name in enumerate(names)}
    np.testing.assert_allclose(read.predict(inputs).numpy(), expected[5], atol=1e-5)
    assert read.about["data"] == "made up"
    assert read.n_views == 0
    assert read.parameters == PARAMETERS.names


def test_columns_of_settings_are_found_by_name():
    t = table()
    other = replace(t, u=t.u[:, ::-1].copy(), parameters=NAMES[::-1])  # as stored with another order
    np.testing.assert_array_equal(inputs_of(other, [f"u.{NAMES[0]}"]), inputs_of(t, [f"u.{NAMES[0]}"]))
    one, two = (calibrate(x, form="line", inputs=["feature.clue"], n_starts=3) for x in (t, other))
    np.testing.assert_array_equal(one.starts, two.starts)


def test_without_a_clue_nothing_is_gained_and_the_base_is_kept():
    t = table(signal=0.0)
    rows = compare(t, groups={"noise": ["feature.noise"]}, forms={"line": fit_line})
    assert abs(rows[0].rank_correlation.mean) < 0.1
    assert rows[0].clean.mean < 0.01


def test_pick_and_the_least_gain_by_hand():
    predicted = np.array([[0.5, 0.6, 0.4], [0.5, 0.51, 0.4]])
    np.testing.assert_array_equal(pick(predicted, 0, least_gain=0.0), [1, 1])
    np.testing.assert_array_equal(pick(predicted, 0, least_gain=0.02), [1, 0])
    score = np.array([[0.5, 0.7, 0.4], [0.5, 0.3, 0.4]])  # the small gain is no gain
    assert choose_least_gain(predicted, score, 0) == 0.03


def test_the_least_gain_is_the_largest_that_is_as_good_within_a_standard_error():
    # a hundred cases: one setting beside the base, promised 0.004 (half of them) or 0.018, and worth that
    promised = np.where(np.arange(100) % 2, 0.018, 0.004)
    predicted = np.stack([np.zeros(100), promised], 1)
    noise = np.random.default_rng(0).standard_normal(100) * 0.1
    steady, loud = predicted * 10, np.stack([np.zeros(100), promised + noise - noise.mean()], 1)
    assert choose_least_gain(predicted, steady, 0) == 0.0025  # what is left out is missed
    assert choose_least_gain(predicted, loud, 0) > 0.0025  # within the noise it is not


def test_a_portfolio_complements_itself():
    score = np.array([[0.5, 0.9, 0.8, 0.1], [0.5, 0.1, 0.1, 0.6], [0.5, 0.5, 0.6, 0.1]])
    assert greedy_portfolio(score, 3) == [0, 1, 2] or greedy_portfolio(score, 3) == [0, 1, 3]
    assert greedy_portfolio(score, 9, first=3)[0] == 3
    assert len(greedy_portfolio(score, 9)) == 4


def test_settings_and_cases():
    u = spread_settings(32, seed=1)
    assert (u.shape, u.dtype) == ((32, len(NAMES)), np.float32)
    assert np.abs(u).max() <= 1
    np.testing.assert_array_equal(u, spread_settings(32, seed=1))
    names = [f"i{i}" for i in range(80)]
    cases = training_cases(names)
    disturbed = [c.disturbance for c in cases if c.disturbance != "none"]
    assert len(cases) == 160
    assert len(set(disturbed)) == 40  # 8 kinds x 5 severities
    assert {disturbed.count(d) for d in disturbed} == {2}
    with pytest.raises(ValueError, match="at least one setting"):
        spread_settings(0)
