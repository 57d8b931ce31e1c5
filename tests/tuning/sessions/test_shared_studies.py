"""Studies that several processes share: in PostgreSQL and in a journal file. None is lost, none stands twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import optuna
import pytest

from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.study_cache import StorageError, StudyCache, open_storage
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of, make_toy

NAMES = ("a", "b", "c", "d")


def play(settings, names=NAMES):
    return run_session(settings, inputs_of(*names), make_env=make_toy, display=Recorder())


def trials(storage):
    """Of each study how many."""
    studies = optuna.get_all_study_summaries(open_storage(storage))
    return {study.study_name.split("__")[2]: study.n_trials for study in studies}


@pytest.fixture(params=["postgresql", "journal"])
def storage(request, tmp_path):
    if request.param == "journal":
        return str(tmp_path / "studies.log")
    postgres = request.getfixturevalue("postgres")
    return postgres.address(postgres.new_database())


@pytest.mark.slow
def test_workers_share_a_storage(settings, storage):
    """A study an episode, each with the trials that one process makes; played back, nothing is evaluated again."""
    alone = play(replace(settings, session="alone", is_bare=True))
    found = play(replace(settings, storage=storage, n_workers=2, is_bare=True))
    assert found.exit_code == 0
    assert [r["history"] for r in found.records] == [r["history"] for r in alone.records]
    assert trials(storage) == dict.fromkeys(NAMES, 6)
    PictureToy.n_asked = 0
    again = play(replace(settings, storage=storage, session="again", is_bare=True))
    assert PictureToy.n_asked == 0
    assert [r["history"] for r in again.records] == [r["history"] for r in alone.records]
    assert trials(storage) == dict.fromkeys(NAMES, 6)


@pytest.mark.slow
def test_workers_of_a_cluster_share_a_storage(settings, storage):
    pytest.importorskip("ray", reason="no Ray; pip install 'ciliary[ray]'")
    found = play(replace(settings, storage=storage, n_workers=2, engine="ray", device="cpu", is_bare=True))
    assert found.exit_code == 0
    assert trials(storage) == dict.fromkeys(NAMES, 6)


@pytest.mark.slow
def test_processes_that_begin_at_the_same_time_share_an_empty_storage(storage):
    """All tasks of an array find the database empty, and all want to make its tables and the first study."""
    start = threading.Barrier(6)

    def begin(i):
        start.wait()
        return StudyCache(open_storage(storage), f"study {i // 2}")

    with ThreadPoolExecutor(6) as pool:
        studies = list(pool.map(begin, range(6)))
    assert len(studies) == 6
    names = [study.study_name for study in optuna.get_all_study_summaries(open_storage(storage))]
    assert sorted(names) == ["study 0", "study 1", "study 2"]


@pytest.mark.slow
def test_two_sessions_of_the_same_images_share_each_study(settings, storage, tmp_path):
    """Begun at the same time they know nothing of each other's trials, but there is one study for each episode."""
    code = (
        "import sys; from pathlib import Path; from ciliary.tuning.sessions.settings import SessionSettings;"
        "from ciliary.tuning.sessions.session import run_session; from ciliary_tests.worlds import *;"
        "s = SessionSettings(controller='random', n_trials=6, population=3, size_px=64, out=Path(sys.argv[1]),"
        "session=sys.argv[2], storage=sys.argv[3], is_bare=True);"
        "r = run_session(s, inputs_of(*'abcd'), make_env=make_toy, display=Recorder());"
        "assert r.exit_code == 0, r.problems"
    )
    helpers = [path for path in sys.path if path.endswith("helpers")]

    def session(name):
        path = f"import sys; sys.path += {helpers!r}; {code}"
        command = [sys.executable, "-c", path, str(settings.out), name, storage]
        return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(session, ["one", "two"]))
    assert [(one.returncode, one.stderr[-500:]) for one in ended] == [(0, "")] * 2
    names = [s.study_name for s in optuna.get_all_study_summaries(open_storage(storage))]
    assert Counter(names) == dict.fromkeys(names, 1)
    assert sorted(trials(storage)) == [*NAMES]
    assert all(6 <= n <= 12 for n in trials(storage).values())


@pytest.mark.slow
def test_a_wrong_password_is_one_line_without_it(postgres):
    with pytest.raises(StorageError) as told:
        open_storage(postgres.address(password="battery-staple"))
    assert "battery-staple" not in str(told.value)
    assert "ciliary:***@" in str(told.value)


def test_without_a_driver_it_is_said_how_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"-m pip install .*\[postgres\]'"):
        open_storage("postgresql+psycopg://me:secret@127.0.0.1:1/x")
