"""Into the folder of the photographs itself: what lies there stays as it was, and what is written is no input again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ciliary.tuning.cli import app
from ciliary.tuning.gaze import session as gazing


@pytest.fixture
def film(tmp_path):
    """Three frames of one film, and what else a user may keep under the names that ours would have."""
    folder = tmp_path / "film"
    folder.mkdir()
    for i in range(3):
        page = np.full((36, 48, 3), (90, 90, 80), np.uint8)
        page[6:22, 4 + 3 * i : 20 + 3 * i] = (220, 40, 40)
        Image.fromarray(page).save(folder / f"f{i}.png")
    for name in ("f0.json", "film.json"):
        (folder / name).write_text('{"shapes": []}')
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("motion", {"f0_2.png"}),
        ("track", {"film_2.png", "film_2.gif", "film_2.json"}),
        pytest.param("gaze", {f"f{i}_2.{end}" for i in range(3) for end in ("png", "json")}, marks=pytest.mark.slow),
    ],
)
def test_no_command_writes_over_what_it_did_not_write(command, made, film, capsys, monkeypatch):
    before = contents(film)
    more = ["--fixations", "2", "--no-animation"] if command == "gaze" else []
    for _ in range(2):  # and what it wrote is neither an input of the second time, nor in its way
        assert app.main([command, str(film), "--size", "48", "--out", str(film), *more]) == 0, capsys.readouterr().err
        after = contents(film)
        assert {name: after[name] for name in before} == before
        assert {name for name in after if name.rpartition(".")[2] in ("png", "gif", "json")} == {*before, *made}
        assert "not ours" in capsys.readouterr().err


def test_a_figure_that_cannot_be_drawn_costs_no_gaze(film, tmp_path, monkeypatch, capsys):
    def fail(*arguments, **more):
        raise ValueError("no such glyph")

    monkeypatch.setattr(gazing, "draw_gaze", fail)
    out = tmp_path / "out"
    arguments = [str(film / "f0.png"), "--size", "48", "--fixations", "2", "--no-animation", "--out", str(out)]
    assert app.main(["gaze", *arguments, "--save", str(tmp_path / "maps")]) == 3
    assert "no figure: ValueError: no such glyph" in capsys.readouterr().err
    assert (out / "f0.json").is_file()
    assert (tmp_path / "maps" / "f0.priority.png").is_file()
