"""Any job's session: whatever a store or a disk does, it is a line, what is done is kept, and the others are played."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from ciliary.tuning.cli.door import run_job
from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import StoreError, open_store
from ciliary.tuning.sessions import made
from ciliary.tuning.sessions.conduct import conduct
from ciliary.tuning.sessions.resume import Session
from ciliary_tests.toy_jobs import Locked, ToyJob, items_of
from ciliary_tests.worlds import Recorder


@pytest.fixture
def played(out):
    def play(*names, **more):
        settings = replace(GazeSettings(out=out, session="s", is_quiet=True), **more)
        display = Recorder()
        return conduct(ToyJob(settings), items_of(*names), display), display.problems

    return play


def kept(outcome):
    return [(r["image"], r["status"]) for r in records.read(outcome.folder / records.FILE)]


def test_an_input_that_fails_in_any_way_costs_only_itself(played):
    outcome, said = played("unread", "full", "good")
    assert [record["image"] for record in outcome.records] == ["good"]
    assert said == ["unread.png: no such page", "full.png: Locked: disk full"]
    assert outcome.exit_code == 3
    assert kept(outcome) == [("unread", "FAILED"), ("full", "FAILED"), ("good", "FINISHED")]


def test_a_store_that_is_locked_for_one_episode_costs_no_result(played, monkeypatch):
    begin = Session.episode

    def locked(self, *, name, **more):
        if name.startswith("first"):
            raise Locked("database is locked")
        return begin(self, name=name, **more)

    monkeypatch.setattr(Session, "episode", locked)
    outcome, said = played("first", "second")
    assert [record["image"] for record in outcome.records] == ["first", "second"]
    assert said == ["first.png: not tracked: Locked: database is locked"]
    assert outcome.exit_code == 3
    monkeypatch.undo()
    again, said = played("first", "second", is_resumed=True)
    assert (again.exit_code, again.n_before, said) == (0, 1, [])
    assert len(again.run_ids) == 2
    assert kept(again) == [("first", "FINISHED"), ("second", "FINISHED")]  # nothing stands twice


@pytest.mark.slow
def test_a_session_that_cannot_be_ended_keeps_its_results(played, monkeypatch):
    def locked(self, *arguments, **more):
        self._locks.release()
        raise Locked("database is locked")

    monkeypatch.setattr(Session, "close", locked)
    outcome, _ = played("good")
    assert len(outcome.records) == 1
    assert outcome.problems == ["the session's run could not be ended: Locked: database is locked"]


def test_a_record_is_kept_before_it_is_drawn(played, out, monkeypatch):
    def die(drawings):
        raise KeyboardInterrupt

    monkeypatch.setattr(made, "drawn", die)
    with pytest.raises(KeyboardInterrupt):
        played("a")
    assert [record["image"] for record in records.read(out / "s" / records.FILE)] == ["a"]
    monkeypatch.undo()
    outcome, _ = played("a", "b")
    assert (outcome.name, kept(outcome)) == ("s", [("a", "FINISHED"), ("b", "FINISHED")])


def test_a_store_below_a_file_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(StoreError, match="cannot open the tracking store sqlite"):
        open_store(tmp_path / "out")

    def job(settings):
        open_store(settings.out)
        return 0

    assert run_job("gaze", job, GazeSettings(out=tmp_path / "out")) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_a_dead_server_is_said_soon(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    begun = time.monotonic()
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path)
    assert time.monotonic() - begun < 40
    assert "secret" not in str(caught.value)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
