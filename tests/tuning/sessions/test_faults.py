"""What was found from outside: names that are no text, figures that fail, outputs as inputs, stores shared."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from PIL import Image

from ciliary.tuning.runs.files import NotWritable
from ciliary.tuning.runs.store import open_store, tracking_uri
from ciliary.tuning.sessions import session as sessions
from ciliary.tuning.sessions.figures import title, write_figure
from ciliary.tuning.sessions.inputs import collect, set_apart
from ciliary.tuning.sessions.notes import describe_session
from ciliary.tuning.sessions.resume import open_session
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


def play(settings, *names, display=None):
    return sessions.run_session(
        settings, inputs_of(*names), make_env=lambda settings: PictureToy(), display=display or Recorder()
    )


def test_a_figure_that_cannot_be_drawn_costs_no_result(settings, tmp_path, monkeypatch):
    def fail(*arguments, **more):
        raise ValueError("no such glyph")

    monkeypatch.setattr("ciliary.tuning.sessions.episode.draw_episode", fail)
    outcome = play(replace(settings, save=tmp_path / "maps"), "a")
    assert outcome.exit_code == 3
    assert outcome.problems == ["a.png: no figure: ValueError: no such glyph"]
    assert len(outcome.records) == 1
    assert (tmp_path / "maps" / "a.labels.png").is_file()
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    assert client.get_run(outcome.run_ids[outcome.records[0]["key"]]).info.status == "FINISHED"


def test_dollars_in_a_name_are_no_formula(tmp_path):
    from ciliary.cortex.plot.sheet import Row, Sheet

    name = title({"image": "Ba$$in $\\x$", "disturbance": "none", "controller": "tpe"})
    write_figure(Sheet(name, name, [Row(1, 1)]).figure, tmp_path / "page.png")


def test_places_are_tried_before_the_work(settings, tmp_path):
    (tmp_path / "file").write_text("")
    PictureToy.n_asked = 0
    with pytest.raises(NotWritable, match="cannot write into"):
        play(replace(settings, save=tmp_path / "file"), "a")
    assert PictureToy.n_asked == 0


def test_annotations_beside_the_photographs_are_left_alone_and_it_is_said(settings, tmp_path):
    (tmp_path / "a.json").write_text('{"shapes": []}')
    display = Recorder()
    outcome = play(replace(settings, save=tmp_path), "a", display=display)
    assert (tmp_path / "a.json").read_text() == '{"shapes": []}'
    assert outcome.records[0]["files"]["json"] == str(tmp_path / "a_2.json")
    assert any("a.json" in line and "a_2" in line for line in display.problems)


def test_own_outputs_are_no_photographs(settings, tmp_path):
    holiday = tmp_path / "holiday"
    holiday.mkdir()
    Image.new("RGB", (64, 48), "grey").save(holiday / "cat.png")
    settings = replace(settings, out=holiday / "runs", save=holiday)
    (holiday / "runs").mkdir()
    (settings.out / "mlflow.db").write_bytes((tmp_path / "out" / "mlflow.db").read_bytes())
    play(settings, "a")
    inputs, problems, notes = collect([holiday], 64)
    assert ([i.name for i in inputs], problems, len(notes)) == (["cat"], [], 1)
    inputs, _, notes = collect([holiday / "a.labels.png"], 64)  # asked for by name, it is what the user wants
    assert ([i.name for i in inputs], notes) == (["a.labels"], [])


def test_a_name_that_is_no_text_stops_nothing(settings, tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        with open(path, "wb") as file:  # noqa: PTH123 -- a name in bytes
            Image.new("RGB", (64, 48), "grey").save(file, "PNG")
    except OSError:
        pytest.skip("this file system takes no such name")
    inputs, _, _ = collect([tmp_path], 64)
    names = {item.name for item in inputs}
    assert "caf?" in names
    (item,) = (item for item in inputs if item.name == "caf?")
    photograph = item.load()
    outcome = sessions.run_session(
        replace(settings, controller="fixed"),
        [replace(item, load=lambda: photograph)],
        make_env=lambda settings: PictureToy(),
        display=Recorder(),
    )
    assert outcome.problems == []


def test_names_are_set_apart_from_files_of_others_in_all_places(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "maps").mkdir()
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "out" / "a.png")
    (tmp_path / "maps" / "a_2.json").write_text("{}")
    said: list[str] = []
    places = (tmp_path / "out", [".png", ".json"]), (tmp_path / "maps", [".json"])
    named = set_apart(inputs_of("a", "b"), *places, say=said.append)
    assert [item.name for item in named] == ["a_2_2", "b"]
    assert len(said) == 1
    assert "a_2_2" in said[0]


def test_a_folder_that_was_there_before_is_no_session_s(settings):
    (settings.out / "s").mkdir(parents=True)
    (settings.out / "s" / "thesis.txt").write_text("mine")
    outcome = play(settings, "a")
    assert outcome.name == "s-2"
    assert [path.name for path in (settings.out / "s").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["../../up", "a/b"])
def test_the_name_of_an_image_in_memory_leads_nowhere(name):
    image = SimpleNamespace(name=name, original_size=(48, 64))
    (item,), _, _ = collect([image], 64)
    assert "/" not in item.name


def test_two_processes_that_share_a_store_and_no_folder_share_no_session(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(settings.out))
    first = open_session(open_store(settings.out), settings)
    other = replace(settings, out=tmp_path / "elsewhere")
    second = open_session(open_store(other.out), other)
    assert (first.name, second.name) == ("s", "s-2")
    for session in (first, second):
        session.close("FINISHED", metrics={})


def test_a_session_tells_its_best_and_its_worst_episode(settings):
    outcome = play(replace(settings, controller="cmaes", n_trials=13, population=6, use_guard=False), "a", "b")
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    (run,) = client.search_runs(["0", "1", "2"], "tags.`ciliary.kind` = 'session'")
    gains = {outcome.run_ids[r["key"]]: r["before"]["total"] - r["after"]["total"] for r in outcome.records}
    assert run.data.tags["ciliary.best_episode"] == max(gains, key=gains.__getitem__)
    assert run.data.tags["ciliary.worst_episode"] == min(gains, key=gains.__getitem__)
    note = run.data.tags["mlflow.note.content"]
    assert all(f"/runs/{run_id}?" in note for run_id in gains)
    assert describe_session([], {}, ["x: no"], "1").startswith("0 episodes, 1 failed")
