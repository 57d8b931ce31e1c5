"""What a session is called where nobody named it, and which command goes on with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


def play(settings, inputs):
    return run_session(settings, inputs, make_env=lambda settings: PictureToy(), display=Recorder())


def test_another_command_does_not_go_on_with_what_failed(settings):
    """Under a name that nobody asked for; the same command does."""

    def broken():
        raise ValueError("no image")

    own = replace(settings, session=None, images=("a",))
    assert play(own, [Input("a", "a", broken)]).name == "a-random-seed0"
    first = own.out / "a-random-seed0"
    assert [record["status"] for record in records.read(first / records.FILE)] == ["FAILED"]  # is on record, too
    plan = (first / "plan.json").read_text()
    for other in (replace(own, images=("../a",)), replace(own, n_trials=5)):
        outcome = play(other, inputs_of("a"))
        assert outcome.name != "a-random-seed0"
        assert outcome.folder.name == outcome.name
    assert (first / "plan.json").read_text() == plan
    again = play(replace(own, n_workers=1, figures="none", save=own.out / "maps"), inputs_of("a"))
    assert again.name == "a-random-seed0"
    assert again.exit_code == 0


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "bundled-looks-seed0"),
        ({"images": ("holiday/My cat (2).jpg", "b.png"), "seed": 3}, "My-cat-2-and-1-looks-seed3"),
        ({"images": ("c.png",), "perceiver": "slic", "controller": "tpe"}, "c-slic-tpe-seed0"),
        ({"images": (np.zeros((4, 4)),)}, "image-looks-seed0"),
    ],
)
def test_a_session_is_called_by_what_is_seen_and_how(asked, name):
    assert SessionSettings(**asked).session_base == name
