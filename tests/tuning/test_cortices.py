"""Learned stages by option: how they are asked for, and that nothing measured with them is taken for anything else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ciliary.cortex import Cortex
from ciliary.cortex.options import LEARNED as STAGES
from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.envs.data.labelled import read_labelled_folder
from ciliary.envs.objective.make import objective_mark
from ciliary.tuning.calibration.job import CalibrateSettings, measure_table
from ciliary.tuning.cli.options import stages
from ciliary.tuning.cli.settings import CortexOptions
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.evaluate import EvaluateSettings
from ciliary.tuning.evaluation.methods import parse_method
from ciliary.tuning.evaluation.play import make_entries, play_methods
from ciliary.tuning.runs.fingerprints import cortex_options, depth_mark, described, digest, learned_mark
from ciliary.tuning.runs.record import append
from ciliary.tuning.sessions.experience import with_memories
from ciliary.tuning.sessions.inputs import collect
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.training.settings import GradientSettings
from ciliary_tests.labelled import write_labelled
from ciliary_tests.learned import write_untrained


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Weights that come with the project, for once these."""
    path = write_untrained(tmp_path / "cortex.safetensors")
    monkeypatch.setattr("ciliary.cortex.stages.weights.SHIPPED", path)
    return path


# --- the argument


@pytest.mark.parametrize(
    ("text", "names"),
    [("all", STAGES), ("none", ()), ("m2", ("m2",)), ("m5, m2", ("m2", "m5")), ("m3,m3", ("m3",))],
)
def test_stages_by_name(text, names):
    assert stages([text]) == names


@pytest.mark.parametrize("text", ["m6", "m1", "m3,m4", "m2,M3", "all,m2", "m2 m3"])
def test_what_is_no_stage_is_explained(text):
    with pytest.raises(ValueError, match=r"learned knows no '.*'.*; choose from m2, m3, m5$"):
        CortexOptions(learned=stages([text]))


def test_without_a_word_there_are_none():
    assert CortexOptions().learned == stages(["none"]) == ()


def test_all_stages_have_a_name_here():
    assert tuple(LEARNED_STAGES) == STAGES


# --- options and marks


def test_options_of_a_cortex(shipped):
    plain = {"depth": "none", "features": "none"}
    assert cortex_options(**plain) == plain
    options = cortex_options(**plain, learned=("m5", "m2"))
    assert options == {**plain, "learned": ["m2", "m5"]}
    assert json.loads(json.dumps(options)) == options
    cortex = Cortex(**options)
    assert isinstance(cortex.m2, LEARNED_STAGES["m2"])
    assert isinstance(cortex.m5, LEARNED_STAGES["m5"])
    assert described(options) == "depth none, features none, learned m2 m5"


def test_a_mark_tells_stages_and_weights_apart(shipped):
    assert learned_mark(()) == ""
    assert depth_mark("pictorial") == ""
    assert depth_mark("learned").startswith("learned ")
    marks = {learned_mark(names) for names in (("m2",), ("m2", "m5"), STAGES)}
    assert len(marks) == 3
    before = learned_mark(("m2", "m5"))
    assert before.startswith("m2,m5 ")
    assert learned_mark(("m5", "m2")) == before
    write_untrained(shipped, seed=1)  # trained anew under its old name
    assert learned_mark(("m2", "m5")) != before


def test_what_a_depth_cue_is_made_of_counts(tmp_path, monkeypatch):
    own = tmp_path / "depth_that_is_edited.py"
    own.write_text("def see(image): return image[:, :1]\n")
    monkeypatch.chdir(tmp_path)
    names = ("none", "pictorial", "learned", "hub:intel-isl/MiDaS:DPT_Hybrid", "depth_that_is_edited:see")
    sessions = [SessionSettings(objective="raw", depth=name, inherited="none") for name in names]
    assert [set(s.cortex_marks) for s in sessions] == [set(), set(), {"depth"}, set(), {"depth"}]
    assert EvaluateSettings(depth="learned").marks["depth"] == depth_mark("learned")
    assert GradientSettings(looks=CortexOptions(depth="learned")).about()["depth"] == depth_mark("learned")
    before = [s.fingerprint() for s in sessions]
    assert len(set(before)) == len(names)
    own.write_text("def see(image): return image[:, 1:2]\n")
    assert [a == s.fingerprint() for a, s in zip(before, sessions, strict=True)] == [True] * 4 + [False]


def test_missing_weights_are_found_out_early(shipped, tmp_path):
    shipped.unlink()
    for ask in (lambda: learned_mark(("m2",)), SessionSettings(learned=("m2",)).fingerprint):
        with pytest.raises(FileNotFoundError, match=r"no learned cortex at .*cortex\.safetensors"):
            ask()
    assert SessionSettings(inherited="none").fingerprint()  # who asks for none needs no file


# --- sessions


@pytest.mark.parametrize("more", [{}, {"controller": "random", "objective": "raw"}, {"changes": {"n_regions": 5.0}}])
def test_without_learned_stages_a_session_keeps_its_fingerprint(more):
    """As it was before there were any, and before there were other perceivers: of these names."""
    settings = SessionSettings(**more, answer="best", inherited="none")
    names = ("depth", "features", "n_trials", "population", "spread", "changes", "use_guard")
    numbers = {"long_side_px": settings.size_px} | {name: getattr(settings, name) for name in names}
    numbers["objective"] = objective_mark(settings.objective)
    assert settings.fingerprint() == digest(json.dumps(numbers, sort_keys=True, default=str).encode())
    assert settings.mark == objective_mark(settings.objective)


def test_a_session_is_another_with_other_learned_stages(shipped):
    plain = SessionSettings(objective="raw")
    sessions = [plain, *(replace(plain, learned=names) for names in (("m2",), ("m5",), STAGES))]
    for known_by in (SessionSettings.fingerprint, SessionSettings.study_fingerprint, lambda s: s.mark):
        assert len({known_by(settings) for settings in sessions}) == 4
    before = [settings.fingerprint() for settings in sessions]
    write_untrained(shipped, seed=1)
    after = [settings.fingerprint() for settings in sessions]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, False, False]


def test_a_session_logs_its_learned_stages():
    assert SessionSettings().as_params()["learned"] == "none"
    assert SessionSettings(learned=("m2", "m5")).as_params()["learned"] == "m2,m5"


def test_the_world_of_a_session_has_its_cortex(shipped):
    settings = SessionSettings(objective="raw", learned=("m3",))
    cortex = make_env(settings).evaluator.perceiver
    assert isinstance(cortex.m3, LEARNED_STAGES["m3"])
    assert cortex.m5 is None
    both = make_env(replace(settings, objective="recognition")).evaluator.perceiver
    assert isinstance(both.m3, LEARNED_STAGES["m3"])
    assert both.m5 is not None


def test_what_another_cortex_found_is_not_remembered(shipped, tmp_path):
    from ciliary.agents.controllers.memory import MemoryController
    from ciliary_tests.records import record_of

    plain = SessionSettings(controller="memory", objective="raw", out=tmp_path / "out")
    learned = replace(plain, learned=("m2",))
    append(plain.out / "one" / "episodes.jsonl", record_of(1, objective=plain.mark))
    append(plain.out / "two" / "episodes.jsonl", record_of(2, objective=learned.mark))
    for settings, name in ((plain, "print 1|none"), (learned, "print 2|none")):
        controller = with_memories(MemoryController(), settings)
        assert controller.memories.names == (name,)


# --- contests, races, calibrations


def test_a_contest_without_learned_stages_keeps_its_name():
    settings = EvaluateSettings(bsds=None, inherited="none")
    assert settings.how.cortex == {"depth": "none", "features": "none"}
    assert settings.marks == {"data": settings.source}


def test_the_same_contest_with_learned_stages_is_measured_anew(shipped, tmp_path):
    data = read_labelled_folder(write_labelled(tmp_path / "mine", n_images=1))
    cases, methods = [Case(data.names[0])], [parse_method("fixed")]
    rows = []
    for learned in ((), ("m2", "m3"), ("m2", "m3")):
        settings = EvaluateSettings(labelled=tmp_path / "mine", learned=learned, size_px=64)
        table = play_methods(
            tmp_path / "contest", data, cases, settings.how, methods, progress=False, meta=settings.marks
        )
        rows.append(table.column("term.total")[0, 0])
    assert rows[0] != rows[1] == rows[2]
    assert len(list((tmp_path / "contest" / "episodes").iterdir())) == 2  # the third was there already


def test_episodes_of_a_race_are_kept_apart(shipped, tmp_path):
    def places():
        return [
            make_entries(tmp_path, settings.how, [parse_method("fixed")], 1, meta=settings.marks)[0].folder
            for settings in (EvaluateSettings(labelled=tmp_path, learned=names) for names in ((), ("m2",), STAGES))
        ]

    before = places()
    assert len(set(before)) == 3
    write_untrained(shipped, seed=1)
    assert [a == b for a, b in zip(before, places(), strict=True)] == [True, False, False]


def test_a_table_of_another_cortex_is_refused(shipped, tmp_path):
    data = read_labelled_folder(write_labelled(tmp_path / "mine", n_images=1))
    settings = CalibrateSettings(folder=tmp_path / "t", n_settings=2, n_panel=0, size_px=64, n_workers=1)
    plain = measure_table(data, data.names, settings)
    assert "learned" not in plain.meta
    learned = replace(settings, learned=("m2",))
    with pytest.raises(ValueError, match="holds a table with another learned"):
        measure_table(data, data.names, learned)
    other = measure_table(data, data.names, replace(learned, folder=tmp_path / "u"))
    assert (other.column("term.collapse") != plain.column("term.collapse")).any()
    assert other.meta["learned"] == learned_mark(("m2",))


# --- stages and photographs of one's own


def test_a_stage_of_ones_own_is_asked_for_by_name(tmp_path, monkeypatch):
    (tmp_path / "own_stage.py").write_text("from ciliary.cortex.stages.m2_grouping import M2\nclass Mine(M2): pass\n")
    monkeypatch.chdir(tmp_path)
    plain, own = SessionSettings(), SessionSettings(own_stages=("m2=own_stage:Mine",))
    assert type(make_env(own).evaluator.perceiver.perceivers[0].m2).__name__ == "Mine"
    assert type(make_env(replace(own, answer="best", objective="raw")).evaluator.perceiver.m2).__name__ == "Mine"
    assert own.fingerprint() != plain.fingerprint()
    first = own.fingerprint()
    (tmp_path / "own_stage.py").write_text("from ciliary.cortex.stages.m2_grouping import M2\nclass Mine(M2): x = 1\n")
    assert own.fingerprint() != first
    with pytest.raises(ValueError, match=r"--stage.*expected STAGE=module:object with STAGE from"):
        SessionSettings(own_stages=("m9=own_stage:Mine",))


def test_what_can_do_nothing_is_not_shown(tmp_path):
    from ciliary.agents import make_controller, run_episode
    from ciliary.envs import AccommodationEnv

    env = AccommodationEnv(size_px=48, objective="raw", n_views=1)
    trace = run_episode(env, make_controller("random"), 0, {"image": "coffee"}, n_trials=3)
    assert set(trace.frozen) == {"depth_weight", "backbone_weight", "taught_share"}
    assert set(trace.theta) - set(trace.theta_moved) == set(trace.frozen)


def test_bundled_photographs_are_inputs_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs, problems, _ = collect(["coffee", "nowhere.png", "coffee"], 48)
    assert [one.name for one in inputs] == ["coffee"]
    assert inputs[0].load().image.shape == (3, 32, 48)
    assert len(problems) == 1
    assert "nowhere.png" in problems[0]
    inputs, _, _ = collect([np.zeros((40, 60, 3), np.uint8)], 48)
    assert [(one.name, tuple(one.load().image.shape)) for one in inputs] == [("image_0", (3, 32, 48))]
