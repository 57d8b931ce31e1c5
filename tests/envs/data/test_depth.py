"""Readers of photographs with depth: folders made here, and the real ones where there are some."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.envs.data.depth import DepthSet, disparity_to_mm, read_depth

SIZE = (33, 40)
MM = np.full(SIZE, 1500, np.uint16)
MM[:4] = 0
MM[20:] = 900


def write_frame(folder, name, *, depth=MM, size=SIZE, grey=128, end=".color.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), grey, np.uint8)).save(folder / f"{name}{end}")
    Image.fromarray(depth).save(folder / f"{name}.depth.png")


def write_stereo(folder, *, disparity=60, offset="30\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(folder / "view1.png")
    values = np.full(SIZE, disparity, np.uint8)
    values[0] = 0
    Image.fromarray(values).save(folder / "disp1.png")
    (folder / "dmin.txt").write_text(offset)


def test_both_formats_are_scenes_named_as_their_folders(tmp_path):
    write_frame(tmp_path / "rooms" / "attic", "b", end=".color.jpg")
    write_frame(tmp_path / "rooms" / "attic", "a", grey=10)
    write_stereo(tmp_path / "rooms" / "still" / "Art")
    found = read_depth([tmp_path / "rooms"])
    assert found.scenes == ("attic", "Art")
    assert [entry.name for entry in found.entries] == ["a", "b", "Art"]
    frame = found[0]
    assert frame.image.shape == (3, *SIZE)
    torch.testing.assert_close(frame.depth_mm, torch.from_numpy(MM.astype(np.float32)))
    assert torch.equal(frame.is_known, torch.from_numpy(MM > 0))
    still = found[2]  # (60 + 30) / 3 = 30 px of disparity
    torch.testing.assert_close(still.depth_mm[1:], torch.full((32, 40), 3740 / 3 * 160 / 30))
    assert not still.is_known[0].any()
    assert found.of_scene("attic").scenes == ("attic",)
    assert isinstance(found[1:], DepthSet)


def test_disparity_becomes_millimetres():
    mm = disparity_to_mm(np.array([[0, 30, 60]], np.uint8), offset_px=0.0)
    np.testing.assert_allclose(mm, [[0, 3740 * 160 / 30, 3740 * 160 / 60]], rtol=1e-6)


def test_a_folder_named_twice_counts_once_and_the_same_photograph_can_be_left_out(tmp_path):
    write_frame(tmp_path / "room", "a", grey=1)
    write_frame(tmp_path / "room", "b", grey=2)
    write_frame(tmp_path / "walk", "z", grey=2)
    frames = read_depth([tmp_path / "room", tmp_path / "room"])
    assert len(frames) == 2
    assert [e.name for e in frames.without(read_depth([tmp_path / "walk"])).entries] == ["a"]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda f: f.mkdir(), "no scene with depth; expected <name>.color.jpg"),
        (lambda f: (write_frame(f, "a"), (f / "a.depth.png").unlink()), "a.color.png: its depth is missing"),
        (lambda f: (write_frame(f, "a"), (f / "a.color.png").unlink()), "a.depth.png: its photograph is missing"),
        (lambda f: (write_stereo(f), (f / "dmin.txt").unlink()), "a stereo scene lacks dmin.txt"),
        (lambda f: (write_frame(f / "x" / "r", "a"), write_frame(f / "y" / "r", "a")), "two scenes are called 'r'"),
    ],
)
def test_what_is_missing_is_named(tmp_path, make, complaint):
    make(tmp_path / "data")
    with pytest.raises(ValueError, match=complaint):
        read_depth([tmp_path / "data"])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda f: write_frame(f, "a", depth=MM[:, :20]), "is 20x33 px but a.color.png is 40x33"),
        (lambda f: write_frame(f, "a", depth=np.zeros(SIZE, np.uint16)), "no pixel is known"),
        (lambda f: write_frame(f, "a", depth=MM.astype(np.uint8)), "expected one channel of 16 bits: millimetres"),
        (lambda f: write_stereo(f, offset="far"), "dmin.txt: expected one number"),
        (lambda f: (write_frame(f, "a"), (f / "a.depth.png").write_bytes(b"no")), "cannot be read as a depth map"),
    ],
)
def test_what_is_wrong_with_a_frame_is_named_when_it_is_read(tmp_path, make, complaint):
    make(tmp_path / "data")
    with pytest.raises(ValueError, match=complaint):
        read_depth([tmp_path / "data"])[0]


@pytest.mark.slow
def test_the_development_data(data_root):
    root = data_root / "active" / "depth"
    if not root.is_dir():
        pytest.skip(f"no active/depth/ in {data_root}")
    frames = read_depth([root / "kitchen", root / "middlebury"])
    assert len(frames) == 56
    assert len(frames.scenes) == 7
    assert len(frames.without(read_depth([root / "kitchen_run"]))) == 54
    for frame in (frames[0], frames[50], frames[55]):
        known = frame.depth_mm[frame.is_known]
        assert frame.is_known.float().mean() > 0.8
        assert 300 < known.min() < known.max() < 10_000
