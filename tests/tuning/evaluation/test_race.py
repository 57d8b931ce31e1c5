"""The race: marks, seeds, what is played once, and standings whose numbers fit on paper."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex import default_unit
from ciliary.cortex.parameters import NAMES
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.cases import make_cases
from ciliary.tuning.evaluation.contests import PlayMeasure
from ciliary.tuning.evaluation.measure import MeasureSettings
from ciliary.tuning.evaluation.methods import Method, parse_method
from ciliary.tuning.evaluation.race import MARKS, RaceMeasure, at_marks, make_entries, race_seed, run_race, seeds_of
from ciliary.tuning.evaluation.race_plots import race_plot, spread, strokes
from ciliary.tuning.evaluation.race_rows import fall_rows, race_rows, reference_of, seed_means, shown_name
from ciliary.tuning.runs.fingerprints import episode_mark
from ciliary_tests.toys import table_of

SETTINGS = MeasureSettings(size_px=64, n_views=0, score_stride=1)
FINE = default_unit()[0].numpy()


# --- marks and seeds
def test_marks_are_read_when_their_batch_is_done_and_kept_after_the_end():
    best = np.array([5.0, 3, 3, 2, 1.5, 1.5])
    losses, seconds = at_marks(best, [(1, 0.5), (5, 2.0), (6, 3.0)], (1, 2, 4, 8, 64))
    np.testing.assert_array_equal(losses, [5, 3, 2, 1.5, 1.5])
    np.testing.assert_array_equal(seconds, [0.5, 2, 2, 3, 3])
    losses, seconds = at_marks(np.array([5.0]), [(1, 0.25)], MARKS)
    np.testing.assert_array_equal([losses, seconds], [[5.0] * 7, [0.25] * 7])


def test_seed_0_is_the_contest_and_the_others_are_others():
    seeds = [race_seed(7, k) for k in range(5)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 5
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert race_seed(8, 1) != seeds[1]


def test_who_draws_nothing_plays_once(calibration):
    assert list(seeds_of(parse_method("fixed"), 3)) == [0, 1, 2]  # the raw objective draws views
    for name in ("fixed", "portfolio"):
        assert list(seeds_of(parse_method(f"{name}:{calibration}"), 3)) == [0]
    assert list(seeds_of(parse_method(f"random:{calibration}"), 3)) == [0, 1, 2]


def test_what_was_learned_is_given_as_a_file(tmp_path):
    file = tmp_path / "p.safetensors"
    file.write_bytes(b"one")
    method = parse_method(f"policy:raw:4:policy={file}:n_steps=3")
    assert (method.files, method.options, method.n_trials) == ({"policy": str(file)}, {"n_steps": 3}, 4)
    assert method.label == "policy:raw:4:policy=p.safetensors:n_steps=3"
    controller = method.build()
    assert (controller.policy, controller.n_steps) == (file, 3)
    before = method.describe()
    file.write_bytes(b"other")
    assert method.describe()["learned"] != before["learned"]
    assert parse_method(f"policy:raw:2:policy={file}:label=mine").label == "mine"
    (tmp_path / "m.npz").write_bytes(b"")
    assert parse_method(f"memory:raw:8:memory={tmp_path / 'm.npz'}").build().memories == tmp_path / "m.npz"
    for text, complaint in (
        (f"tpe:raw:4:policy={file}", "tpe does not take policy="),
        (f"policy:raw:2:policy={tmp_path / 'm.npz'}", "ending in .safetensors or .zip or .json"),
        ("policy:raw:2:n_steps=0", "n_steps >= 1"),
        ("policy:raw:2:n_steps=x", "needs a number"),
        ("policy:raw:2:n_step=2", "no parameter 'n_step'"),
    ):
        with pytest.raises(ValueError, match=complaint):
            parse_method(text)
    with pytest.raises(FileNotFoundError, match="no policy at"):
        parse_method("policy:raw:2:policy=nowhere.zip")


def test_an_episode_depends_on_its_own_controller_only(tmp_path):
    for name, text in {
        "cortex/a": "x = 1", "envs/a": "x = 1", "agents/base": "y = 1",
        "agents/episode": "from ciliary.agents.base import y\n", "agents/one": "from ciliary.agents import base\n",
        "agents/two": "def f():\n    from ciliary.agents.one import z\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)

    def marks():
        episode_mark.cache_clear()
        return [episode_mark(f"ciliary.agents.{name}", tmp_path) for name in ("one", "two")]

    first = marks()
    (tmp_path / "agents" / "two.py").write_text("def f():\n    from ciliary.agents.one import w\n")
    second = marks()
    assert (second[0] == first[0], second[1] == first[1]) == (True, False)
    (tmp_path / "agents" / "one.py").write_text("from ciliary.agents import base\nz = 2\n")  # two imports it
    third = marks()
    assert third[0] != second[0]
    assert third[1] != second[1]
    (tmp_path / "agents" / "base.py").write_text("y = 1  # a comment\n")
    assert marks() == third
    (tmp_path / "cortex" / "a.py").write_text("x = 2")
    assert marks()[0] != third[0]


# --- playing
def test_one_race_keeps_every_episode(tmp_path, data, calibration, monkeypatch):
    played = []
    race = RaceMeasure.race
    monkeypatch.setattr(
        RaceMeasure,
        "race",
        lambda self, item, case, entry, people: (
            played.append((case.image, entry.method.label, entry.seed)) or race(self, item, case, entry, people)
        ),
    )
    cases = make_cases(["im0"], ["low_light:3"])
    random, portfolio = parse_method("random:raw:3"), parse_method(f"portfolio:{calibration}:2:no-guard")
    first = run_race(tmp_path, data, cases, SETTINGS, [random], n_seeds=2, progress=False)
    assert played == [("im0", "random:raw:3", 0), ("im0", "random:raw:3", 1)]
    both = run_race(tmp_path, data, cases, SETTINGS, [portfolio, random], n_seeds=2, progress=False, n_workers=2)
    assert played[2:] == [("im0", portfolio.label, 0)]
    assert both.meta["methods"] == [portfolio.label, "random:raw:3", "random:raw:3"]
    assert both.meta["seeds"] == [0, 0, 1]
    np.testing.assert_array_equal(both.column("best.02")[:, 1:], first.column("best.02"))
    assert first.column("before")[0, 0] != first.column("before")[0, 1]  # other views
    known = PlayMeasure(SETTINGS, [random])(data[0], cases[0], FINE[None])
    for name in ("term.total", "score.covering", "n_evaluations", *(f"u.{name}" for name in NAMES)):
        np.testing.assert_allclose(first.column(name)[0, 0], known[name][0], atol=1e-6)
    losses = np.stack([both.column(f"best.{mark:02d}")[0] for mark in MARKS])
    assert (np.diff(losses, axis=0) <= 0).all()
    np.testing.assert_array_equal(losses[-1], both.column("best.end")[0])
    np.testing.assert_array_equal(losses[0], both.column("before")[0])
    assert both.column("n_trials")[0].tolist() == [2, 3, 3]
    assert np.isnan(both.column("fresh_gain")[0, 0])
    assert (both.column("seconds") >= both.column("seconds.end")).all()
    with pytest.raises(ValueError, match="different labels"):
        run_race(tmp_path, data, cases, SETTINGS, [random, random], progress=False)


def test_who_failed_is_named(tmp_path, data):
    (tmp_path / "p.safetensors").write_bytes(b"no policy")
    method = parse_method(f"policy:raw:2:policy={tmp_path / 'p.safetensors'}:label=broken one")
    with pytest.raises(RuntimeError, match=r"broken one, seed 0: .*is not a policy"):
        run_race(tmp_path, data, make_cases(["im0"], ["none"]), SETTINGS, [method], n_seeds=1, progress=False)


def test_a_measure_travels_to_workers(tmp_path):
    entries = make_entries(tmp_path, SETTINGS, [parse_method("fixed")], 2, meta={})
    measure = pickle.loads(pickle.dumps(RaceMeasure(SETTINGS, entries)))
    assert measure.entries == tuple(entries)
    with pytest.raises(ValueError, match="a row for each of 2"):
        measure(None, Case("im0"), FINE[None])


# --- standings: two images, two seeds of tpe, one of a policy
METHODS = (Method("tpe:raw:4", "tpe", n_trials=4), Method("policy:raw:2", "policy", n_trials=2))


def toy_race(disturbances=("none", "none")):
    """Image 0 falls by .4 (seeds .5 and .3) under TPE, image 1 by .2; the policy by .3 and .3, in two evaluations."""
    best = np.array([  # image, entry (tpe 0, tpe 1, policy 0), mark 1, 2, 4 (= 8, 16, 32, 64)
        [[1.0, 0.9, 0.5], [1.0, 0.7, 0.7], [1.0, 0.7, 0.7]],
        [[0.8, 0.8, 0.6], [0.8, 0.8, 0.6], [0.8, 0.5, 0.5]],
    ])  # fmt: skip
    columns = {f"best.{mark:02d}": best[..., min(i, 2)] for i, mark in enumerate(MARKS)}
    columns |= {
        f"seconds.{mark:02d}": np.tile([min(i, 2) + 1, min(i, 2) + 2, 1], (2, 1)) for i, mark in enumerate(MARKS)
    }
    columns |= {"before": best[..., 0], "best.end": best[..., 2]}
    columns["term.total"] = np.array([[0.5, 1.0, 0.7], [0.8, 0.8, 0.5]])  # the guard refused some
    columns["fresh_gain"] = np.array([[0.4, 0.0, np.nan], [0.1, 0.1, 0.2]])
    columns |= {"n_trials": np.tile([4, 4, 2], (2, 1)), "n_evaluations": np.tile([12, 12, 10], (2, 1))}
    columns["seconds"] = np.array([[3.0, 5, 1], [3, 5, 2]])
    cases = [Case(f"i{i}", name) for i, name in enumerate(disturbances)]
    race = table_of(np.array([[0.5, 0.7, 0.4], [0.2, 0.2, 0.6]]), cases=cases).with_columns(
        {name: values.astype(np.float32) for name, values in columns.items()}
    )
    return type(race)(race.u, race.cases, race.columns, {"methods": ["tpe:raw:4"] * 2 + ["policy:raw:2"]})


def test_seeds_are_averaged_within_the_image():
    means = seed_means(toy_race())
    assert means.meta["methods"] == ["tpe:raw:4", "policy:raw:2"]
    np.testing.assert_allclose(means.column("score.covering"), [[0.6, 0.4], [0.2, 0.6]], atol=1e-6)
    np.testing.assert_allclose(means.column("best.end"), [[0.6, 0.7], [0.6, 0.5]], atol=1e-6)


def test_falls_and_shares_by_hand():
    rows, points = race_rows(toy_race(), METHODS)
    tpe, policy = rows
    assert [(r.objective, r.disturbance, r.method, r.n_images, r.n_seeds) for r in rows] == [
        ("raw", "clean", "tpe:4", 2, 2),
        ("raw", "clean", "policy:2", 2, 1),
    ]
    assert (tpe.fall.mean, policy.fall.mean) == (pytest.approx(0.3), pytest.approx(0.3))
    assert (tpe.fall.low, tpe.fall.high) == (pytest.approx(0.2), pytest.approx(0.4))  # of two images
    assert tpe.share is not None
    assert policy.share is not None
    assert policy.over_reference is not None
    assert tpe.share.mean == pytest.approx(1) == tpe.share.low
    assert policy.share.mean == pytest.approx(1)
    assert (policy.share.low, policy.share.high) == (pytest.approx(0.75), pytest.approx(1.5))
    assert tpe.over_reference is None
    assert (policy.over_reference.low, policy.over_reference.high) == (pytest.approx(-0.1), pytest.approx(0.1))
    assert tpe.applied.mean == pytest.approx((0.25 + 0) / 2)
    assert policy.applied.mean == pytest.approx(0.3)
    assert tpe.on_fresh_views is not None
    assert tpe.on_fresh_views.mean == pytest.approx(0.15)
    assert policy.on_fresh_views is None  # one episode did not measure it
    assert tpe.seeds_sd == pytest.approx(np.std([(0.5 + 0.2) / 2, (0.3 + 0.2) / 2], ddof=1))
    assert policy.seeds_sd is None
    assert (tpe.evaluations, tpe.seconds, policy.seconds) == (12, 4, 1.5)
    falls = fall_rows(points)
    assert [row.method for row in falls] == ["tpe:4", "policy:2"]
    assert falls[0].after_2.mean == pytest.approx((0.2 + 0) / 2)
    assert falls[0].after_4.mean == falls[0].after_64.mean == pytest.approx(0.3)
    curve = [point for point in points if point.method == "policy:2"]
    assert [point.is_over for point in curve] == [False, False] + [True] * 5
    assert [point.spent for point in curve] == [1] + [2] * 6
    assert [point.loss.mean for point in curve] == pytest.approx([0.9] + [0.6] * 6)
    assert [point.share.mean for point in curve if point.share] == pytest.approx([0] + [1] * 6)
    assert [point.seconds for point in points if point.method == "tpe:4"] == pytest.approx(
        [1.5, 2.5, 3.5, 3.5, 3.5, 3.5, 3.5]
    )


def test_conditions_are_apart_and_without_tpe_there_is_no_share():
    rows, _ = race_rows(toy_race(("none", "fog:3")), METHODS)
    assert [(row.disturbance, row.method) for row in rows] == [
        (group, name) for group in ("clean", "fog:3") for name in ("tpe:4", "policy:2")
    ]
    assert [row.fall.mean for row in rows] == pytest.approx([0.4, 0.3, 0.2, 0.3])
    others = tuple(Method(m.label, "random", n_trials=m.n_trials) for m in METHODS)
    assert all(row.share is None for row in race_rows(toy_race(), others)[0])
    named, _ = race_rows(toy_race(), others, reference="policy:2")
    assert named[0].share is not None
    assert named[0].share.mean == pytest.approx(1)


def test_the_reference_is_the_longest_tpe_as_it_comes():
    methods = [parse_method(text) for text in ("tpe:raw:64:n_regions=6", "tpe:raw:16", "tpe:raw:32", "cmaes:raw:64")]
    assert reference_of(methods, "raw") is methods[2]
    assert reference_of(methods, "raw", "cmaes:64") is methods[3]
    assert reference_of(methods, "calibrated") is None


def test_names_leave_the_objective_out(calibration):
    texts = ["tpe:raw:64", "tpe", "portfolio:calibrated", f"tpe:{calibration}:8", "policy:raw:2:label=no fog"]
    assert [shown_name(parse_method(text)) for text in texts] == ["tpe:64", "tpe", "portfolio", "tpe:8", "no fog"]


# --- figures
@given(st.lists(st.floats(0, 1), min_size=1, max_size=14))
def test_labels_keep_their_order_and_their_distance(heights):
    moved = spread(np.sort(heights), gap=0.05)
    assert len(moved) == len(heights)
    assert (np.diff(moved) >= 0.05 - 1e-9).all()
    assert moved.min() >= 0.01 - 1e-9
    assert moved.max() <= 0.99 + 1e-9


def test_labels_that_are_apart_stay_and_those_that_collide_share_the_way():
    np.testing.assert_allclose(spread(np.array([0.2, 0.5]), gap=0.1), [0.2, 0.5])
    np.testing.assert_allclose(spread(np.array([0.5, 0.5, 0.5]), gap=0.1), [0.4, 0.5, 0.6])


def test_no_two_methods_look_alike():
    drawn = strokes([f"m{i}" for i in range(24)])
    assert len({(s.colour, s.line) for s in drawn.values()}) == 24


@pytest.mark.parametrize("against", ["evaluations", "seconds"])
def test_a_figure_names_every_method_and_ends_where_it_stopped(against):
    _, points = race_rows(toy_race(), METHODS)
    figure = race_plot(points, against=against, drawn=strokes(["tpe:4", "policy:2"]), title="t")
    (ax,) = figure.axes
    assert {text.get_text() for text in ax.texts} == {"tpe:4", "policy:2"}
    curves = [
        line.get_xydata() for line in ax.lines if line.get_transform() == ax.transData and len(line.get_xdata()) > 1
    ]
    want = {"evaluations": [[1, 2, 4], [1, 2]], "seconds": [[1.5, 2.5, 3.5], [1, 1]]}[against]
    assert [curve[:, 0].tolist() for curve in curves[:2]] == want
    with pytest.raises(ValueError, match="evaluations or seconds"):
        race_plot(points, against="trials", drawn={}, title="t")
