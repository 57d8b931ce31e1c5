"""The command line of things: films, glances and tables, and what the exit code says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ciliary.tuning.cli import app
from ciliary.tuning.track import job
from ciliary.tuning.track.settings import TrackSettings
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "track.py"
QUICK = ["--size", "64"]


def write_film(folder, n=3, *, shape=(48, 64)):
    """Two coloured squares on a ground that slide; frames that sort as text in another order."""
    folder.mkdir(exist_ok=True)
    for i, number in enumerate((8, 9, 10, 11)[:n]):
        page = np.full((*shape, 3), (90, 90, 80), np.uint8)
        page[6:22, 4 + 3 * i : 20 + 3 * i] = (220, 40, 40)
        page[26:42, 34 + 3 * i : 50 + 3 * i] = (40, 60, 220)
        Image.fromarray(page).save(folder / f"f{number}.png")
    return folder


def write_poses(folder, n=3):
    """A camera that stands still before a wall."""
    folder.mkdir()
    film = write_film(folder.parent / "plain", n)
    for i in range(n):
        with Image.open(film / "f8.png") as page:
            page.save(folder / f"{i}.color.png")
        Image.fromarray(np.full((48, 64), 1000, np.uint16)).save(folder / f"{i}.depth.png")
        np.savetxt(folder / f"{i}.pose.txt", np.eye(4))
    return folder


def test_a_film_has_a_figure_a_gif_and_its_things(script, tmp_path, capsys):
    film, out = write_film(tmp_path / "film"), tmp_path / "out"
    assert script.main([str(film), *QUICK, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"track    {out / 'film'}{end}" for end in (".png", ".gif", ".json")]
    with Image.open(out / "film.gif") as gif:
        assert gif.n_frames == 3
    page = json.loads((out / "film.json").read_text(encoding="utf-8"))
    assert page["size_px"] == [48, 64]
    assert [row["frame"] for row in page["frames"]] == ["f8", "f9", "f10"]
    seen = [{t["identity"] for t in row["things"] if t["unseen_frames"] == 0} for row in page["frames"]]
    assert len(seen[0] & seen[1] & seen[2]) >= 3
    red = [next(t for t in row["things"] if abs(t["y_px"] - 13.5) < 2) for row in page["frames"]]
    assert len({t["identity"] for t in red}) == 1
    assert red[2]["x_px"] - red[0]["x_px"] == pytest.approx(6, abs=1)


def test_glances_are_followed_too(script, tmp_path, capsys):
    out = tmp_path / "out"
    assert script.main(["rocket", "--as", "glances", "--fixations", "2", *QUICK, "--out", str(out), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    page = json.loads((out / "rocket.json").read_text(encoding="utf-8"))
    assert [row["frame"] for row in page["frames"]] == ["glance 1", "glance 2"]


def test_the_exam_of_posed_frames(script, tmp_path, capsys):
    folder, out = write_poses(tmp_path / "posed"), tmp_path / "out"
    assert script.main([str(folder), "--exam", *QUICK, "--out", str(out)]) == 1
    assert "--focal-px" in capsys.readouterr().err
    asked = ["--exam", "--focal-px", "60", "--steps", "1", *QUICK, "--out", str(out)]
    assert script.main([str(folder), *asked]) == 0
    printed = capsys.readouterr().out
    assert "true motion, of depth and pose" in printed
    table = (out / "track.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if "| place + code + given flow |" in line)
    assert row.split(" | ")[3].startswith("1.000")
    assert (out / "track.csv").is_file()


def test_the_exams_of_films_and_of_photographs_that_are_moved_over(script, tmp_path, capsys):
    film, out = write_film(tmp_path / "film"), tmp_path / "out"
    assert script.main([str(film), "--exam", "--steps", "1", *QUICK, "--out", str(out)]) == 0
    assert "optical flow stands in" in capsys.readouterr().out
    assert script.main([str(film), "--exam", "--steps", "3", *QUICK, "--out", str(out)]) == 1
    assert "smaller --steps" in capsys.readouterr().err


@pytest.mark.slow
def test_photographs_are_moved_over_where_nothing_is_given(script, tmp_path, capsys):
    assert script.main(["--exam", "--steps", "8", *QUICK, "--out", str(tmp_path)]) == 0
    assert "3 clips: photographs that a camera moves over" in capsys.readouterr().out


def test_one_frame_and_frames_of_other_sizes_are_named(script, tmp_path, capsys):
    one = write_film(tmp_path / "one", 1)
    assert script.main([str(one), *QUICK]) == 1
    assert "2 frames or more" in capsys.readouterr().err
    mixed = write_film(tmp_path / "mixed")
    Image.new("RGB", (64, 64)).save(mixed / "f9.png")
    assert script.main([str(mixed), *QUICK]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "f9.png" in line
    assert "one size" in line
    assert script.main([str(mixed), str(one), *QUICK]) == 1
    assert "one folder of frames or several files" in capsys.readouterr().err
    assert script.main([str(tmp_path / "nowhere"), *QUICK]) == 1


def test_ctrl_c_stops(script, tmp_path, capsys, monkeypatch):
    def stop(*unread, **also_unread):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "watch", stop)
    assert script.main([str(write_film(tmp_path / "film")), *QUICK]) == 130
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["x", "--steps", "2"], "--exam"),
        (["x", "--exam", "--steps", "0"], "steps"),
        (["x", "--exam", "--focal-px", "0"], "focal_px"),
        (["x", "--as", "dreams"], "dreams"),
        (["x", "--as", "glances", "--exam", "--steps", "2"], "glance"),
        (["--as", "frames"], "folder of frames"),
        (["x", "--fixations", "1"], "fixations"),
    ],
)
def test_wrong_options_are_refused(arguments, word, capsys):
    assert app.main(["track", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_what_is_asked_for():
    assert TrackSettings().is_of == "moved"
    assert TrackSettings(images=("x",)).is_of == "frames"
    assert TrackSettings(images=("x",)).all_steps == (1, 2, 4)
    assert TrackSettings(images=("x",), kind="glances").all_steps == (1,)
