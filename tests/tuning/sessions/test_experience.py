"""Memories from the records of past episodes, and a session that grows them."""

from dataclasses import replace

import numpy as np
import pytest

from ciliary.agents.controllers.memory import Memories, MemoryController
from ciliary.cortex.parameters import PARAMETERS
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.sessions.experience import add, recollect, with_memories, with_memory
from ciliary.tuning.sessions.playing import play as play_episode
from ciliary.tuning.sessions.session import run_session
from ciliary_tests.records import record_of
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


class ShowingToy(PictureToy):
    """The picture world that shows its optimum in the statistics."""

    def __init__(self):
        super().__init__()
        self.is_context_visible = True


def play(settings, names=("a", "b")):
    return run_session(settings, inputs_of(*names), make_env=lambda s: ShowingToy(), display=Recorder())


def write(folder, *made):
    for one in made:
        records.append(folder / records.FILE, one)


def test_a_record_becomes_a_memory(tmp_path):
    write(tmp_path / "s", record_of(3))
    found = recollect(tmp_path)
    np.testing.assert_allclose(found.statistics, [[0.3, 0.2]])
    np.testing.assert_allclose(found.u, np.full((1, len(PARAMETERS)), 0.3))
    np.testing.assert_allclose(found.gain, [0.3])
    assert (found.mark, found.names) == (("raw",), ("print 3|none",))


def test_no_folder_is_no_memories(tmp_path):
    assert len(recollect(tmp_path / "none")) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "FAILED"},
        {"statistics": None},
        {"statistics": [0.1, None]},
        {"statistics": [[0.1], [0.2]]},
        {"statistics": "many"},
        {"parameters": {"blur_sigma_px": 1.0}},
        {"before": {"total": None}},
        {"after": {}},
        {"i_chosen": 3},
        {"history": {"u": [[0.1, 0.2]] * 3}},
        {"history": {"u": [[3.0] * len(PARAMETERS)] * 3}},
        {"history": {"u": [[float("nan")] * len(PARAMETERS)] * 3}},
        {"history": None},
    ],
)
def test_records_with_nothing_to_remember_are_passed_over(changes):
    assert len(add(None, record_of(1, **changes))) == 0
    assert len(add(add(None, record_of(2)), record_of(1, **changes))) == 1


def test_records_of_an_older_version_and_torn_lines_are_passed_over(tmp_path):
    older = {name: value for name, value in record_of(0).items() if name not in ("statistics", "objective")}
    write(tmp_path / "s", older, record_of(1, statistics=[0.1, 0.2, 0.3]), record_of(2))
    with (tmp_path / "s" / records.FILE).open("a") as file:
        file.write('{"key": "torn", "statistics": [0.1')
    assert recollect(tmp_path).names == ("print 2|none",)  # the newest says how many statistics there are


def test_images_can_be_left_out_by_name_or_fingerprint_and_objectives_by_mark(tmp_path):
    write(tmp_path / "one", record_of(1), record_of(2, objective="calibrated 0a1b"))
    write(tmp_path / "two", record_of(3), record_of(4))
    assert recollect(tmp_path, without={"image 3"}).names == ("print 1|none", "print 2|none", "print 4|none")
    assert recollect(tmp_path, without={"print 3", "image 1"}).names == ("print 2|none", "print 4|none")
    assert recollect(tmp_path, mark="calibrated 0a1b").names == ("print 2|none",)
    assert len(recollect(tmp_path, mark="raw")) == 3


def test_what_a_search_found_is_remembered_and_tried_first(settings):
    settings = replace(settings, n_trials=40, population=8, use_guard=False, objective="raw", inherited="none")
    searched = play(replace(settings, controller="cmaes", session="search"), ("a",)).records[0]
    assert len(searched["statistics"]) == len(PARAMETERS)
    assert searched["objective"] == "raw"
    remembered = play(replace(settings, controller="memory", session="m"), ("a",)).records[0]
    assert remembered["n_trials"] == 2
    np.testing.assert_allclose(remembered["after"]["total"], searched["after"]["total"], rtol=1e-5)


def test_a_session_learns_from_its_own_episodes(settings, monkeypatch):
    """Each episode of the session is in the memory of the next, beside those of earlier sessions."""
    write(settings.out / "past", record_of(5, statistics=[0.5] * len(PARAMETERS)))
    n_remembered = []

    def watched(env, controller, *arguments, **more):
        n_remembered.append(len(controller.memories))
        return play_episode(env, controller, *arguments, **more)

    monkeypatch.setattr("ciliary.tuning.sessions.bench.play", watched)
    settings = replace(settings, controller="memory", session="m", objective="raw", inherited="none")
    outcome = play(settings, ("a", "b", "c"))
    assert outcome.exit_code == 0
    assert n_remembered == [1, 2, 3]
    again = with_memories(MemoryController(), settings)
    assert len(again.memories) == 4
    assert len(with_memory(again, record_of(6, statistics=[0.6] * len(PARAMETERS))).memories) == 5


def test_where_the_file_is_gone_the_store_remembers(settings):
    outcome = play(settings)
    store = open_store(settings.out)
    both = recollect(settings.out, store=store)
    assert len(both) == 2  # nothing twice
    (outcome.folder / records.FILE).unlink()
    assert len(recollect(settings.out)) == 0
    again = recollect(settings.out, store=store)
    assert again.names == both.names
    np.testing.assert_array_equal(again.u, both.u)


def test_other_controllers_and_given_memories_are_left_alone(settings):
    given = Memories(np.zeros((0, 2)), np.zeros((0, len(PARAMETERS))), np.zeros(0), (), ())
    controller = MemoryController(given)
    assert with_memories(controller, settings) is controller
    assert with_memories("tpe", settings) == with_memory("tpe", record_of()) == "tpe"
