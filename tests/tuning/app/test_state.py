"""The page without the page: what a tab is at, and what is perceived of it; what comes from outside."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import sys
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.app import export, pictures, state
from ciliary.tuning.app.eye import Eye
from ciliary.tuning.app.job import find, free_port, run
from ciliary.tuning.app.settings import OpenSettings
from ciliary.tuning.app.words import told


def test_moving_a_parameter_changes_the_percept(tab, eye):
    before = state.seen(tab, eye)
    after = state.seen(state.moved(tab, eye.table, {"merge_threshold": 2.0}), eye)
    assert after.labels().max() < before.labels().max()  # more is merged
    assert torch.equal(before.labels(), state.seen(tab, eye).labels())  # the tab that it came from is as it was


def test_what_depends_on_the_image_alone_is_computed_once(settings, eye, monkeypatch):
    asked = []
    cues = type(eye.perceiver).cues
    monkeypatch.setattr(type(eye.perceiver), "cues", lambda self, image: asked.append(1) or cues(self, image))
    item, shown = find(settings)[0]["tiles"]
    tab = state.opened(eye, eye.open(item, shown.load()))
    for value in (0.1, 0.5, 1.5):
        state.seen(state.moved(tab, eye.table, {"merge_threshold": value}), eye)
    assert len(asked) == 1


def test_steps_are_undone_one_by_one_and_all_at_once(tab, eye):
    before = tab.now
    for value in (0.3, 0.4, 0.5):  # a slider on its way
        tab = state.previewed(tab, eye.table, "merge_threshold", value)
    tab = state.committed(tab, before)
    tab = state.moved(tab, eye.table, {"n_regions": 4})
    assert len(tab.past) == 2
    back = state.undone(tab)
    assert (back.values["merge_threshold"], back.values["n_regions"]) == (0.5, eye.defaults["n_regions"])
    assert state.undone(back).values == eye.defaults
    home = state.reset(tab, eye)
    assert home.values == eye.defaults
    assert state.undone(home).values == tab.values
    assert state.reset(home, eye) is not home
    assert len(state.reset(home, eye).past) == len(home.past)  # where nothing changes there is no step
    assert not state.undone(state.undone(back)).can_undo


def test_values_out_of_range_and_unknown_names_are_refused(tab, eye):
    with pytest.raises(ValueError, match=r"merge_threshold must lie in 0.02..2, got 3"):
        state.moved(tab, eye.table, {"merge_threshold": 3.0})
    with pytest.raises(KeyError, match="unknown parameter"):
        state.moved(tab, eye.table, {"focus": 3.0})


def test_an_episode_becomes_the_tab_s_and_its_maps_are_those_of_a_session(tab, eye, photo):
    told = []
    episode = eye.accommodate(tab.scene, lambda progress: told.append(progress.n_done))
    assert told[-1] == 4
    after = state.accommodated(tab, eye, episode)
    assert after.episode is episode
    chosen = episode.trace.theta_chosen
    assert all(after.values[name] == pytest.approx(chosen[name], rel=1e-4, abs=1e-6) for name in chosen)
    assert state.undone(after).values == tab.values
    assert episode.film is None or episode.film.startswith(b"GIF89a")
    with zipfile.ZipFile(io.BytesIO(export.maps_zip(after, eye))) as archive:
        names = {"tiles.labels.png", "tiles.boundary.png", "tiles.regions.png", "tiles.json", "tiles.npz"}
        assert set(archive.namelist()) == names
        labels = np.array(Image.open(io.BytesIO(archive.read("tiles.labels.png"))))
        packed = np.load(io.BytesIO(archive.read("tiles.npz")))
        page = json.loads(archive.read("tiles.json"))
    assert labels.shape == (80, 100)  # the file's own size
    assert np.array_equal(labels, packed["labels"])
    assert packed["boundary"].shape == tab.scene.photograph.image.shape[-2:]
    assert page["made_by"] == "Ciliary"
    assert page["set"] == eye.changed(after.values)


def test_an_episode_from_the_sliders_is_that_of_a_session_that_begins_there(tab, eye, settings):
    moved = state.moved(tab, eye.table, {"merge_threshold": 1.3, "n_regions": 5.0})
    episode = eye.accommodate(tab.scene, lambda progress: None, moved.values)
    began = eye.table.by_name(episode.trace.u[:1])
    assert began["merge_threshold"][0] == pytest.approx(1.3, rel=1e-5)
    other = Eye(replace(settings, changes={"merge_threshold": 1.3, "n_regions": 5.0}).session)
    same = other.accommodate(tab.scene, lambda progress: None)
    np.testing.assert_array_equal(episode.trace.u, same.trace.u)
    np.testing.assert_array_equal(episode.trace.total, same.trace.total)
    assert "began at the sliders" in told(episode)
    assert "began" not in told(same)


def test_an_episode_can_be_stopped(tab, eye):
    class Enough(Exception):
        pass

    def stop(progress):
        raise Enough

    with pytest.raises(Enough):
        eye.accommodate(tab.scene, stop)


def test_looks_together_are_shown_until_a_slider_moves(photo):
    asked = OpenSettings((str(photo),), size_px=48, perceiver="slic", n_trials=4, use_guard=False)
    eye = Eye(asked.session)
    item, _ = find(asked)[0]["tiles"]
    tab = state.opened(eye, eye.open(item))
    episode = eye.accommodate(tab.scene, lambda progress: None)
    assert episode.together is not None
    after = state.accommodated(tab, eye, episode)
    assert state.seen(after, eye) is episode.together
    assert "uncertainty" in np.load(_file(export.maps_zip(after, eye), "tiles.npz"))
    alone = state.moved(after, eye.table, {"compactness": 3.0})
    assert state.seen(alone, eye) is not episode.together
    assert state.seen(state.compared(alone, is_together=True), eye) is episode.together
    doubtful = pictures.sheet(after, eye, "disagreement")
    assert "on average (of 1)" in doubtful.words
    assert "accommodate first" in pictures.sheet(tab, eye, "disagreement").words
    darker = state.moved(tab, eye.table, {"glance_gamma": 2.0})  # another light, another image: no cues of the first
    assert state.seen(darker, eye).labels().shape == state.seen(tab, eye).labels().shape


def _file(archive: bytes, name: str) -> io.BytesIO:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return io.BytesIO(opened.read(name))


def test_what_is_uploaded_is_a_picture_or_named(eye, photo):
    scene = eye.open_upload(photo.read_bytes(), "cat.png")
    assert scene.photograph.name == "cat"
    assert scene.photograph.path is None
    assert max(scene.size) == 576
    for data, reason in ((b"", "is empty"), (b"<svg/>", "not an image"), (photo.read_bytes()[:200], "broken")):
        with pytest.raises(UnreadableImage, match=rf"^cat.png: .*{reason}"):
            eye.open_upload(data, "cat.png")


def test_a_broken_image_is_named_and_nothing_is_served(tmp_path, monkeypatch, capsys, quick):
    monkeypatch.setattr("ciliary.tuning.app.job.importlib.import_module", lambda name: None)
    monkeypatch.setitem(sys.modules, "ciliary.tuning.app.page", SimpleNamespace(serve=None))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    assert run(OpenSettings((str(broken),), **quick)) == 1
    assert "broken.jpg: " in capsys.readouterr().err


def test_without_the_library_the_command_says_how_to_get_it(monkeypatch, capsys):
    def gone(name):
        raise ImportError(name)

    monkeypatch.setattr("ciliary.tuning.app.job.importlib.import_module", gone)
    assert run(OpenSettings()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("open: ")
    assert re.search(r"python\S* -m pip install .*\[app\]'", line)


def test_a_taken_port_is_named_and_another_found_unless_it_was_asked_for():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {taken}.*another with --port"):
            free_port("127.0.0.1", taken)
    assert free_port("127.0.0.1", None) >= 8400
    with pytest.raises(ValueError, match="at most 65535"):
        OpenSettings(port=70000)


def test_a_request_that_says_it_is_larger_than_any_picture_is_not_read():
    pytest.importorskip("nicegui")
    from ciliary.tuning.app.incoming import MOST_BYTES, SizeLimit

    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def answer(length):
        sent = []

        async def send(message):
            sent.append(message)

        await SizeLimit(page)({"type": "http", "headers": [(b"content-length", length)]}, None, send)
        return sent[0]["status"]

    assert asyncio.run(answer(b"5")) == 200
    assert asyncio.run(answer(str(2 * MOST_BYTES).encode())) == 413
    assert asyncio.run(answer(b"-1")) == 413


def test_a_hint_says_what_a_parameter_does_and_from_where_to_where(eye):
    from ciliary.tuning.app.rows import called, hint, with_unit

    row = eye.table["blur_sigma_px"]
    assert hint(row).split("\n") == [
        "Blur before everything else (the optics of the eye).",
        "0.3 to 3 px, default 0.68",
        "source: measured",
        "--set blur_sigma_px=…",
    ]
    assert (called(row), with_unit(row, 1.2)) == ("blur sigma", "1.2 px")
    assert (called(eye.table["n_regions"]), with_unit(eye.table["n_regions"], 8)) == ("regions", "8")
