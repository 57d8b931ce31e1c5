"""Methods by name: what can be written, what it means, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ciliary.agents.looking import Looking
from ciliary.cortex import default_theta, default_unit, make_perceiver, to_unit
from ciliary.cortex.parameters import PARAMETERS
from ciliary.tuning.evaluation.falls import shown_name
from ciliary.tuning.evaluation.methods import Method, make_methods, parse_method, read_setting
from ciliary.tuning.evaluation.settings import controller_of
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.labelled import write_calibration

FINE = default_unit()[0].numpy()


def test_a_method_by_name(calibration):
    assert parse_method("tpe:raw:16") == Method("tpe:raw:16", "tpe", n_trials=16)
    assert parse_method("cmaes").n_trials == 64
    assert parse_method("fixed:raw:16").n_trials == parse_method("normalise").n_trials == 1
    assert parse_method(f"policy:{calibration}:4").objective == str(calibration)
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
    path.write_text(
        json.dumps({"u": {k: dict(zip(PARAMETERS.names, map(float, u), strict=True)) for k, u in by_pattern.items()}})
    )
    return path


def test_fixed_settings_come_from_files(tmp_path):
    u = np.linspace(-1, 1, len(PARAMETERS)).astype(np.float32)
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


def test_methods_of_another_perceiver_know_its_parameters():
    perceiver = make_perceiver("watershed")
    fixed, tpe = make_methods(("tpe:agreement:8:depth=2",), None, ["none"], default=(), seer=perceiver)
    assert tpe.changes == {"depth": 2}
    assert tpe.default_u("none", perceiver.table).shape == fixed.default_u("none", perceiver.table).shape == (2,)
    with pytest.raises(ValueError, match="choose from depth, sigma_px"):
        make_methods(("tpe:raw:8:n_regions=6",), None, ["none"], default=(), seer=perceiver)
    with pytest.raises(ValueError, match="no calibration of watershed comes along"):
        make_methods(("tpe:calibrated:8",), None, ["none"], default=(), seer=perceiver)


def test_looks_put_together():
    method = parse_method("panel:looks:16")
    assert method.looking == Looking()
    assert parse_method("panel:looks:16:single").looking == Looking(is_single=True)
    assert parse_method("panel:agreement:16").looking is None
    assert method.describe() != parse_method("panel:looks:16:single").describe()
    assert "looking" not in parse_method("tpe:raw:16").describe()  # what was played before keeps its mark


def test_a_controller_of_ones_own_plays_under_its_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_walk.py").write_text(
        "from ciliary.agents import make_controller\ndef walk(): return make_controller('random', population=3)\n"
    )
    method = parse_method("their_walk:walk:raw:4:no-guard")
    assert (method.controller, method.n_trials, method.use_guard) == ("their_walk:walk", 4, False)
    assert method.build().population == 3
    assert parse_method("their_walk:walk") == replace(method, label="their_walk:walk", n_trials=64, use_guard=True)
    assert [controller_of(text) for text in ("tpe:raw", "tpi:raw", "mine:W:raw:4", "setting:a.json")] == [
        "tpe",
        "tpi",
        "mine:W",
        "setting",
    ]
    assert shown_name(method) == "their_walk:walk:4:no-guard"
    with pytest.raises(ValueError, match="found no module 'no_such'"):
        parse_method("no_such:walk:raw:4")
