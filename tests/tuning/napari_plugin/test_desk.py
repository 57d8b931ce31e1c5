"""The panel without the panel: opened, moved, accommodated, and what layers and files are told."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ciliary.tuning.app import state
from ciliary.tuning.cli.options import assignments
from ciliary.tuning.napari_plugin import mesa
from ciliary.tuning.napari_plugin.asked import Asked
from ciliary.tuning.napari_plugin.desk import TOLD, opened
from ciliary.tuning.napari_plugin.slices import Cut
from ciliary_tests.bright import bright, picky

QUICK = Asked(perceiver=bright, size_px=60, n_trials=4)


@pytest.fixture
def desk(source):
    return opened(source, QUICK)


def moved(desk, **values):
    return desk.become(state.moved(desk.state, desk.seer.table, values))


def test_layers_show_what_the_function_saw(desk, tiles):
    maps = desk.maps()
    # bright: 2 levels below and above 0.5, of six steps from 20 to 200 of 255; numbered from 1, for 0 is seen through
    assert np.array_equal(maps.labels, 1 + (tiles[0] / 255 >= 0.5))
    assert maps.labels.dtype == np.int32
    assert maps.disagreement is None
    assert maps.words.startswith("2 regions · seen at 60 × 40 px · ")
    step = np.flatnonzero(np.diff(maps.labels[0]))
    assert maps.boundary.shape == tiles[0].shape
    assert np.flatnonzero(maps.boundary[5]).tolist() == step.tolist()
    assert maps.page["parameters"] == desk.values


def test_labels_have_the_size_of_the_image_whatever_size_is_seen(source):
    desk = opened(
        replace(
            source, load=lambda: np.kron(source.load(), np.ones((2, 2), np.uint8)), place=Cut((None, None), (80, 120))
        ),
        QUICK,
    )
    maps = desk.maps()
    assert maps.labels.shape == maps.boundary.shape == (80, 120)
    assert "60 × 40 px" in maps.words


def test_a_desk_is_left_as_it_was_by_the_next(desk):
    after = moved(desk, threshold=0.2)
    assert (desk.values["threshold"], after.values["threshold"]) == (0.5, 0.2)
    assert after.maps().labels.max() > desk.maps().labels.max()
    assert after.become(state.undone(after.state)).values == desk.values


def test_the_next_slice_is_seen_by_the_same_at_the_same_values(desk, source, tiles):
    before = moved(desk, threshold=0.2)
    after = opened(replace(source, load=lambda: tiles[2]), QUICK, before)
    assert after.seer is before.seer
    assert after.values == before.values
    assert not np.array_equal(after.maps().labels, before.maps().labels)
    other = opened(source, replace(QUICK, way="tpe"), before)  # no glances; what both have is kept
    assert other.seer is not before.seer
    assert other.values["threshold"] == 0.2
    assert set(other.values) < set(before.values)
    assert opened(source, replace(QUICK, perceiver=picky), before).values["threshold"] == 0.5
    assert opened(source, QUICK, before, reads_anew=True).seer is not before.seer


def test_looks_together_and_where_they_disagree(desk):
    told = []
    start = desk.start(QUICK)
    episode = desk.accommodate(start, lambda progress: told.append((progress.n_done, progress.n_trials)))
    assert told[-1] == (4, 4)
    assert episode.film is None
    after = desk.accommodated(episode, start)
    maps = after.maps()
    assert maps.disagreement is not None
    assert maps.disagreement.shape == maps.labels.shape
    assert 0 <= maps.disagreement.min() <= maps.disagreement.max() <= 1
    assert after.become(state.undone(after.state)).values == desk.values


def test_an_episode_begins_where_it_is_asked_to(desk):
    here = moved(desk, threshold=0.25)
    assert here.start(QUICK).changes == {}
    start = here.start(QUICK, from_here=True)
    assert start.changes == {"threshold": 0.25}
    one = replace(start, asked=replace(QUICK, n_trials=1))
    episode = here.accommodate(one, lambda progress: None)
    assert episode.trace.n_trials == 1
    assert episode.trace.theta["threshold"][0] == pytest.approx(0.25)


def test_an_episode_can_be_stopped(desk):
    class Enough(Exception):
        pass

    def stop(progress):
        raise Enough

    with pytest.raises(Enough):
        desk.accommodate(desk.start(QUICK), stop)


def test_the_command_is_of_the_episode_that_was_played(desk, source):
    words, note = desk.command(desk.start(QUICK))
    assert shlex.split(words)[:3] == ["ciliary", "accommodate", "my_tiles.png"]
    assert note == "my tiles is no file, or a part of one: save what is seen as my_tiles.png first"
    here = moved(desk, threshold=0.25)
    words, _ = here.command(here.start(replace(QUICK, seed=5), from_here=True))
    assert words.endswith("--size 60 --trials 4 --seed 5 --set threshold=0.25")
    filed = replace(desk, source=replace(source, path=Path("/data/cells 1.tif"), limits=(0, 9)))
    words, note = filed.command(filed.start(QUICK))
    assert shlex.split(words)[2] == "/data/cells 1.tif"
    assert note == "the command reads values as they are in the file, not between the contrast limits"


def test_settings_are_those_that_the_commands_read(desk, tmp_path):
    path = tmp_path / desk.settings_name
    after = moved(desk, threshold=0.3, n_levels=3)
    after.save(path)
    assert path.name == "my_tiles.settings.json"
    assert assignments([str(path)]) == {"threshold": 0.3, "n_levels": 3}
    assert desk.load(path).values == after.values
    path.write_text(json.dumps({"set": {"focus": 1}}))
    with pytest.raises(KeyError, match="unknown parameter"):
        desk.load(path)


def test_a_segmenter_that_fails_or_returns_no_label_map_is_named(source):
    desk = opened(source, Asked(perceiver=picky, size_px=60, way="tpe"))
    with pytest.raises(TOLD, match=r"picky\(threshold=0.9\).*ArithmeticError: too bright for me"):
        moved(desk, threshold=0.9).maps()
    with pytest.raises(TOLD, match=r"picky\(threshold=0.75\).*expected a label map"):
        moved(desk, threshold=0.75).maps()
    assert desk.maps().labels.max() == 2  # and goes on


def test_triton_is_left_out_where_the_viewer_draws_by_llvm(tmp_path, monkeypatch):
    maps = tmp_path / "maps"
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    for text, is_left_out in (("7f-80 /usr/lib/libGL.so", False), ("7f-80 /usr/lib/libLLVM-15.so.1", True)):
        maps.write_text(text)
        assert mesa.leave_triton_out(maps) == is_left_out
        assert ("triton" in sys.modules) == is_left_out
    assert not mesa.leave_triton_out(maps)  # it is there, or is left out already
    assert not mesa.leave_triton_out(tmp_path / "gone")
    del sys.modules["triton"]
