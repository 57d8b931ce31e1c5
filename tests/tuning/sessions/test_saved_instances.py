"""Proto-objects as instances beside an episode's maps: made when asked for, gone with the answer they were of."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ciliary.tuning.runs.files import plan_stems
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


def play(settings):
    return run_session(settings, [*inputs_of("a")], make_env=lambda settings: PictureToy(), display=Recorder())


def test_asked_for_later_they_are_made_of_an_episode_that_was_done(settings, tmp_path):
    settings = replace(settings, save=tmp_path / "maps")
    path = tmp_path / "maps" / "a.coco.json"
    play(settings)
    assert not path.exists()
    outcome = play(replace(settings, is_coco=True, is_resumed=True))
    assert outcome.n_before == 0
    assert outcome.records[0]["files"]["coco"] == str(path)
    page = json.loads(path.read_text())
    assert page["images"][0]["height"] == 90
    assert page["annotations"]
    assert {one["category_id"] for one in page["annotations"]} == {page["categories"][0]["id"]}
    play(replace(settings, seed=1))
    assert not path.exists(), "of an answer that is there no more"


def test_somebody_else_s_instances_are_not_written_over(tmp_path):
    (tmp_path / "a.coco.json").write_text('{"annotations": []}')
    assert plan_stems(["a"], ["none"], tmp_path) == [{"none": "a_2"}]


def test_they_lie_beside_maps():
    with pytest.raises(ValueError, match="--save DIR"):
        SessionSettings(is_coco=True)
