"""Where everything goes: of a wall and a camera by hand, of moved photographs, and of a real room by its colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ciliary.envs.data.active.clips import FilmClip, PosedClip, StillClip
from ciliary.envs.data.active.motion import PosedFrame, read_posed, true_flow
from ciliary.envs.data.active.moving import CameraPath, move_over
from ciliary.envs.data.depth import read_depth

FOCAL = 50.0


def frame(depth_mm, *, at=(0.0, 0.0, 0.0), turn=0.0, name="a"):
    """A camera at a place (x, y, z in mm), turned about the vertical by radians."""
    depth = torch.as_tensor(depth_mm, dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor(at, dtype=torch.float64)
    c, s = np.cos(turn), np.sin(turn)
    pose[:3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return PosedFrame(name, torch.zeros(3, *depth.shape), depth, pose, FOCAL)


def wall(mm=1000.0):
    return torch.full((20, 30), mm)


def warped(image, flow):
    """What stands in ``image`` (1, 3, H, W) where a flow (1, 2, H, W) leads."""
    height, width = image.shape[-2:]
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))[None] + flow
    size = torch.tensor([height, width]).view(1, 2, 1, 1)
    grid = ((place + 0.5) / size * 2 - 1).movedim(1, -1).flip(-1)
    return F.grid_sample(image, grid.float(), align_corners=False)


def test_a_camera_that_steps_aside_sees_all_move_by_focal_length_times_step_over_distance():
    flow, is_seen = true_flow(frame(wall()), frame(wall(), at=(100.0, -40.0, 0.0)))
    torch.testing.assert_close(flow[0, 1], torch.full((20, 30), -5.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(flow[0, 0], torch.full((20, 30), 2.0), atol=1e-4, rtol=0)
    assert bool(is_seen[0, 0, :-2, 5:].all())
    assert not is_seen[0, 0, :, :5].any(), "these have left the picture"
    assert not is_seen[0, 0, -2:].any()


def test_a_camera_that_comes_nearer_sees_all_grow_from_the_middle():
    flow, _ = true_flow(frame(wall()), frame(wall(800.0), at=(0.0, 0.0, 200.0)))
    x = torch.arange(30) - 14.5
    torch.testing.assert_close(flow[0, 1, 3], x * 0.25, atol=1e-4, rtol=0)


def test_a_turn_moves_the_middle_by_its_tangent_whatever_is_there():
    flow, _ = true_flow(frame(wall()), frame(wall(), turn=0.02))
    middle = flow[0, 1, 10, 14:16].mean()
    assert float(middle) == pytest.approx(-FOCAL * np.tan(0.02), abs=2e-3)


def test_what_is_hidden_or_unknown_is_not_seen():
    near = wall()
    near[:, 10:20] = 500.0  # something stands there in the second frame
    _, is_seen = true_flow(frame(wall()), frame(near))
    assert not is_seen[0, 0, :, 10:20].any()
    assert bool(is_seen[0, 0, :, :10].all())
    hole = wall()
    hole[4, 4] = 0.0
    flow, is_seen = true_flow(frame(hole), frame(wall()))
    assert not is_seen[0, 0, 4, 4]
    torch.testing.assert_close(flow, torch.zeros(1, 2, 20, 30), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="one size"):
        true_flow(frame(wall()), frame(torch.ones(4, 4)))


def write_frame(folder, name, *, pose=True, depth_mm=1000):
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(folder / f"{name}.color.png")
    Image.fromarray(np.full((48, 64), depth_mm, np.uint16)).save(folder / f"{name}.depth.png")
    if pose:
        np.savetxt(folder / f"{name}.pose.txt", np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 0.1)


def test_frames_are_read_with_their_pose_in_mm_and_the_focal_length_shrinks_with_them(tmp_path):
    write_frame(tmp_path, "one")
    (entry,) = read_depth([tmp_path]).entries
    with pytest.raises(ValueError, match="--focal-px"):
        read_posed(entry)
    found = read_posed(entry, focal_px=40.0, long_side_px=32)
    assert found.image.shape == (3, 24, 32)
    assert found.depth_mm.shape == (24, 32)
    assert found.focal_px == 20.0
    assert found.pose[0, 3] == 100.0
    np.savetxt(tmp_path / "camera-intrinsics.txt", np.diag([64.0, 64.0, 1.0]))
    assert read_posed(entry).focal_px == 64.0
    (tmp_path / "one.pose.txt").write_text("1 2 3", encoding="utf-8")
    with pytest.raises(ValueError, match="4 x 4 numbers"):
        read_posed(entry)


def test_a_moved_photograph_shows_what_its_flow_says():
    photo = F.interpolate(
        torch.rand(1, 3, 16, 20, generator=torch.Generator().manual_seed(0)), size=(240, 320), mode="bicubic"
    ).clamp(0, 1)[0]
    path = CameraPath(n_frames=5, size_px=(48, 64), noise_sd=0.0, light_sd=0.0)
    clip = move_over(photo, path, seed=3)
    assert len(clip) == 5
    flow, is_seen = clip.flow(0, 4)
    assert float(flow.abs().mean()) > 1
    error = (warped(clip.images[4:5], flow) - clip.images[:1]).abs().mean(1, keepdim=True)
    unmoved = (clip.images[4:5] - clip.images[:1]).abs().mean(1, keepdim=True)
    assert float(error[is_seen].mean()) < 0.15 * float(unmoved[is_seen].mean())
    there, back = clip.flow(0, 4)[0], clip.flow(4, 0)[0]
    torch.testing.assert_close((there + warped(back, there))[is_seen.expand(1, 2, -1, -1)].abs().max(),
                               torch.tensor(0.0), atol=0.2, rtol=0)  # fmt: skip
    assert torch.equal(clip.flow(2, 2)[0].round(decimals=4), torch.zeros(1, 2, 48, 64))
    assert torch.equal(clip.images, move_over(photo, path, seed=3).images)
    assert not torch.equal(clip.images, move_over(photo, path, seed=4).images)
    with pytest.raises(ValueError, match="n_frames >= 2"):
        CameraPath(n_frames=1)


def test_a_scene_that_stands_still_is_known_where_it_was_seen_twice():
    is_seen = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    is_seen[0, :, :5], is_seen[1, :, 3:] = True, True
    clip = StillClip("s", torch.zeros(2, 3, 8, 8), is_seen)
    flow, known = clip.flow(0, 1)
    assert not flow.any()
    assert known[0, 0, :, 0].tolist() == [False] * 3 + [True] * 2 + [False] * 3


def test_of_a_film_the_flow_is_guessed_and_kept_where_it_comes_back():
    rough = torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(1))
    page = F.interpolate(rough, size=(48, 64), mode="bicubic")[0, 0].clamp(0, 1)
    frames = torch.stack([page[2:42, 4:60], page[2:42, 2:58]])[:, None].expand(-1, 3, -1, -1)  # two to the right
    clip = FilmClip("film", frames, ("a", "b"))
    for flow in (clip.flow(0, 1)[0], clip.given_flow(0, 1)):
        inner = flow[0, :, 8:-8, 8:-8]
        torch.testing.assert_close(inner.median(2).values.median(1).values, torch.tensor([0.0, 2.0]), atol=0.2, rtol=0)
    is_seen = clip.flow(0, 1)[1]
    assert float(is_seen.float().mean()) > 0.7


@pytest.fixture
def kitchen(data_root):
    folder = data_root / "active" / "depth" / "kitchen_run"
    if not folder.is_dir():
        pytest.skip(f"no frames with pose at {folder}")
    return PosedClip("run", [read_posed(e, long_side_px=160, focal_px=585) for e in read_depth([folder]).entries[:9:4]])


def test_in_a_real_room_colours_agree_along_the_true_motion(kitchen):
    for other in (1, 2):
        flow, is_seen = kitchen.flow(0, other)
        first, last = kitchen.images[:1], kitchen.images[other : other + 1]
        carried, unmoved = ((x - first).abs().mean(1, keepdim=True)[is_seen] for x in (warped(last, flow), last))
        assert float(is_seen.float().mean()) > 0.6
        assert float(carried.mean()) < 0.45 * float(unmoved.mean())
    assert torch.equal(kitchen.given_flow(0, 1), kitchen.flow(0, 1)[0])
