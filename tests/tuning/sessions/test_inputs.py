"""What a session is shown: names that files go by, and what is said of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ciliary.tuning.sessions.inputs import collect


def photograph(path, size=(48, 40)):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((*size, 3), 99, np.uint8)).save(path)
    return str(path)


def test_images_of_one_name_are_told_apart(tmp_path):
    paths = [photograph(tmp_path / folder / "x.png") for folder in "abcdef"]
    inputs, problems, notes = collect(paths[:2], 64)
    assert [item.name for item in inputs] == ["x", "x_2"]
    assert problems == []
    assert notes == [f"several images have one name; kept {paths[1]} as x_2"]
    (note,) = collect(paths, 64)[2]
    assert note.endswith(f"{paths[4]} as x_5, and 1 more")
    assert collect(paths[:1], 64)[2] == []


def test_a_bundled_photograph_is_called_as_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (one,), _, _ = collect(["coffee"], 64)
    assert (one.name, one.label, one.load().path.name) == ("coffee", "coffee", "coffee.png")
    path = photograph(tmp_path / "rocket.png")
    assert [item.label for item in collect([path, "rocket"], 64)[0]] == [path, "rocket"]
