"""Playing: marks, seeds, what is played once, and what is kept of an episode."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ciliary.cortex import default_unit
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.labelled import read_labelled_folder, read_photographs
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.cases import make_cases
from ciliary.tuning.evaluation.measure import Measure, MeasureSettings
from ciliary.tuning.evaluation.methods import Method, parse_method
from ciliary.tuning.evaluation.play import (
    MARKS,
    Entry,
    PlayMeasure,
    at_marks,
    episode_seed,
    make_entries,
    play_methods,
    seeds_of,
)
from ciliary.tuning.runs.fingerprints import episode_mark
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.labelled import write_labelled

SETTINGS = MeasureSettings(size_px=64, n_views=0, score_stride=1)
FINE = default_unit()[0].numpy()


def test_marks_are_read_when_their_batch_is_done_and_kept_after_the_end():
    best = np.array([5.0, 3, 3, 2, 1.5, 1.5])
    losses, seconds = at_marks(best, [(1, 0.5), (5, 2.0), (6, 3.0)], (1, 2, 4, 8, 64))
    np.testing.assert_array_equal(losses, [5, 3, 2, 1.5, 1.5])
    np.testing.assert_array_equal(seconds, [0.5, 2, 2, 3, 3])
    losses, seconds = at_marks(np.array([5.0]), [(1, 0.25)], MARKS)
    np.testing.assert_array_equal([losses, seconds], [[5.0] * 7, [0.25] * 7])


def test_seed_0_is_the_contest_and_the_others_are_others():
    seeds = [episode_seed(7, k) for k in range(5)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 5
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert episode_seed(8, 1) != seeds[1]


def test_who_draws_nothing_plays_once(calibration):
    assert list(seeds_of(parse_method("fixed"), 3)) == [0, 1, 2]  # the raw objective draws views
    for name in ("fixed", "policy"):
        assert list(seeds_of(parse_method(f"{name}:{calibration}"), 3)) == [0]
    assert list(seeds_of(parse_method(f"random:{calibration}"), 3)) == [0, 1, 2]


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


def test_episodes_of_ones_own_controller_are_played_anew_once_it_is_edited(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from ciliary.agents import make_controller\ndef mine(): return make_controller('random', population={})\n"
    file = tmp_path / "their_controller.py"
    digests, keys = [], []
    for population in (4, 4, 8):
        file.write_text(text.format(population))
        (entry,) = entries_of(tmp_path, Method("mine", "their_controller:mine"))
        digests.append(entry.mark)
        session = SessionSettings(controller="their_controller:mine")
        keys.append((session.fingerprint(), session.study_fingerprint()))
    assert digests[0] == digests[1] != digests[2]
    assert keys[0] == keys[1]
    assert all(one != other for one, other in zip(keys[1], keys[2], strict=True))


def watched(monkeypatch) -> list[tuple[str, str, int]]:
    """Episodes as they are played: image, method, seed."""
    played, episode = [], PlayMeasure.episode

    def note(self, item, case, entry, people):
        played.append((case.image, entry.method.label, entry.seed))
        return episode(self, item, case, entry, people)

    monkeypatch.setattr(PlayMeasure, "episode", note)
    return played


def entries_of(folder, *methods: Method) -> list[Entry]:
    return make_entries(folder, SETTINGS, methods, 1, meta={})


@pytest.mark.slow
def test_every_episode_is_kept(tmp_path, data, calibration, monkeypatch):
    played = watched(monkeypatch)
    cases = make_cases(["im0"], ["low_light:3"])
    random, policy = parse_method("random:raw:3"), parse_method(f"policy:{calibration}:2:no-guard")
    first = play_methods(tmp_path, data, cases, SETTINGS, [random], n_seeds=2, progress=False)
    assert played == [("im0", "random:raw:3", 0), ("im0", "random:raw:3", 1)]
    both = play_methods(tmp_path, data, cases, SETTINGS, [policy, random], n_seeds=2, progress=False, n_workers=2)
    assert played[2:] == [("im0", policy.label, 0)]
    assert both.meta["methods"] == [policy.label, "random:raw:3", "random:raw:3"]
    assert both.meta["seeds"] == [0, 0, 1]
    np.testing.assert_array_equal(both.column("best.02")[:, 1:], first.column("best.02"))
    assert first.column("before")[0, 0] != first.column("before")[0, 1]  # other views
    known = PlayMeasure(SETTINGS).play(data[0], cases[0], random)  # seed 0 is the case's own
    np.testing.assert_allclose(
        [first.column(f"u.{name}")[0, 0] for name in PARAMETERS.names], known.trace.u_chosen, atol=1e-6
    )
    np.testing.assert_allclose(first.column("term.total")[0, 0], known.trace.after["total"], atol=1e-6)
    losses = np.stack([both.column(f"best.{mark:02d}")[0] for mark in MARKS])
    assert (np.diff(losses, axis=0) <= 0).all()
    np.testing.assert_array_equal(losses[-1], both.column("best.end")[0])
    np.testing.assert_array_equal(losses[0], both.column("before")[0])
    assert both.column("n_trials")[0].tolist() == [2, 3, 3]
    assert np.isnan(both.column("fresh_gain")[0, 0])
    assert (both.column("seconds") >= both.column("seconds.end")).all()
    with pytest.raises(ValueError, match="different labels"):
        play_methods(tmp_path, data, cases, SETTINGS, [random, random], progress=False)


def test_who_failed_is_named(tmp_path, data):
    (tmp_path / "p.safetensors").write_bytes(b"no policy")
    method = parse_method(f"policy:raw:2:policy={tmp_path / 'p.safetensors'}:label=broken one")
    with pytest.raises(RuntimeError, match=r"broken one, seed 0: .*is not a policy"):
        play_methods(tmp_path, data, make_cases(["im0"], ["none"]), SETTINGS, [method], n_seeds=1, progress=False)


def test_a_measure_travels_to_workers(tmp_path):
    entries = make_entries(tmp_path, SETTINGS, [parse_method("fixed")], 2, meta={})
    measure = pickle.loads(pickle.dumps(PlayMeasure(SETTINGS, entries)))
    assert measure.entries == tuple(entries)
    with pytest.raises(ValueError, match="a row for each of 2"):
        measure(None, Case("im0"), FINE[None])


def test_an_objective_that_asks_for_recognition_gets_a_cortex_that_recognises(data):
    methods = [parse_method(text) for text in ("fixed", "fixed:recognition")]
    assert methods[1].describe()["objective"] == "recognition"
    assert list(seeds_of(methods[1], 3)) == [0, 1, 2]  # it draws views
    play = PlayMeasure(SETTINGS)
    item, case = data[0], Case(data.names[0])
    raw, other = (play.play(item, case, method) for method in methods)
    terms = other.trace.before
    assert {"code_stability", "completion", "gate_entropy"} <= set(terms)
    extra = 0.3 * terms["code_stability"] + 0.1 * terms["completion"] + 0.1 * terms["gate_entropy"]
    assert terms["total"] == pytest.approx(raw.trace.before["total"] + extra, abs=1e-5)
    assert raw.after.m5 is None


def test_fixed_scores_as_the_response_table_does(tmp_path, data):
    case = Case("im0", "low_light:3", 3)
    own = PlayMeasure(SETTINGS, entries_of(tmp_path, parse_method("fixed")))(data[0], case, FINE[None])
    known = Measure(SETTINGS)(data[0], case, FINE[None])
    for name in ("score.covering", "score.pri", "score.voi"):
        np.testing.assert_allclose(own[name], known[name], atol=1e-6)
    assert own["is_changed"] == 0
    np.testing.assert_allclose([own[f"u.{name}"][0] for name in PARAMETERS.names], FINE, atol=1e-5)


def test_methods_play_the_same_case(tmp_path, data, calibration):
    texts = ("fixed", "normalise", f"policy:{calibration}:3:no-guard", "random:raw:3")
    measure = pickle.loads(pickle.dumps(PlayMeasure(SETTINGS, entries_of(tmp_path, *map(parse_method, texts)))))
    columns = measure(data[0], Case("im0", "low_light:3", 3), np.repeat(FINE[None], 4, 0))
    assert all(values.shape == (4,) for values in columns.values())
    assert all(np.isfinite(values).all() for name, values in columns.items() if name != "fresh_gain")
    assert (columns["score.voi"] <= 0).all()
    assert columns["n_segments"].min() >= 1
    assert columns["n_evaluations"][0] < columns["n_evaluations"][3]
    chosen = np.array([columns[f"u.{name}"][2] for name in PARAMETERS.names])
    assert columns["is_changed"][2] == (np.abs(chosen - FINE).max() > 1e-4)
    # normalise and the fixed setting stand on different images, and the raw objective tells them apart
    assert columns["term.total"][0] != columns["term.total"][1]
    with pytest.raises(ValueError, match="a row for each of 4"):
        measure(data[0], Case("im0"), FINE[None])


def test_a_method_starts_where_it_is_told(tmp_path, data):
    u = np.clip(FINE + 0.3, -1, 1)
    method = Method("moved", "fixed", n_trials=1, u={"*": tuple(map(float, u))})
    measure = PlayMeasure(SETTINGS, entries_of(tmp_path, method, parse_method("fixed")))
    columns = measure(data[0], Case("im0"), np.repeat(FINE[None], 2, 0))
    chosen = np.array([columns[f"u.{name}"] for name in PARAMETERS.names]).T
    np.testing.assert_allclose(chosen, [u, FINE], atol=1e-5)
    assert not columns["is_changed"].any()


@pytest.mark.slow
def test_it_is_resumed_and_grows(tmp_path, data, monkeypatch):
    played = watched(monkeypatch)
    cases = make_cases(["im0", "im1"], ["none"])
    fixed, normalise = parse_method("fixed"), parse_method("normalise")
    first = play_methods(tmp_path, data, cases, SETTINGS, [fixed], progress=False)
    assert played == [("im0", "fixed", 0), ("im1", "fixed", 0)]
    both = play_methods(tmp_path, data, cases, SETTINGS, [fixed, normalise], progress=False)
    assert played[2:] == [("im0", "normalise", 0), ("im1", "normalise", 0)]
    np.testing.assert_array_equal(both.column("score.covering")[:, 0], first.column("score.covering")[:, 0])
    assert both.meta["methods"] == ["fixed", "normalise"]
    assert both.parameters == PARAMETERS.names
    again = play_methods(tmp_path, data, cases, SETTINGS, [fixed, normalise], progress=False, n_workers=2)
    np.testing.assert_array_equal(again.column("score.covering"), both.column("score.covering"))
    assert len(played) == 4
    play_methods(tmp_path, data, cases[:1], SETTINGS, [fixed], progress=False, meta={"code": "new"})
    assert len(played) == 5  # other code is another contest


def test_an_image_that_changed_is_played_anew(tmp_path, monkeypatch):
    """Of one name it may be, in one folder, or another folder's."""
    played = watched(monkeypatch)
    root = write_labelled(tmp_path / "l")
    cases, fixed = make_cases(["im0", "im1"], ["none"]), [parse_method("fixed")]

    def covering():
        data = read_labelled_folder(root)
        return play_methods(tmp_path, data, cases, SETTINGS, fixed, progress=False).column("score.covering")[:, 0]

    before = covering()
    labels = root / "labels" / "im1_0.png"
    labels.write_bytes((root / "labels" / "im0_0.png").read_bytes())
    after = covering()
    assert [image for image, *_ in played] == ["im0", "im1", "im1"]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_photographs_nobody_drew_on_are_played_for_the_loss_alone(tmp_path, data):
    found, problems = read_photographs([entry.path for entry in data.entries])
    assert not problems
    assert found.names == ("im0", "im1")
    assert not found.is_labelled
    cases, fixed = make_cases(found.names, ["none"]), [parse_method("fixed")]
    table = play_methods(tmp_path, found, cases, SETTINGS, fixed, progress=False)
    assert not table.names("score.")
    known = play_methods(tmp_path, data, cases, SETTINGS, fixed, progress=False)  # nothing is taken for the other
    np.testing.assert_array_equal(table.column("best.end"), known.column("best.end"))
    assert known.names("score.") == ["score.covering", "score.pri", "score.voi"]


@pytest.mark.slow
def test_workers_play_alike(tmp_path, data):
    cases, methods = make_cases(["im0", "im1"], ["none"]), [parse_method("fixed"), parse_method("random:raw:3")]
    alone = play_methods(tmp_path / "a", data, cases, SETTINGS, methods, progress=False)
    together = play_methods(tmp_path / "b", data, cases, SETTINGS, methods, progress=False, n_workers=2)
    for name in ("score.covering", "term.total"):
        np.testing.assert_allclose(together.column(name), alone.column(name), atol=1e-4)
