"""Sessions whose runs go to an MLflow server, or to PostgreSQL: there whole, gone on the way, and no password kept."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.outage import RETRIES, Outage
from ciliary.tuning.runs.store import SESSIONS, StoreError, open_store
from ciliary.tuning.sessions import session as sessions
from ciliary_tests.mlflow_server import mlflow_server
from ciliary_tests.postgres import PASSWORD
from ciliary_tests.worlds import Recorder, inputs_of, make_toy

NAMES = ("a", "b", "c", "d")


def play(settings, names=NAMES, *, display=None):
    return sessions.run_session(settings, inputs_of(*names), make_env=make_toy, display=display or Recorder())


def runs(client):
    experiment = client.get_experiment_by_name(SESSIONS).experiment_id
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def kept_episodes(settings):
    return [record["image"] for record in records.read(settings.out / "s" / records.FILE)]


@pytest.fixture
def server(tmp_path, migrated):
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(migrated, folder / "server.db")
    with mlflow_server(folder) as started:
        yield started


@pytest.mark.slow
def test_a_server_has_the_episodes_and_one_that_dies_costs_none(settings, server, monkeypatch, capsys):
    login = "me:battery-staple@"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address(login))
    monkeypatch.setenv(RETRIES, "1")

    class Killing(Recorder):
        def done(self, *, was_done_before):
            server.kill()

    display = Killing()
    found = play(settings, display=display)
    assert found.exit_code == 3
    assert kept_episodes(settings) == [*NAMES]
    assert len(display.problems) == 2
    assert display.problems[0].startswith("b.png: not tracked: MlflowException: ")
    assert display.problems[1].startswith("2 more episodes were not tracked; what is done is in ")
    assert "could not be ended" in found.problems[-1]

    server.start()
    again = play(settings)
    assert (again.exit_code, again.name, again.n_before) == (0, "s", 1)
    assert kept_episodes(settings) == [*NAMES]
    client = MlflowClient(tracking_uri=server.address())
    known = runs(client)
    assert {run.info.status for run in known.values()} <= {"FINISHED", "KILLED"}
    for record in again.records:
        run = client.get_run(again.run_ids[record["key"]])
        assert run.info.status == "FINISHED"
        assert run.data.metrics["after/total"] == pytest.approx(record["after"]["total"])
        assert run.data.params["image"] == record["image"]
        there = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert there >= {"episode.json", "history.csv", "figures"}
    assert (server.folder / "artifacts").is_dir()
    assert keeping("battery-staple", settings.out, server.folder) == []
    printed = capsys.readouterr()
    assert printed.out == ""
    told = [*display.problems, *found.problems, found.command, printed.err]
    assert not any("battery-staple" in line for line in told)


@pytest.mark.slow
def test_postgres_has_the_episodes_and_no_password_is_kept(settings, postgres, tmp_path, monkeypatch):
    """Runs in one database, studies in another."""
    monkeypatch.chdir(tmp_path)  # artifacts of a database lie in ./mlruns
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.address(runs_in := postgres.new_database()))
    storage = postgres.address(studies_in := postgres.new_database())
    found = play(replace(settings, storage=storage, is_bare=True), ("a", "b"))
    assert (found.exit_code, found.problems) == (0, [])
    assert postgres.run("SELECT status, count(*) FROM runs GROUP BY status", runs_in) == [("FINISHED", 3)]
    assert postgres.run("SELECT count(*) FROM studies", studies_in) == [(2,)]
    assert postgres.run("SELECT count(*) FROM trials", studies_in) == [(12,)]
    assert PASSWORD not in found.command
    assert "ciliary:***@" in found.command
    (shown,) = postgres.run("SELECT DISTINCT value FROM params WHERE key = 'storage'", runs_in)
    assert PASSWORD not in shown[0]
    for table in ("params", "tags", "experiment_tags"):
        assert not [row for row in postgres.run(f"SELECT value FROM {table}", runs_in) if PASSWORD in row[0]]
    assert keeping(PASSWORD, tmp_path) == []


@pytest.mark.slow
def test_a_server_that_refuses_us_is_one_line_without_the_password(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.address(password="battery-staple"))
    with pytest.raises(StoreError) as told:
        open_store(tmp_path)
    assert "battery-staple" not in str(told.value)
    assert "\n" not in str(told.value)


def keeping(word, *folders):
    """Files that hold a word."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if word.encode() in path.read_bytes()]


def test_while_a_store_is_gone_it_is_asked_briefly_and_said_once(settings, monkeypatch):
    monkeypatch.delenv(RETRIES, raising=False)
    asked = []

    def fail(*arguments, **more):
        asked.append(os.environ.get(RETRIES))
        if len(asked) < 4:
            raise OSError("no route")

    monkeypatch.setattr("ciliary.tuning.sessions.resume.Session.episode", fail)
    display = Recorder()
    found = play(replace(settings, is_bare=True), display=display)
    assert asked == [None, "0", "0", "0"]  # the last is answered
    assert RETRIES not in os.environ
    assert display.problems == [
        "a.png: not tracked: OSError: no route",
        f"2 more episodes were not tracked; what is done is in {found.folder}/episodes.jsonl, and --resume tracks it",
    ]
    assert found.exit_code == 3
    assert kept_episodes(settings) == [*NAMES]


def test_a_store_that_answers_again_is_given_its_time_again(monkeypatch):
    monkeypatch.setenv(RETRIES, "5")
    outage = Outage()
    with outage.watched():
        assert os.environ[RETRIES] == "5"
    with pytest.raises(OSError, match="gone"), outage.watched():
        raise OSError("gone")
    assert outage.is_news()
    with outage.watched():
        assert os.environ[RETRIES] == "0"
    with outage.briefly():
        assert os.environ[RETRIES] == "5"
