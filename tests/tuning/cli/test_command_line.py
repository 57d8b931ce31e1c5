"""Settings written as a command are the settings that the command asks for."""

from __future__ import annotations

import shlex

import pytest

from ciliary.tuning.cli import app
from ciliary.tuning.cli.command_line import command_of
from ciliary.tuning.sessions.settings import SessionSettings


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"controller": "cmaes", "n_trials": 24, "size_px": 96, "changes": {"n_regions": 6.5, "blur_sigma_px": -1e-3}},
        {"disturbances": ("none", "fog:3"), "use_guard": False, "seed": 3, "out": "a folder", "is_animated": False},
        {"learned": ("m2", "m5"), "perceiver": "cortex", "objective": "raw", "save": "maps & more"},
        {"perceiver": "mine.py:segment", "is_bare": True},
    ],
)
def test_round_trip(asked, monkeypatch):
    settings = SessionSettings(images=("a b.jpg", "it's.png"), **asked)
    ciliary, *words = shlex.split(command_of("accommodate", settings, settings.images))
    seen = []
    monkeypatch.setattr(app, "run_job", lambda name, job, found: seen.append(found) or 0)
    assert (ciliary, app.main(words), seen) == ("ciliary", 0, [settings])


def test_what_is_at_its_default_is_not_written():
    assert command_of("accommodate", SessionSettings(size_px=96), ["cat"], controller=None, answer=None, objective=None,
                      inherited=None) == "ciliary accommodate cat --size 96"  # fmt: skip
