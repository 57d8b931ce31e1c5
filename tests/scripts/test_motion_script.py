"""The command line of motion: a figure of a sequence, the exam's table, and what the exit code says."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.envs.data.active.drifting import patch_frames
from ciliary.tuning.cli import app
from ciliary.tuning.motion import exam, job, made_up, pursuit
from ciliary.tuning.motion.remembered import remembered
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "motion.py"


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """Five small frames."""
    folder = tmp_path_factory.mktemp("sequence")
    frames, _ = patch_frames(background_px=(0, 1), patch_px=(1, 0), n_frames=5, size_px=(48, 64), side_px=16)
    for i, frame in enumerate(frames):
        page = (255 * frame.permute(1, 2, 0)).round().to(torch.uint8).numpy()
        Image.fromarray(page).save(folder / f"walk_{i:03}.png")
    return folder


def test_a_sequence_has_a_figure_and_a_broken_frame_is_named(script, sequence, tmp_path, capsys):
    assert script.main([str(sequence), "--size", "64", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"motion   {tmp_path / 'walk_000'}.png"]
    with Image.open(tmp_path / "walk_000.png") as figure:
        assert np.asarray(figure.convert("L")).std() > 5
    (tmp_path / "text.jpg").write_text("no image")
    arguments = [str(sequence), str(tmp_path / "text.jpg"), "--size", "64", "--quiet", "--out", str(tmp_path)]
    assert script.main(arguments) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "text.jpg" in printed.err


@pytest.fixture
def unseen(monkeypatch):
    """No figures: one test draws them."""
    looks = []
    monkeypatch.setattr(job, "write_figure", lambda figure, path: path)
    monkeypatch.setattr(job, "draw_motion", lambda look, **words: looks.append((look, words)))
    return looks


def test_units_of_the_figure(script, sequence, tmp_path, unseen):
    arguments = [str(sequence), "--size", "64", "--quiet", "--out", str(tmp_path)]
    assert script.main([*arguments, "--frame-ms", "20"]) == 0
    ((look, words),) = unseen
    assert words["name"] == "walk_000"
    assert "5 frames, 20 ms apart; motion is that of 60 ms ago" in words["note"]
    assert look.frame.shape == (3, 48, 64)
    assert float(look.priority.sum()) == pytest.approx(1, abs=1e-4)


def test_a_patch_when_no_frame_is_given(script, tmp_path, unseen):
    assert script.main(["--quiet", "--out", str(tmp_path)]) == 0
    assert unseen[0][1]["name"] == "patch"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["missing.png"], 1, "missing.png"),
        (["--frame-ms", "0"], 2, "above 0"),
        (["--px-per-deg", "-1"], 2, "above 0"),
        (["--exam", "a.png"], 2, "leave IMAGE out"),
        (["--run", "x"], 2, "give --exam too"),
        (["--ablations"], 2, "give --exam too"),
        (["--pursuit"], 2, "give --exam too"),
        (["--exam", "--pursuit", "--scenes", "2"], 2, "--scenes 4"),
        (["--exam", "--pursuit", "--ablations"], 2, "of its own"),
        (["--exam", "--run", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_is_wrong_is_said(script, tmp_path, capsys, arguments, code, complaint):
    assert script.main([*arguments, "--out", str(tmp_path)]) == code
    assert complaint in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_one_frame_and_frames_of_two_sizes_are_no_sequence(script, sequence, tmp_path, capsys):
    first = str(sequence / "walk_000.png")
    assert script.main([first, "--out", str(tmp_path)]) == 1
    assert "two frames or more" in capsys.readouterr().err
    Image.fromarray(np.zeros((32, 64, 3), dtype=np.uint8)).save(tmp_path / "other.png")
    assert script.main([first, str(tmp_path / "other.png"), "--size", "64", "--out", str(tmp_path)]) == 1
    assert "one size" in capsys.readouterr().err


@pytest.mark.slow
def test_the_table(script, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(made_up, "_PLAIDS", ((12.0, 1.5),))
    monkeypatch.setattr(made_up, "_GRATINGS", ((12.0, (1.0,)),))
    monkeypatch.setattr(made_up, "_DIRECTIONS_DEG", (0.0,))
    monkeypatch.setattr(made_up, "_NOISE", ((0, 1),))
    monkeypatch.setattr(exam, "_N_TIMED", 4)
    assert script.main(["--exam", "--scenes", "2", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "motion.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    with (tmp_path / "motion.csv").open(encoding="utf-8") as file:
        rows = {row["exam"]: float(row["value"]) for row in csv.DictReader(file)}

    def of(start: str) -> float:
        return next(value for name, value in rows.items() if name.startswith(start))

    assert of("a scene at rest") == 0
    assert min(of("120° plaids, V1"), of("120° plaids, MT")) >= 1.28
    assert max(of("speed of gratings"), of("speed of noise")) < 0.05
    assert any(name.startswith("processor ms a frame") for name in rows)


@pytest.mark.slow
def test_the_table_of_pursuit(script, tmp_path, capsys, monkeypatch):
    """A patch that is looked for by its motion is found more often than by chance, even in three looks."""
    monkeypatch.setattr(pursuit, "N_LOOKS", 3)
    assert script.main(["--exam", "--pursuit", "--scenes", "4", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "pursuit.md").read_text(encoding="utf-8") in capsys.readouterr().out
    with (tmp_path / "pursuit.csv").open(encoding="utf-8") as file:
        rows = {row["exam"].rsplit(": ", 1)[1]: float(row["value"]) for row in csv.DictReader(file)}
    assert list(rows) == list(pursuit.POLICIES)
    assert rows["priority with motion"] > max(rows["random"], rows["priority without motion"])


@pytest.mark.slow
def test_a_memory_that_is_carried_along_is_nearer_to_what_is_there(data_root):
    folder = data_root / "active" / "depth" / "kitchen_run"
    if not folder.is_dir():
        pytest.skip(f"no film at {folder}")
    still, carried, latest = remembered(folder).values()
    assert latest.error.mean() < carried.error.mean() < 0.6 * still.error.mean()
    assert carried.share.mean() > 4 * latest.share.mean()


@pytest.mark.slow
def test_flow_on_a_run_beats_its_floors(data_root):
    from ciliary.tuning.motion.real import KnownFlow, flow_errors, ours, standing, true_mean

    folder = data_root / "active" / "depth" / "kitchen_run"
    if not folder.is_dir():
        pytest.skip(f"no frames with poses at {folder}")
    known = KnownFlow.read(folder, width_px=320)
    cortex, still = flow_errors(known, ours(known)), flow_errors(known, standing(known))
    own_mean, best_mean = flow_errors(known, ours(known, is_mean=True)), flow_errors(known, true_mean(known))
    assert cortex.pair_px.mean() < own_mean.pair_px.mean() < still.pair_px.mean()
    assert cortex.smoothed_px.mean() < best_mean.smoothed_px.mean()
    assert cortex.misfit.mean() < 0.5 * still.misfit.mean()
    assert len(known.flow) - 2 not in known.told  # its pose is belied by its picture


def test_help_lists_it(script, capsys):
    assert app.main(["--help"]) == 0
    assert "motion" in capsys.readouterr().out
    assert script.main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--exam", "--run", "--ablations", "--pursuit", "--frame-ms", "0 all well"):
        assert word in text
