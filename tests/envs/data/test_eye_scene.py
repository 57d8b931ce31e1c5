"""Scenes for the eye: photographs, depth with nearness, and synthetic ones whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ciliary.cortex.eye.optics import OpticsSettings, retinal_image
from ciliary.envs.data.active.scene import (
    EyeScene,
    depth_scene,
    fill_unknown,
    photograph_scene,
    px_per_deg_of,
    stack_layers,
)
from ciliary.envs.data.active.synthetic import dots_scene, planes_scene, slant_scene
from ciliary.envs.data.depth import DepthEntry, DepthImage, read_depth
from ciliary.envs.data.reading import Photograph

SHARP = OpticsSettings(is_chromatic=False, max_diameter_px=48)


def with_depth(depth_mm, *, grey=0.5):
    depth_mm = torch.as_tensor(depth_mm, dtype=torch.float32)
    return DepthImage("room", "a", torch.full((3, *depth_mm.shape), grey), depth_mm)


def see(scene, focus, pupil=4.0):
    focus, pupil = torch.tensor([float(focus)]), torch.tensor([float(pupil)])
    return retinal_image(scene.layers(), focus_dpt=focus, pupil_mm=pupil, px_per_deg=scene.px_per_deg, settings=SHARP)[
        0
    ]


def test_a_photograph_is_flat_and_linear():
    scene = photograph_scene(Photograph("p", torch.full((3, 60, 80), 0.5), (60, 80)), distance_dpt=2.0)
    assert scene.field_deg == pytest.approx((25.0, 100 / 3))
    assert scene.px_per_deg == pytest.approx(2.4)
    assert float(scene.light[0, 0, 0]) == pytest.approx(0.2140, abs=1e-4)
    assert len(scene.layers()) == 1
    torch.testing.assert_close(see(scene, 5.0), scene.light)
    for bad in ({"distance_dpt": 11.0}, {"width_deg": 0.0}):
        with pytest.raises(ValueError, match="expected"):
            photograph_scene(Photograph("p", torch.zeros(3, 8, 8), (8, 8)), **bad)


def test_millimetres_become_dioptres_times_the_nearness():
    image = with_depth([[500.0, 2000.0]] * 4)
    torch.testing.assert_close(depth_scene(image).distance_dpt[0, 0], torch.tensor([2.0, 0.5]))
    near = depth_scene(image, nearness=3.0)
    torch.testing.assert_close(near.distance_dpt[0, 0], torch.tensor([6.0, 1.5]))
    assert near.notes == ("brought 3 times nearer",)
    assert near.name == "room/a"


@pytest.mark.parametrize("hole", [0.0, math.nan, math.inf, -1.0])
def test_unknown_depth_is_that_of_the_nearest_known_pixel_and_said(hole):
    scene = depth_scene(with_depth([[hole, 1000.0, 1000.0, 500.0], [1000.0, 1000.0, 500.0, hole]]))
    torch.testing.assert_close(scene.distance_dpt[0], torch.tensor([[1.0, 1, 1, 2], [1, 1, 2, 2]]))
    assert scene.notes == ("25.0% of the depth is unknown and was taken from the nearest known pixel",)
    assert fill_unknown(torch.ones(2, 2), "x")[1] == 0


def test_complaints_of_depth():
    with pytest.raises(ValueError, match=r"room/a: no depth is known"):
        depth_scene(with_depth(np.zeros((4, 4))))
    with pytest.raises(ValueError, match="nearness > 0"):
        depth_scene(with_depth(np.ones((4, 4))), nearness=0)
    with pytest.raises(ValueError, match=r"everything is nearer than 10 dpt.*millimetres"):
        depth_scene(with_depth(np.full((4, 4), 1.5)))  # metres, mistaken for millimetres
    ok = torch.zeros(3, 4, 4)
    for values, match in (
        ((ok[0], ok[:1], 1.0), r"light \(3, H, W\)"),
        ((ok, ok, 1.0), r"distance_dpt \(1, 4, 4\)"),
        ((ok * math.nan, ok[:1], 1.0), "light finite"),
        ((ok, ok[:1] - 1, 1.0), "distance_dpt finite and >= 0"),
        ((ok, ok[:1], 0.0), "px_per_deg"),
    ):
        with pytest.raises(ValueError, match=match):
            EyeScene("s", *values)


def test_shrinking_keeps_light_and_invents_no_distance():
    depth = np.full((40, 60), 1000.0)
    depth[:, 30:] = 250.0
    scene = depth_scene(with_depth(depth), long_side_px=20, px_per_deg=12.0)
    assert scene.size_px == (13, 20)
    assert scene.px_per_deg == pytest.approx(4.0)
    assert set(scene.distance_dpt.unique().tolist()) == {1.0, 4.0}
    torch.testing.assert_close(scene.light.mean(), torch.tensor(0.2140), rtol=0, atol=1e-4)


def test_cameras_know_their_pixels(tmp_path):
    entry = DepthEntry("s", "a", tmp_path / "a.color.png", tmp_path / "a.depth.png")
    assert px_per_deg_of(entry) is None
    (tmp_path / "camera-intrinsics.txt").write_text("585 0 320\n0 585 240\n0 0 1\n")
    assert px_per_deg_of(entry) == pytest.approx(585 * math.pi / 180)
    (tmp_path / "camera-intrinsics.txt").write_text("585 0\n")
    with pytest.raises(ValueError, match="3 x 3"):
        px_per_deg_of(entry)
    (tmp_path / "camera-intrinsics.txt").write_text("a b c\n")
    with pytest.raises(ValueError, match="3 x 3"):
        px_per_deg_of(entry)
    stereo = DepthEntry("s", "a", tmp_path, tmp_path, tmp_path)
    assert px_per_deg_of(stereo) == pytest.approx(3740 / 3 * math.pi / 180)


def test_dots_become_their_discs():
    scene = dots_scene((0.5, 2.0, 4.0), gap_px=48)
    seen = see(scene, 2.0)[0].double()
    for i, distance in enumerate((0.5, 2.0, 4.0)):
        part = seen[12:37, 48 * i + 12 : 48 * i + 37]  # the disc; farther out is the transform's rounding
        expected_px = 0.004 * abs(2.0 - distance) * math.degrees(scene.px_per_deg)
        y = x = torch.arange(25).double() - 12
        variance = ((part.sum(1) * y**2).sum() + (part.sum(0) * x**2).sum()) / 2 / part.sum()
        assert 4 * float(variance) ** 0.5 == pytest.approx(expected_px, abs=0.1)
        assert float(part.sum()) == pytest.approx(1.0, abs=1e-3)


def test_each_plane_is_sharpest_at_its_distance():
    scene = planes_scene((1.0, 2.5), size_px=(32, 64), seed=1)
    assert scene.level_dpt == (1.0, 2.5)
    focus = torch.linspace(0.5, 3.0, 26)
    contrast = torch.stack([see(scene, f).diff(dim=-1) ** 2 for f in focus])
    curves = torch.stack([contrast[..., 6:26].mean((1, 2, 3)), contrast[..., 38:58].mean((1, 2, 3))], 1)
    torch.testing.assert_close(focus[curves.argmax(0)], torch.tensor([1.0, 2.5]), rtol=0, atol=0.051)


def test_a_slant_is_linear_in_dioptres_and_seeds_repeat():
    scene = slant_scene(1.0, 3.0, size_px=(20, 30))
    torch.testing.assert_close(scene.distance_dpt[0, :, 0].diff(), torch.full((19,), 0.1))
    assert torch.equal(scene.light, slant_scene(1.0, 3.0, size_px=(20, 30)).light)
    assert not torch.equal(scene.light, slant_scene(1.0, 3.0, size_px=(20, 30), seed=1).light)


def test_complaints_of_synthetic_scenes():
    for call in (lambda: planes_scene(()), lambda: dots_scene((1.0,), gap_px=2), lambda: slant_scene(2.0, 1.0)):
        with pytest.raises(ValueError, match="expected"):
            call()


def test_scenes_of_one_size_are_a_batch():
    scenes = [slant_scene(size_px=(20, 30), seed=s).layers() for s in (0, 1)]
    batch = stack_layers(scenes)
    assert batch.share.shape == (2, 24, 20, 30)
    with pytest.raises(ValueError, match="one size and number of layers"):
        stack_layers([*scenes, slant_scene(size_px=(20, 31)).layers()])


@pytest.mark.slow
def test_real_scenes(data_root):
    found = read_depth([data_root / "active" / "depth" / "middlebury"])
    entry = found.entries[0]
    scene = depth_scene(entry.read(), nearness=5.0, px_per_deg=px_per_deg_of(entry))
    assert scene.px_per_deg == pytest.approx(21.76, abs=0.01)
    assert 1.5 < float(scene.distance_dpt.min()) < float(scene.distance_dpt.max()) < 5
    kitchen = read_depth([data_root / "active" / "depth" / "kitchen"]).entries[0]
    assert px_per_deg_of(kitchen) == pytest.approx(10.21, abs=0.01)
