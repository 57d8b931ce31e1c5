"""The page without the page: what a tab is at, what is perceived and drawn of it, and what can be taken home."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import socket
import sys
import zipfile
from base64 import b64decode
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.cortex.plot.paint import own_colours
from ciliary.envs.data.reading import UnreadableImage, read_image
from ciliary.tuning.app import export, pictures, state
from ciliary.tuning.app.eye import Eye
from ciliary.tuning.app.job import find, free_port, run
from ciliary.tuning.app.settings import OpenSettings
from ciliary.tuning.app.words import told
from ciliary.tuning.cli import app
from ciliary.tuning.cli.options import assignments
from ciliary.tuning.inspect.job import theta_of
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.playing import play

QUICK = {"size_px": 48, "inherited": "none", "answer": "best", "controller": "random", "n_trials": 4}


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    rng = np.random.default_rng(0)
    page = np.kron(rng.integers(0, 255, (4, 5, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    path = tmp_path_factory.mktemp("photos") / "tiles.png"
    Image.fromarray(page).save(path)
    return path


@pytest.fixture(scope="module")
def settings(photo):
    return OpenSettings((str(photo),), use_guard=False, **QUICK)


@pytest.fixture(scope="module")
def eye(settings):
    return Eye(settings.session)


@pytest.fixture
def tab(settings, eye):
    inputs, problems = find(settings)
    assert not problems
    item, shown = inputs["tiles"]
    return state.opened(eye, eye.open(item, shown.load()))


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


def test_exported_settings_are_taken_up_by_the_page_and_by_the_command_line(tab, eye, tmp_path):
    tab = state.moved(tab, eye.table, {"merge_threshold": 0.7, "n_regions": 5.0})
    path = tmp_path / "tiles.settings.json"
    path.write_bytes(export.settings_json(tab, eye))
    assert export.taken_up(path.read_text(), path.name, eye) == tab.values
    assert assignments([str(path)]) == {"merge_threshold": 0.7, "n_regions": 5.0}
    assert assignments([str(path), "n_regions=6"])["n_regions"] == 6
    theta = theta_of(assignments([str(path)]))
    assert theta["merge_threshold"].item() == pytest.approx(0.7)
    assert Eye(OpenSettings(changes=assignments([str(path)]), **QUICK).session).defaults == tab.values
    words = export.command_line(tab, eye).split("tiles.png ")[1]
    assert words == (
        "--size 48 --inherited none --answer best --controller random --trials 4 --objective agreement "
        "--set n_regions=5.0 --set merge_threshold=0.7 --no-guard"
    )
    assert json.loads(path.read_text())["command"] == export.repeating_line(tab, eye)


def answered(command, monkeypatch):
    """What a command line of ``accommodate`` comes to."""
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(app, "run_job", lambda name, job, found: asked.append(found) or 0)
        assert app.main(shlex.split(command)[1:]) == 0
    (settings,) = asked
    (path,) = settings.images
    played = play(
        make_env(settings),
        make_controller(settings),
        read_image(path, settings.size_px),
        seed=settings.seed,
        n_trials=settings.n_trials,
        guard=Guard() if settings.use_guard else None,
        looking=Looking() if settings.is_integrated else None,
    )
    return played.after


def assert_same(one, other):
    assert torch.equal(one.labels(), other.labels())
    assert torch.equal(one.boundary, other.boundary)


@pytest.mark.parametrize("perceiver", ["cortex", "slic"])
def test_the_copied_command_sees_what_is_shown_bit_by_bit(perceiver, photo, monkeypatch):
    how = {"perceiver": perceiver} if perceiver == "slic" else {"inherited": "none"}
    eye = Eye(OpenSettings((str(photo),), size_px=48, n_trials=4, use_guard=False, **how).session)
    item, _ = find(OpenSettings((str(photo),), size_px=48))[0]["tiles"]
    tab = state.opened(eye, eye.open(item))
    threshold = 11.37 if perceiver == "slic" else 0.7713
    tab = state.moved(tab, eye.table, {"merge_threshold": threshold, "glance_gamma": 1.31})
    assert_same(state.seen(tab, eye), answered(export.repeating_line(tab, eye), monkeypatch))
    tab = state.accommodated(tab, eye, eye.accommodate(tab.scene, lambda progress: None, tab.values))
    assert tab.now.is_together
    assert_same(state.seen(tab, eye), answered(export.repeating_line(tab, eye), monkeypatch))
    alone = state.compared(tab, is_together=False)
    assert_same(state.seen(alone, eye), answered(export.repeating_line(alone, eye), monkeypatch))


@pytest.mark.parametrize("text", ["no json", "[1]", '{"set": {"n_regions": "many"}}', '{"image": "cat"}'])
def test_other_files_are_no_settings(text, eye, tmp_path):
    with pytest.raises(ValueError, match=r"x.json: expected JSON with a number for each name"):
        export.taken_up(text, "x.json", eye)
    with pytest.raises(ValueError, match=r"gone.json: No such file"):
        assignments([str(tmp_path / "gone.json")])


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
        names = {"tiles.labels.png", "tiles.boundary.png", "tiles.json", "tiles.npz"}
        assert set(archive.namelist()) == names
        labels = np.array(Image.open(io.BytesIO(archive.read("tiles.labels.png"))))
        packed = np.load(io.BytesIO(archive.read("tiles.npz")))
        page = json.loads(archive.read("tiles.json"))
    assert labels.shape == (80, 100)  # the file's own size
    assert np.array_equal(labels, packed["labels"])
    assert packed["boundary"].shape == tab.scene.photograph.image.shape[-2:]
    assert page["made_by"] == "Ciliary"
    assert page["set"] == state.changed(eye, after.values)


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
    assert "% on average" in doubtful.words
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


def test_borders_lie_on_both_sides_of_a_step_and_nowhere_else():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]])
    lines = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert np.array_equal(pictures.borders(labels), np.array(lines, bool))


def test_regions_are_painted_as_figures_paint_them():
    rng = np.random.default_rng(1)
    labels = np.kron(rng.permutation(12).reshape(3, 4), np.ones((8, 8), int))
    picture = np.kron(rng.random((3, 4, 3)), np.ones((8, 8, 1)))
    painted = pictures.region_colours(picture, labels)[labels]
    np.testing.assert_allclose(painted, own_colours(picture, labels), atol=1e-12)
    labels[3, 3] = 12  # between the pixels that are looked at: some colour, no error
    assert np.isfinite(pictures.region_colours(picture, labels)[labels]).all()


@pytest.mark.parametrize("n", [12, 300])  # with a palette of bytes, and without
def test_a_picture_of_regions_has_their_colours_and_white_borders(tab, n):
    labels = (np.arange(tab.scene.size[0] * tab.scene.size[1]).reshape(tab.scene.size) // 500) % n
    lines = pictures.borders(labels)
    page = _opened(pictures.regions(tab.scene, labels, lines))
    np.testing.assert_allclose(page[~lines] / 255, pictures.region_colours(tab.scene.picture, labels)[labels][~lines],
                               atol=0.5 / 255)  # fmt: skip
    assert (page[lines] == 255).all()


def test_borders_are_seen_through(tab, eye):
    drawn = pictures.sheet(tab, eye, "regions")
    layer = np.array(Image.open(io.BytesIO(b64decode(drawn.lines.partition(",")[2]))).convert("RGBA"))
    lines = pictures.borders(pictures.labels_of(tab.scene, state.seen(tab, eye)))
    np.testing.assert_array_equal(layer[..., 3], np.where(lines, 255, 0))


def _opened(address):
    return np.array(Image.open(io.BytesIO(b64decode(address.partition(",")[2]))).convert("RGB"))


def test_a_broken_image_is_named_and_nothing_is_served(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ciliary.tuning.app.job.importlib.import_module", lambda name: None)
    monkeypatch.setitem(sys.modules, "ciliary.tuning.app.page", SimpleNamespace(serve=None))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    assert run(OpenSettings((str(broken),), **QUICK)) == 1
    assert "broken.jpg: " in capsys.readouterr().err


def test_without_the_library_the_command_says_how_to_get_it(monkeypatch, capsys):
    def gone(name):
        raise ImportError(name)

    monkeypatch.setattr("ciliary.tuning.app.job.importlib.import_module", gone)
    assert run(OpenSettings()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("open: ")
    assert "pip install 'ciliary[app]'" in line


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
    pytest.importorskip("nicegui")
    from ciliary.tuning.app.sliders import called, hint, with_unit

    row = eye.table["blur_sigma_px"]
    assert hint(row).split("\n") == [
        "Blur before everything else (the optics of the eye).",
        "0.3 to 3 px, default 0.68",
        "source: measured",
        "--set blur_sigma_px=…",
    ]
    assert (called(row), with_unit(row, 1.2)) == ("blur sigma", "1.2 px")
    assert (called(eye.table["n_regions"]), with_unit(eye.table["n_regions"], 8)) == ("regions", "8")
