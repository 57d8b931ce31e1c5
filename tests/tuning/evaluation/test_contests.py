from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from ciliary.cortex import default_theta, default_unit, to_unit
from ciliary.cortex.parameters import NAMES
from ciliary.envs.data import disturbances
from ciliary.tuning.calibration.candidates import training_cases
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.cases import case_seed, make_cases, parse_disturbances
from ciliary.tuning.evaluation.contests import PlayMeasure, join_methods, run_contest
from ciliary.tuning.evaluation.measure import Measure, MeasureSettings
from ciliary.tuning.evaluation.methods import Method, parse_method, read_setting
from ciliary.tuning.evaluation.race import seeds_of
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.labelled import write_calibration
from ciliary_tests.toys import table_of

SETTINGS = MeasureSettings(size_px=64, n_views=0, score_stride=1)
FINE = default_unit()[0].numpy()


# --- methods by name
def test_a_method_by_name(calibration):
    assert parse_method("tpe:raw:16") == Method("tpe:raw:16", "tpe", n_trials=16)
    assert parse_method("cmaes").n_trials == 64
    assert parse_method("fixed:raw:16").n_trials == parse_method("normalise").n_trials == 1
    assert parse_method(f"portfolio:{calibration}:4").objective == str(calibration)
    changed = parse_method("tpe:raw:8:no-guard:n_regions=6")
    assert (changed.use_guard, changed.changes) == (False, {"n_regions": 6.0})
    np.testing.assert_allclose(changed.default_u("none"), to_unit(default_theta(1, n_regions=6.0))[0])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("teleport", "CONTROLLER from fixed"),
        ("tpe:cooked", "cannot read 'cooked'"),
        ("tpe:0", "cannot read '0'"),
        ("tpe:raw:4:n_region=3", "no parameter 'n_region'"),
        ("tpe:raw:4:n_regions=300", "must lie in"),
        ("tpe:raw:4:n_regions=x", "needs a number"),
    ],
)
def test_wrong_methods_are_explained(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_method(text)


def save_setting(path, by_pattern):
    path.write_text(json.dumps({"u": {k: dict(zip(NAMES, map(float, u), strict=True)) for k, u in by_pattern.items()}}))
    return path


def test_fixed_settings_come_from_files(tmp_path):
    u = np.linspace(-1, 1, len(NAMES)).astype(np.float32)
    method = parse_method(f"setting:{save_setting(tmp_path / 's.json', {'*': u})}")
    assert (method.controller, method.label) == ("fixed", "setting s")
    np.testing.assert_allclose(method.default_u("fog:3"), u, atol=1e-6)
    both = read_setting(save_setting(tmp_path / "t.json", {"none": u, "fog:*": -u}))
    by_kind = Method("x", "fixed", u=both)
    np.testing.assert_allclose(by_kind.default_u("fog:5"), -u, atol=1e-6)
    with pytest.raises(KeyError, match="no setting for 'jpeg:1'"):
        by_kind.default_u("jpeg:1")
    (tmp_path / "p.json").write_text(json.dumps({"theta": {"*": {"n_regions": 6}}}))
    want = to_unit(default_theta(1, n_regions=6.0))[0]
    np.testing.assert_allclose(read_setting(tmp_path / "p.json")["*"], want, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["[]", "{}", "no json", '{"u": {"*": {"n_region": 0}}}', '{"u": {"*": {"n_regions": 2}}}']
)
def test_files_that_are_no_settings(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ValueError, match=r"s\.json is no setting"):
        parse_method(f"setting:{tmp_path / 's.json'}")
    with pytest.raises(FileNotFoundError, match="a file that exists"):
        parse_method("setting:nowhere.json")


def test_a_method_is_known_by_its_calibration(tmp_path, calibration):
    other = write_calibration(tmp_path / "d.npz", likes="confidence")
    same = write_calibration(tmp_path / "e.npz")
    marks = [Method("m", "tpe", str(path)).describe()["objective"] for path in (calibration, other, same)]
    assert marks[0] != marks[1]
    assert marks[0] == marks[2]


def test_an_objective_that_asks_for_recognition_gets_a_cortex_that_recognises(data):
    methods = [parse_method(text) for text in ("fixed", "fixed:recognition")]
    assert methods[1].describe()["objective"] == "recognition"
    assert list(seeds_of(methods[1], 3)) == [0, 1, 2]  # it draws views
    play = PlayMeasure(SETTINGS, methods)
    item, case = data[0], Case(data.names[0])
    raw, other = (play.play(item, case, method) for method in methods)
    terms = other.trace.before
    assert {"code_stability", "completion", "gate_entropy"} <= set(terms)
    extra = 0.3 * terms["code_stability"] + 0.1 * terms["completion"] + 0.1 * terms["gate_entropy"]
    assert terms["total"] == pytest.approx(raw.trace.before["total"] + extra, abs=1e-5)
    assert raw.after.m5 is None


# --- cases
def test_disturbances_in_short():
    assert parse_disturbances("none, fog:3,all:1,5,mixed:2") == ["none", "fog:3", "all:1", "all:5", "mixed:2"]
    for text in ("rain:3", "all:9", "mixed", ""):
        with pytest.raises(ValueError):
            parse_disturbances(text)


def test_cases_of_all_and_of_mixed():
    names = [f"i{i}" for i in range(10)]
    assert len(make_cases(names, ["all:3"])) == 80
    mixed = make_cases(names, ["none", "mixed:3"])
    assert len(mixed) == 20
    kinds = ["gaussian_noise", "defocus_blur", "motion_blur", "low_light", "low_contrast", "fog", "colour_cast", "jpeg"]
    assert [case.disturbance for case in mixed[10:]] == [f"{kinds[i % 8]}:3" for i in range(10)]
    assert len(make_cases(names[:1], ["mixed:3", f"{kinds[0]}:3"])) == 1


def test_a_new_kind_changes_no_published_list(monkeypatch):
    names = [f"i{i}" for i in range(50)]
    before = make_cases(names, ["none", "mixed:3", "all:1"]), training_cases(names)
    old = dict(disturbances.DISTURBANCES)
    monkeypatch.setattr(disturbances, "DISTURBANCES", {"rain": old["fog"], **old})
    assert (make_cases(names, ["none", "mixed:3", "all:1"]), training_cases(names)) == before
    assert make_cases(names[:1], parse_disturbances("rain:2"))[0].disturbance == "rain:2"  # asked for, it is there
    assert {case.disturbance for case in before[1][50:58]} == {f"{kind}:1" for kind in disturbances.MIXED_V0}


def test_seeds_depend_on_nothing_else_but_what_is_known():
    one, other = make_cases(["a", "b"], ["none"]), make_cases(["b"], ["fog:1", "none"])
    assert one[1] == other[1]
    assert case_seed("a", "none") != case_seed("a", "fog:1")
    assert make_cases(["a"], ["none"], known=[Case("a", "none", 5)])[0].seed == 5


# --- playing
def test_fixed_scores_as_the_response_table_does(data):
    case = Case("im0", "low_light:3", 3)
    own = PlayMeasure(SETTINGS, [parse_method("fixed")])(data[0], case, FINE[None])
    known = Measure(SETTINGS)(data[0], case, FINE[None])
    for name in ("score.covering", "score.pri", "score.voi"):
        np.testing.assert_allclose(own[name], known[name], atol=1e-6)
    assert own["is_changed"] == 0
    np.testing.assert_allclose([own[f"u.{name}"][0] for name in NAMES], FINE, atol=1e-5)


def test_methods_play_the_same_case(data, calibration):
    methods = [
        parse_method("fixed"),
        parse_method("normalise"),
        parse_method(f"portfolio:{calibration}:3:no-guard"),
        parse_method("random:raw:3"),
    ]
    measure = pickle.loads(pickle.dumps(PlayMeasure(SETTINGS, methods)))
    columns = measure(data[0], Case("im0", "low_light:3", 3), np.repeat(FINE[None], 4, 0))
    assert all(values.shape == (4,) for values in columns.values())
    assert all(np.isfinite(values).all() for values in columns.values())
    assert (columns["score.voi"] <= 0).all()
    assert columns["n_segments"].min() >= 1
    assert columns["n_evaluations"][0] < columns["n_evaluations"][3]
    # the portfolio's only start is u = 0, whatever it does to the image: taken if it predicts more, else not
    chosen = np.array([columns[f"u.{name}"][2] for name in NAMES])
    np.testing.assert_allclose(chosen, 0 if columns["is_changed"][2] else FINE, atol=1e-5)
    # normalise and the fixed setting stand on different images, and the raw objective tells them apart
    assert columns["term.total"][0] != columns["term.total"][1]
    with pytest.raises(ValueError, match="a row for each of 4"):
        measure(data[0], Case("im0"), FINE[None])


def test_a_method_starts_where_it_is_told(data):
    u = np.clip(FINE + 0.3, -1, 1)
    method = Method("moved", "fixed", n_trials=1, u={"*": tuple(map(float, u))})
    measure = PlayMeasure(SETTINGS, [method, parse_method("fixed")])
    columns = measure(data[0], Case("im0"), np.repeat(FINE[None], 2, 0))
    chosen = np.array([columns[f"u.{name}"] for name in NAMES]).T
    np.testing.assert_allclose(chosen, [u, FINE], atol=1e-5)
    assert not columns["is_changed"].any()


def test_a_contest_is_resumed_and_grows(tmp_path, data, monkeypatch):
    played = []
    call = PlayMeasure.__call__
    monkeypatch.setattr(
        PlayMeasure,
        "__call__",
        lambda self, item, case, u: played.append((self.methods[0].label, str(case))) or call(self, item, case, u),
    )
    cases = make_cases(["im0", "im1"], ["none"])
    fixed, normalise = parse_method("fixed"), parse_method("normalise")
    first = run_contest(tmp_path, data, cases, SETTINGS, [fixed], progress=False)
    assert len(played) == 2
    both = run_contest(tmp_path, data, cases, SETTINGS, [fixed, normalise], progress=False)
    assert [label for label, _ in played] == ["fixed"] * 2 + ["normalise"] * 2
    np.testing.assert_array_equal(both.column("score.covering")[:, 0], first.column("score.covering")[:, 0])
    assert both.meta["methods"] == ["fixed", "normalise"]
    again = run_contest(tmp_path, data, cases, SETTINGS, [fixed, normalise], progress=False, n_workers=2)
    np.testing.assert_array_equal(again.column("score.covering"), both.column("score.covering"))
    assert len(played) == 4
    run_contest(tmp_path, data, cases[:1], SETTINGS, [fixed], progress=False, meta={"code": "new"})
    assert len(played) == 5  # other code is another contest
    with pytest.raises(ValueError, match="different labels"):
        run_contest(tmp_path, data, cases, SETTINGS, [fixed, fixed], progress=False)


@pytest.mark.slow
def test_workers_play_alike(tmp_path, data):
    cases, methods = make_cases(["im0", "im1"], ["none"]), [parse_method("fixed"), parse_method("random:raw:3")]
    alone = run_contest(tmp_path / "a", data, cases, SETTINGS, methods, progress=False)
    together = run_contest(tmp_path / "b", data, cases, SETTINGS, methods, progress=False, n_workers=2)
    for name in ("score.covering", "term.total"):
        np.testing.assert_allclose(together.column(name), alone.column(name), atol=1e-4)


def test_only_cases_that_all_played_are_compared():
    a = table_of([[1], [2], [3]], cases=[Case("x"), Case("y"), Case("z")])
    b = table_of([[30], [10]], cases=[Case("z"), Case("x")])
    joined = join_methods(["a", "b"], [a, b])
    assert joined.images == ("x", "z")
    np.testing.assert_array_equal(joined.column("score.covering"), [[1, 10], [3, 30]])
    with pytest.raises(RuntimeError, match="no case was played by all"):
        join_methods(["a", "b"], [a, table_of([[1]], cases=[Case("q")])])


def test_a_search_is_played_as_a_session_plays_it():
    """Around the defaults, not anywhere: what is reported of a search must be what the command line does."""
    assert Method("tpe", "tpe").spread == SessionSettings().spread
    assert Method("tpe", "tpe").describe() != Method("tpe", "tpe", spread=None).describe()


def test_a_controller_that_is_nothing_without_its_file_can_be_named(tmp_path):
    (tmp_path / "mine.zip").touch()
    method = parse_method(f"sb3:raw:5:policy={tmp_path / 'mine.zip'}:label=mine")
    assert method.label == "mine"
    assert method.build().policy == tmp_path / "mine.zip"
    with pytest.raises(ValueError, match="--policy FILE"):
        parse_method("sb3:raw:5")
