"""A session of one episode an input: whatever a store or a disk does, it is a line, and the others are played."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from ciliary.tuning.cli.door import run_job
from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import GAZING, StoreError, open_store
from ciliary.tuning.sessions import one_each
from ciliary.tuning.sessions.episode import Made
from ciliary.tuning.sessions.resume import Session


class Locked(Exception):
    """As a database's driver has it: no ValueError, no OSError, no RuntimeError."""


class Playing(one_each.Play):
    experiment, unit, what, numbers = GAZING, "inputs", "toy", {}

    def load(self, item):
        if item.name == "unread":
            raise Locked("no such page")
        return item.name

    def key(self, item, loaded):
        return EpisodeKey(item.name, loaded, "none", "toy", 0, "s")

    def make(self, item, loaded, key, *, folder, check):
        if item.name == "full":
            raise Locked("disk full")
        return Made({"key": str(key), "status": "FINISHED", "files": {}}, {}, {}, {}, ())


@pytest.fixture
def played(out, monkeypatch):
    monkeypatch.setattr(one_each.tracking, "track_episode", lambda run, made: run.finish())
    monkeypatch.setattr(one_each.tracking, "session_metrics", lambda records, problems: {})
    monkeypatch.setattr(one_each.tracking, "describe_session", lambda *arguments: "")
    monkeypatch.setattr(one_each.tracking, "by_gain", lambda records: [])

    def play(*names):
        said: list[str] = []
        items = [SimpleNamespace(name=name, label=f"{name}.png") for name in names]
        settings = GazeSettings(out=out, is_quiet=True)
        return one_each.run_one_each(settings, items, Playing(), say=said.append), said

    return play


def test_an_input_that_fails_in_any_way_costs_only_itself(played):
    outcome, said = played("unread", "full", "good")
    assert [record["key"].split("|")[0] for record in outcome.records] == ["good"]
    assert said == ["unread.png: no such page", "full.png: disk full"]
    assert outcome.exit_code == 3


def test_a_store_that_is_locked_for_one_episode_costs_only_that(played, monkeypatch):
    begin = Session.episode

    def locked(self, *, name, **more):
        if name.startswith("first"):
            raise Locked("database is locked")
        return begin(self, name=name, **more)

    monkeypatch.setattr(Session, "episode", locked)
    outcome, said = played("first", "second")
    assert len(outcome.records) == 1
    assert said == ["first.png: database is locked"]


@pytest.mark.slow
def test_a_session_that_cannot_be_ended_keeps_its_results(played, monkeypatch):
    def locked(self, *arguments, **more):
        self._locks.release()
        raise Locked("database is locked")

    monkeypatch.setattr(Session, "close", locked)
    outcome, _ = played("good")
    assert len(outcome.records) == 1
    assert outcome.problems == ["the session's run could not be ended: Locked: database is locked"]


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
