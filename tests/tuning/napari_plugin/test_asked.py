"""What the panel asks for, as a session's settings, as words, and as a file of one's own."""

from __future__ import annotations

import shlex
import sys

import pytest

from ciliary.cortex import SegmenterPerceiver
from ciliary.tuning.cli.app import COMMANDS
from ciliary.tuning.napari_plugin.asked import SEERS, WAYS, Asked, named, own
from ciliary.tuning.sessions.settings import SessionSettings

MINE = """
import numpy as np

def grey(image):
    return image.mean(-1)

def segment(image, *, threshold=0.5):
    return grey(image) > threshold
"""


def loud(image, *, level=0.5):
    return image.mean(-1) > level


held = SegmenterPerceiver(loud, {"level": (0.1, 0.9, 0.5)}, name="held")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]


def test_every_choice_is_a_session():
    for who in SEERS:
        for way in WAYS:
            settings = Asked(perceiver=who, way=way, n_trials=7, seed=3, size_px=64).session()
            assert settings.is_integrated == (way == "looks")
            assert (settings.n_trials, settings.seed, settings.size_px) == (7, 3, 64)
    with pytest.raises(ValueError, match="expected one of looks, tpe, hybrid, got 'guess'"):
        Asked(way="guess")


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(perceiver="none", way="tpe", n_trials=9),
        Asked(perceiver="felzenszwalb", seed=4, size_px=100),
        Asked(perceiver=f"{__name__}:loud", way="hybrid"),
    ],
)
def test_the_command_makes_the_settings_again(asked, monkeypatch):
    made = []
    kind, _ = COMMANDS["accommodate"]
    assert kind is SessionSettings
    monkeypatch.setattr("ciliary.tuning.sessions.accommodate.accommodate", lambda settings: made.append(settings) or 0)
    from ciliary.tuning.cli.app import main

    changes = {"sigma_px": 0.7} if asked.perceiver == "felzenszwalb" else {}
    program, *words = shlex.split(asked.command("a photo.jpg", **changes))
    assert program == "ciliary"
    assert main(words) == 0
    (settings,) = made
    assert settings.images == ("a photo.jpg",)
    wanted = asked.session(**changes)
    for name in (
        "perceiver",
        "inherited",
        "answer",
        "controller",
        "objective",
        "n_trials",
        "seed",
        "size_px",
        "changes",
    ):
        assert getattr(settings, name) == getattr(wanted, name), name


def test_a_file_of_one_s_own_is_found_and_read_anew(folder):
    path = folder / "mine_of_a_test.py"
    path.write_text(MINE)
    assert own(str(path)) == ("mine_of_a_test:segment", folder)
    assert own(f"{path}:grey") == ("mine_of_a_test:grey", folder)
    asked = Asked(perceiver=str(path))
    assert asked.session().perceiver == "mine_of_a_test:segment"
    words = asked.command("photo.png")
    assert words == f"cd {folder} && ciliary accommodate photo.png --perceiver mine_of_a_test:segment"
    first = sys.modules["mine_of_a_test"]
    path.write_text(MINE.replace("segment", "divide"))
    assert own(str(path), reads_anew=True)[0] == "mine_of_a_test:divide"
    assert sys.modules["mine_of_a_test"] is not first


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("def one(image, a=1): ...\ndef two(image, a=1): ...", "say which function segments.*it holds one, two"),
        ("x = 1", "no function with an image and numbers"),
        ("import nothing_of_this_name", "its module fails while it is imported"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_file_that_is_not_clear_is_named(folder, text, what):
    path = folder / "unclear_of_a_test.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"unclear_of_a_test.*{what}"):
        own(str(path))


def test_other_names_are_refused_with_what_was_expected(folder):
    with pytest.raises(ValueError, match=r"module:function or mine\.py:function, got 'what is this'"):
        own("what is this")
    with pytest.raises(ValueError, match="no such file"):
        own(str(folder / "gone.py"))
    (folder / "2nd.py").write_text(MINE)
    with pytest.raises(ValueError, match="Python cannot import a file of this name"):
        own(str(folder / "2nd.py"))
    (folder / "json.py").write_text(MINE)
    with pytest.raises(ValueError, match="finds another module 'json' first"):
        own(str(folder / "json.py"))


def test_a_function_is_kept_by_its_name():
    asked = Asked(perceiver=loud)
    assert asked.perceiver == f"{__name__}:loud" == named(loud)
    with pytest.raises(ValueError, match="cannot be found again by its name"):
        Asked(perceiver=lambda image, a=1: image)
    with pytest.raises(ValueError, match="segment lives in this session alone"):
        Asked(perceiver="__main__:segment").command("photo.png")
