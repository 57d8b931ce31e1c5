"""The command line of looking: pages, problems, and what the exit code says."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from PIL import Image

from ciliary.tuning.inspect import job, techniques
from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.inspect.techniques import NAMES
from ciliary.tuning.sessions.inputs import SHOWCASE
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.learned import write_untrained
from ciliary_tests.loading import SCRIPTS, load_script

SCRIPT = SCRIPTS / "look.py"
QUICK = ["--size", "48"]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    rng = np.random.default_rng(0)
    page = np.kron(rng.integers(0, 255, (3, 4, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(page).save(path)  # 80 x 60
    return path


@pytest.fixture
def quick(monkeypatch):
    """One figure in place of all: they are drawn in their own tests."""
    monkeypatch.setattr(techniques, "TECHNIQUES", techniques.chosen(("m4",)))


def test_one_image_has_one_page_with_everything(script, photo, tmp_path, capsys):
    names = [one.name for one in techniques.chosen(is_quick=True)]  # the others are drawn in their own tests
    assert script.main([str(photo), *QUICK, "--quick", "--out", str(tmp_path), "--set", "n_regions=5"]) == 0
    printed = capsys.readouterr()
    page = tmp_path / "photo" / "index.html"
    assert printed.out == f"look     {page}\n"
    assert printed.err == ""
    assert {p.name for p in page.parent.iterdir()} == {"index.html", *(f"{name}.png" for name in names)}
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r'<h2 id="(\w+)">', text)) == {*names, "numbers", "setting"}
    assert text.count("data:image/png;base64,") == len(names)
    assert "seen at 48 × 36 px, the file has 80 × 60 px" in text
    assert "no learned stages" in text
    assert "n_regions = 5 (default 8)" in text
    for stage in ("retina", "m1", "m2", "m3", "m4", "m5"):
        assert f"<td>{stage}</td>" in text


def test_broken_images_are_named_and_the_rest_goes_on(script, photo, tmp_path, quick, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    names = [str(tmp_path / "text.jpg"), str(tmp_path / "missing.png")]
    out = tmp_path / "pages"
    assert script.main([names[0], str(photo), names[1], *QUICK, "--out", str(out), "--quiet"]) == 3
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert len(lines) == 2
    assert all(line.startswith("look: ") for line in lines)
    for name in names:
        assert sum(name in line for line in lines) == 1
    assert [p.name for p in out.iterdir()] == ["photo"]


def test_numbers_of_stages_and_how_well_each_is_read(script, photo, tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {}
    for half, n in (("train", 8), ("test", 4)):  # dark ones and light ones
        labels = np.arange(n) % 2
        light = np.where(labels == 0, 60, 180)[:, None, None, None]
        arrays[f"{half}_images"] = (light + rng.integers(0, 40, (n, 32, 32, 3))).astype(np.uint8)
        arrays[f"{half}_labels"] = labels
    np.savez(tmp_path / "named.npz", **arrays, classes=["dark", "light"])
    arguments = [
        "--numbers",
        "--named",
        str(tmp_path / "named.npz"),
        "--per-class",
        "4",
        "--out",
        str(tmp_path / "out"),
    ]
    assert script.main([str(photo), "--size", "48", "--inherited", "none", *arguments]) == 0
    page = capsys.readouterr().out
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    assert {"retina", "m1", "m2", "m3", "m4", "m5", "guessing"} <= lines.keys()
    with (tmp_path / "out" / "numbers.csv").open() as file:
        rows = {row["stage"]: row for row in csv.DictReader(file)}
    for stage in ("retina", "m1", "m2", "m3", "m4"):
        assert float(rows[stage]["time_ms"]) > 0
        assert float(rows[stage]["gradient"]) > 0
    assert rows["m5"]["gradient"] == ""  # what it answers, nothing of the masks hangs on


def test_named_images_are_for_numbers(script, photo, capsys):
    assert script.main([str(photo), "--named", "x.npz"]) == 2
    assert "--numbers" in capsys.readouterr().err


def test_nothing_to_look_at(script, tmp_path, capsys):
    assert script.main([str(tmp_path / "missing.png"), *QUICK, "--out", str(tmp_path)]) == 1
    assert "missing.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--set", "n_region=3"], "choose from"),
        (["--set", "n_regions=300"], "must lie in"),
        (["--learned", "m2", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_wrong_usage(script, photo, tmp_path, capsys, arguments, complaint):
    assert script.main([str(photo), "--size", "48", "--out", str(tmp_path), *arguments]) == 2
    assert complaint in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--size", "8"], ["--set", "x"], ["--learned", "m9"]])
def test_wrong_arguments(script, arguments, capsys):
    assert script.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{SCRIPT.stem}: ")


def test_help_names_every_figure_and_exit_code(script, capsys):
    assert script.main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in (*NAMES, "0 all well", "1 nothing", "2 wrong", "3 some", "130"):
        assert word in text


def test_what_is_drawn_can_be_chosen(script, photo, tmp_path, capsys):
    arguments = ["--only", "m1", "--only", "occlusion", "--of", "slot:2", "--of", "field:m1.energy:3", "--quick"]
    assert script.main([str(photo), *QUICK, "--inherited", "none", "--out", str(tmp_path), *arguments]) == 0
    names = {path.name for path in (tmp_path / "photo").iterdir()}
    assert names == {"index.html", "m1.png", "occlusion.png"}
    capsys.readouterr()
    assert script.main([str(photo), *QUICK, "--only", "m6", "--out", str(tmp_path)]) == 2
    assert "choose from retina" in capsys.readouterr().err


def test_quick_is_what_is_quick(script, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(techniques, "TECHNIQUES", techniques.chosen(("m1", "saliency")))
    assert script.main([str(photo), *QUICK, "--inherited", "none", "--out", str(tmp_path), "--quick"]) == 0
    assert [path.stem for path in (tmp_path / "photo").glob("*.png")] == ["m1"]


def test_targets_that_are_none(script, photo, tmp_path, capsys):
    assert script.main([str(photo), *QUICK, "--of", "kode", "--out", str(tmp_path)]) == 2
    assert "choose from code, slot:K" in capsys.readouterr().err
    assert script.main([str(photo), *QUICK, "--of", "slot:77", "--out", str(tmp_path)]) == 1  # no image has so many
    assert "the proto-objects of this image" in capsys.readouterr().err


def test_a_table_of_how_far_maps_are_to_be_believed(script, photo, tmp_path, capsys):
    arguments = ["--size", "32", "--inherited", "none", "--quick", "--of", "code", "--faithful"]
    assert script.main([str(photo), *arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    written = [tmp_path / name for name in ("faithful.md", "faithful.csv", "faithful_images.csv")]
    assert printed.splitlines()[-3:] == [f"faithful {path}" for path in written]
    with (tmp_path / "faithful.csv").open() as file:
        rows = {row["map"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["occlusion", "gradient", "integrated gradients", "edges", "random pixels", "random blobs"]
    assert script.main([str(photo), "--faithful", "--numbers"]) == 2


def test_all_images_together_and_what_is_tracked(script, photo, out, quick, capsys):
    arguments = ["--inherited", "none", "--experts", "--embedding", "--set", "n_regions=4", "--track"]
    assert script.main([str(photo), *QUICK, *arguments, "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["look", "patches", "experts", "embedding", "tracked"]
    kept = {path.name for path in (out / "artifacts").rglob("*") if path.is_file()}
    assert kept == {"index.html", "m4.png", "patches.png", "experts.png", "embedding.png"}
    assert script.main([str(photo), *QUICK, "--after", str(out), "--out", str(out)]) == 2
    assert "--embedding" in capsys.readouterr().err
    assert script.main([str(photo), *QUICK, "--embedding", "--after", str(out), "--out", str(out)]) == 2
    assert "folder of a session" in capsys.readouterr().err


@pytest.mark.slow
def test_bundled_photographs_when_none_is_given(script, tmp_path, quick, capsys):
    assert script.main([*QUICK, "--out", str(tmp_path)]) == 0
    pages = [tmp_path / name / "index.html" for name in SHOWCASE]
    assert len(pages) <= 3
    assert capsys.readouterr().out.splitlines() == [f"look     {page}" for page in pages]
    assert all(page.is_file() for page in pages)


def test_the_cortex_is_that_of_every_other_door(script, photo, tmp_path, quick):
    mine, sessions = LookSettings(), SessionSettings()
    for name in ("size_px", "learned", "depth", "features"):
        assert getattr(mine, name) == getattr(sessions, name)
    assert script.main([str(photo), "--size", "48", "--out", str(tmp_path)]) == 0
    assert "no learned stages" in (tmp_path / "photo" / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_learned_stages_and_their_experts(script, photo, tmp_path, quick, capsys):
    weights = write_untrained(tmp_path / "mine.safetensors")
    arguments = ["--size", "48", "--weights", str(weights), "--out", str(tmp_path / "a"), "--experts"]
    assert script.main([str(photo), *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[-1] == f"experts  {tmp_path / 'a' / 'experts.png'}"
    assert (tmp_path / "a" / "experts.png").is_file()
    text = (tmp_path / "a" / "photo" / "index.html").read_text(encoding="utf-8")
    assert "learned stages: m2, m3, m5 (mine.safetensors)" in text
    assert str(tmp_path) not in text  # a page may be shown to others
    assert script.main([str(photo), *arguments[:4], "--learned", "m2, m5", "--out", str(tmp_path / "b")]) == 0
    assert "learned stages: m2, m5 " in (tmp_path / "b" / "photo" / "index.html").read_text(encoding="utf-8")


def test_the_same_image_gives_the_same_pictures(script, photo, tmp_path, quick):
    for folder in ("a", "b"):
        assert script.main([str(photo), *QUICK, "--out", str(tmp_path / folder), "--quiet"]) == 0
    for name in [one.name for one in techniques.TECHNIQUES]:
        one, other = ((tmp_path / folder / "photo" / f"{name}.png").read_bytes() for folder in ("a", "b"))
        assert one == other


def test_ctrl_c_stops_it(photo, tmp_path, monkeypatch, capsys):
    def stopped(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "write_look", stopped)
    assert load_script("look").main([str(photo), *QUICK, "--out", str(tmp_path)]) == 130
    assert "stopped" in capsys.readouterr().err
