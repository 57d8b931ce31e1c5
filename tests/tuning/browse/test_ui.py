"""``ciliary ui``: the right store, links that lead there, a port that is free, and one line for what is wrong."""

from __future__ import annotations

import json
import os
import shlex
import socket
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient

from ciliary.tuning.browse import job
from ciliary.tuning.browse.find import links_of, pair_of
from ciliary.tuning.browse.server import NoServer, free_port
from ciliary.tuning.browse.settings import UiSettings
from ciliary.tuning.runs.store import SESSIONS, look_into, tracking_uri
from ciliary.tuning.sessions.inputs import collect
from ciliary.tuning.sessions.session import run_session
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


def query(link):
    """What an address asks for, after its ``#``."""
    return parse_qs(urlsplit(urlsplit(link).fragment).query)


@pytest.fixture
def played(settings):
    """A session of two controllers' episodes each, in one store."""
    from dataclasses import replace

    names = []
    for controller in ("random", "cmaes"):
        own = replace(settings, controller=controller, session=controller, use_guard=False)
        found = run_session(own, [*inputs_of("a", "b")], make_env=lambda s: PictureToy(), display=Recorder())
        names.append(found.name)
    return settings, names


def test_links_and_what_they_lead_to(played, capsys):
    settings, names = played
    client = look_into(tracking_uri(settings.out))
    links = links_of(client)
    assert len(links) == 3
    every, session, pair = links.values()
    (tag,) = query(every)["viewStateShareKey"]
    assert tag == names[-1]  # of the newest session
    experiment = client.get_experiment_by_name(SESSIONS)
    assert "random" in links_of(client, "random")["all episodes of random"]
    view = experiment.tags[f"mlflow.sharedViewState.{tag}"]
    assert view.index("gain/total") < view.index("after/total")
    (kept,) = client.search_runs([experiment.experiment_id], "tags.`ciliary.kind` = 'session'", max_results=1)
    assert f"/runs/{kept.info.run_id}?" in session
    ids = json.loads(query(pair)["runs"][0])
    tags = [client.get_run(one).data.tags for one in ids]
    assert {one["ciliary.controller"] for one in tags} == {"random", "cmaes"}
    assert len({one["ciliary.fingerprint"] for one in tags}) == 1
    assert all(query(link)["workflowType"] == ["machine_learning"] for link in links.values())

    assert job.run(UiSettings(address=str(settings.out), is_served=False, port=7000)) == 0
    printed = capsys.readouterr().out.split()
    assert [word for word in printed if "://" in word] == [f"http://127.0.0.1:7000/{link}" for link in links.values()]
    assert job.run(UiSettings(session="other", address=str(settings.out), is_served=False)) == 1
    assert "no session 'other' in this store" in capsys.readouterr().err


def test_a_session_compares_its_episodes(played):
    settings, _ = played
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    runs = client.search_runs([client.get_experiment_by_name(SESSIONS).experiment_id])
    session = next(r for r in runs if r.data.tags["ciliary.session"] == "cmaes" and "ciliary.key" not in r.data.tags)
    own = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == session.info.run_id]
    gains = [r.data.metrics["gain/total"] for r in own]
    numbers = session.data.metrics
    assert numbers["gain/total"] == pytest.approx(sum(gains) / 2)
    assert numbers["gain/total_low"] == pytest.approx(min(gains))  # of two, resampled: one of them twice
    assert numbers["gain/total_high"] == pytest.approx(max(gains))
    note = session.data.tags["mlflow.note.content"]
    assert "--controller cmaes --trials 6" in note
    assert all(f"/runs/{r.info.run_id}?" in note for r in own)
    files = {file.path for file in client.list_artifacts(session.info.run_id)}
    assert {"episodes.json", "figures"} <= files


def test_no_store_and_no_session_are_one_line(out, tmp_path, capsys):
    assert job.run(UiSettings(address=str(tmp_path / "nowhere"))) == 1
    assert job.run(UiSettings(address=str(out))) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"ui: no tracking store at {tmp_path}/nowhere/mlflow.db")
    assert second.endswith("no session in this store; make one with: ciliary accommodate photo.jpg")
    assert not (tmp_path / "nowhere").exists()


def test_the_store_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    stores = [tmp_path / "runs" / name / "mlflow.db" for name in ("accommodate", "gaze")]
    assert job.store_of(None, tmp_path) == f"sqlite:///{stores[0]}"
    for age_s, store in zip((0, 60), stores, strict=True):
        (store.parent / "session").mkdir(parents=True)
        store.touch()
        os.utime(store, (1e9 - age_s, 1e9 - age_s))
    assert job.store_of(None, tmp_path) == f"sqlite:///{stores[0]}"  # the newest
    assert job.store_of(str(stores[1].parent / "session")) == f"sqlite:///{stores[1]}"
    assert job.store_of("http://tracking:5000") == "http://tracking:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    assert job.store_of(None, tmp_path) == "http://elsewhere:5000"
    assert job.store_of(str(stores[1].parent)) == f"sqlite:///{stores[1]}"


def test_a_taken_port_is_passed_over_or_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", None, port) > port
        with pytest.raises(NoServer, match=f"port {port} of 127.0.0.1 cannot be had: .*; name another with --port"):
            free_port("127.0.0.1", port, 5000)


def test_a_pair_is_of_one_image_under_one_disturbance():
    def episode(**tags):
        return SimpleNamespace(data=SimpleNamespace(tags={f"ciliary.{name}": text for name, text in tags.items()}))

    one = episode(image="a", disturbance="none", controller="tpe")
    others = [
        episode(image="a", disturbance="fog:1", controller="panel"),
        episode(image="b", disturbance="none", controller="panel"),
        episode(image="a", disturbance="none", controller="tpe"),
    ]
    assert pair_of([one, *others]) is None
    match = episode(image="a", disturbance="none", controller="panel")
    assert pair_of([one, *others, match]) == {"tpe": one, "panel": match}


def test_the_note_of_a_photograph_says_how_it_is_seen_again(settings, tmp_path):
    from PIL import Image

    path = tmp_path / "a cat.png"
    Image.new("RGB", (64, 48), "brown").save(path)
    inputs, problems, _ = collect([str(path)], 64)
    assert not problems
    run_session(settings, inputs, make_env=lambda s: PictureToy(), display=Recorder())
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    known = client.get_experiment_by_name(SESSIONS).experiment_id
    (run,) = client.search_runs([known], "tags.`ciliary.kind` = 'episode'")
    note = run.data.tags["mlflow.note.content"]
    command = note.split("```")[1].replace("\\\n", " ")
    words = shlex.split(command)
    assert words[:5] == ["ciliary", "accommodate", str(path), "--size", "64"]
    assert {"--controller", "random", "--trials", "6", "--population", "3"} <= {*words}
    assert not {"--out", "--session", "--disturb"} & {*words}
    assert run.info.run_name == "a cat random"
    assert "(above 0 is better)" in note.split("\n\n")[1]
