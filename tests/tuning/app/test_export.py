"""What can be taken home from the page, and what repeats it."""

from __future__ import annotations

import json
import shlex

import pytest
import torch

from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.envs.data.reading import read_image
from ciliary.tuning.app import export, state
from ciliary.tuning.app.eye import Eye
from ciliary.tuning.app.job import find
from ciliary.tuning.app.settings import OpenSettings
from ciliary.tuning.cli import app
from ciliary.tuning.cli.options import assignments
from ciliary.tuning.inspect.job import theta_of
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.playing import play


def test_exported_settings_are_taken_up_by_the_page_and_by_the_command_line(tab, eye, tmp_path, quick):
    tab = state.moved(tab, eye.table, {"merge_threshold": 0.7, "n_regions": 5.0})
    path = tmp_path / "tiles.settings.json"
    path.write_bytes(export.settings_json(tab, eye))
    assert export.taken_up(path.read_text(), path.name, eye) == tab.values
    assert assignments([str(path)]) == {"merge_threshold": 0.7, "n_regions": 5.0}
    assert assignments([str(path), "n_regions=6"])["n_regions"] == 6
    theta = theta_of(assignments([str(path)]))
    assert theta["merge_threshold"].item() == pytest.approx(0.7)
    assert Eye(OpenSettings(changes=assignments([str(path)]), **quick).session).defaults == tab.values
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
