"""Sequences whose motion is known: that it is what they say, and a run's flow against planes worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.active.drifting import grating_frames, noise_frames, patch_frames, plaid_velocity
from ciliary.envs.data.active.motion import read_run


def test_a_grating_comes_back_after_a_period_and_shifts_before():
    frames = grating_frames(direction_deg=0, wavelength_px=8, speed_px=2, n_frames=5, size_px=(40, 49))
    torch.testing.assert_close(frames[4], frames[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(frames[1][..., 2:], frames[0][..., :-2], atol=1e-5, rtol=0)
    light = srgb_to_linear(frames)
    assert float((light.max() - light.min()) / (light.max() + light.min())) == pytest.approx(0.5, abs=0.01)


def test_where_lines_of_constraint_meet():
    y, x = plaid_velocity((-60.0, 60.0), 1.0)
    assert (y, x) == (pytest.approx(0, abs=1e-9), pytest.approx(2))


def test_noise_is_shifted_whole():
    frames = noise_frames(velocity_px=(1.0, -2.0), n_frames=3, size_px=(40, 48))
    torch.testing.assert_close(frames[1], frames[0].roll((1, -2), (-2, -1)), atol=1e-4, rtol=0)
    half = noise_frames(velocity_px=(0.5, 0.0), n_frames=3, size_px=(40, 48))
    torch.testing.assert_close(half[2], half[0].roll(1, -2), atol=1e-4, rtol=0)
    assert torch.equal(frames, noise_frames(velocity_px=(1.0, -2.0), n_frames=3, size_px=(40, 48)))


def test_a_patch_moves_before_its_background():
    frames, square = patch_frames(background_px=(0, 1), patch_px=(2, 0), n_frames=4, size_px=(48, 64), side_px=16)
    assert frames.shape == (4, 3, 48, 64)
    assert square[-1].sum() == 16 * 16
    assert torch.equal(square[3, 2:], square[2, :-2])
    behind = noise_frames(velocity_px=(0, 1), n_frames=4, size_px=(48, 64))
    assert torch.equal(frames[2][:, ~square[2]], behind[2][:, ~square[2]])


@pytest.fixture
def wall(tmp_path) -> Path:
    """Two frames of a wall 2 m off, 64 x 48 px, 58.5 px focal length; the camera goes 4 cm right and 2 cm down."""
    rng = np.random.default_rng(0)
    for i, shift in enumerate((0.0, 1.0)):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(tmp_path / f"f{i}.color.png")
        depth = np.full((48, 64), 2000, dtype=np.uint16)
        depth[:4, :4] = 0
        Image.fromarray(depth).save(tmp_path / f"f{i}.depth.png")
        pose = np.eye(4)
        pose[:2, 3] = 0.04 * shift, 0.02 * shift
        np.savetxt(tmp_path / f"f{i}.pose.txt", pose)
    return tmp_path


def test_flow_of_a_wall_by_hand(wall):
    run = read_run(wall, width_px=64)
    assert run.frames.shape == (2, 3, 48, 64)
    known = run.flow_px[0][:, run.is_known[0]]
    assert known[0].numpy() == pytest.approx(-58.5 * 0.02 / 2, abs=1e-4)
    assert known[1].numpy() == pytest.approx(-58.5 * 0.04 / 2, abs=1e-4)
    assert not bool(run.is_known[0, :4, :4].any())
    half = read_run(wall, width_px=32)
    assert half.flow_px[0, 1][half.is_known[0]].numpy() == pytest.approx(-58.5 * 0.04 / 4, abs=1e-4)


def test_intrinsics_beside_the_frames_are_read(wall):
    np.savetxt(wall / "camera-intrinsics.txt", [[100.0, 0, 32], [0, 100.0, 24], [0, 0, 1]])
    assert read_run(wall, width_px=64).flow_px[0, 1, 24, 32] == pytest.approx(-2.0, abs=1e-4)


def test_a_turn_by_hand(wall):
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(0.02), 0, np.sin(0.02)], [0, 1, 0], [-np.sin(0.02), 0, np.cos(0.02)]]
    np.savetxt(wall / "f1.pose.txt", pose)
    # Turned to the right, the middle goes left by focal length x tan of the angle.
    assert read_run(wall, width_px=64).flow_px[0, 1, 24, 32] == pytest.approx(-58.5 * np.tan(0.02), abs=1e-3)


def test_what_is_wrong_is_said(wall):
    (wall / "f1.pose.txt").write_text("1 0 0\n")
    with pytest.raises(ValueError, match="4 x 4 numbers"):
        read_run(wall, width_px=64)
    (wall / "f1.pose.txt").unlink()
    with pytest.raises(ValueError, match=r"f1\.pose\.txt"):
        read_run(wall, width_px=64)
    for name in ("f1.color.png", "f1.depth.png"):
        (wall / name).unlink()
    with pytest.raises(ValueError, match="two frames or more"):
        read_run(wall, width_px=64)
