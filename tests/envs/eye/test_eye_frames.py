"""A stack of frames is a lens, or a pupil, that can only be at its frames."""

import numpy as np
import pytest
import torch

from ciliary.envs import EyeConfig, EyeEnv
from ciliary.envs.data.active.scene import EyeScene, SceneFrames
from ciliary.envs.data.active.stacks import FocusStack
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.frames import Eyes
from ciliary.envs.eye.sight import Ground, Sight
from ciliary.envs.eye.sources import fitted

GREYS = (0.1, 0.5, 0.9)
NOISELESS = {"photon_noise": False, "size_px": None, "window_px": 32}


def scene_of(marks, muscle="focus_dpt", size=(48, 64)):
    """Grey frames: the shade says which is seen."""
    light = torch.stack([torch.full((3, *size), grey) for grey in GREYS])
    frames = SceneFrames(light, torch.tensor(marks), muscle)
    return EyeScene("greys", light[1], torch.zeros(1, *size), 12.0, n_layers=1, frames=frames)


@pytest.mark.parametrize(
    ("focus_dpt", "seen"), [(0.0, 0.1), (1.9, 0.1), (2.1, 0.5), (6.9, 0.5), (7.1, 0.9), (10.0, 0.9)]
)
def test_the_nearest_frame_is_seen(focus_dpt, seen):
    env = EyeEnv(muscles=("focus_dpt",), scenes=scene_of([1.0, 3.0, 11.0]), **NOISELESS)
    _, info = env.reset(seed=0, options={"focus_dpt": focus_dpt})
    sighting = env.world.sighting
    assert sighting.window == pytest.approx(seen, abs=1e-6)
    inside = sighting.glance.samples[sighting.glance.is_inside.expand_as(sighting.glance.samples)]
    assert inside == pytest.approx(seen, abs=1e-6)
    assert np.isnan(info["hidden"]["object_dpt"])


def test_pupils_are_near_by_their_factor_and_a_shutter_counts_photons_once():
    scene = scene_of([2.0, 4.0, 8.0], "pupil_mm")
    env = EyeEnv(muscles=("pupil_mm",), scenes=scene, **NOISELESS)
    photons = []
    for pupil_mm, seen in ((2.8, 0.1), (2.9, 0.5), (5.6, 0.5), (5.7, 0.9)):
        env.reset(seed=0, options={"pupil_mm": pupil_mm})
        assert env.world.sighting.window.mean() == pytest.approx(seen, abs=1e-6)
        photons.append(float(env.world.sighting.photons))
    assert len(set(photons)) == 1


def test_a_window_at_the_border_goes_on_as_the_border_is():
    light = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    frames = SceneFrames(light, torch.tensor([0.0, 10.0]), "focus_dpt")
    scene = EyeScene("noise", light[0], torch.zeros(1, 48, 64), 12.0, frames=frames)
    sight = Sight(EyeConfig(scenes=scene, **NOISELESS))
    sight.place([Ground(scene, sight.config)])
    corner = torch.tensor([[-1.0, -1.0]], dtype=torch.float64) * sight.half_field_deg
    one = torch.ones(1, dtype=torch.float64)
    window = sight.look(Eyes(corner, 9 * one, 4 * one), None).window
    torch.testing.assert_close(window[0, :, 16:, 16:], light[1, :, :16, :16])
    torch.testing.assert_close(window[0, :, :17, :17], light[1, :, :1, :1].expand(3, 17, 17))


def test_two_eyes_see_their_own_frames():
    a, b = scene_of([1.0, 3.0, 11.0]), scene_of([2.0, 9.0, 9.5])
    sight = Sight(EyeConfig(scenes=[a, b], **NOISELESS))
    sight.place([Ground(scene, sight.config) for scene in (a, b)])
    two = torch.ones(2, dtype=torch.float64)
    look = sight.look(Eyes(torch.zeros(2, 2, dtype=torch.float64), torch.tensor([3.0, 9.4]).double(), 4 * two), None)
    assert look.window.mean((1, 2, 3)).tolist() == pytest.approx([0.5, 0.9], abs=1e-6)


def test_stacks_and_scenes_are_not_looked_at_together():
    deep = planes_scene((1.0,), size_px=(48, 64), px_per_deg=12.0)
    sight = Sight(EyeConfig(scenes=deep, **NOISELESS))
    grounds = [Ground(scene, sight.config) for scene in (scene_of([0.0, 1.0, 2.0]), deep)]
    with pytest.raises(ValueError, match="all are stacks"):
        sight.place(grounds)


def test_frames_are_fitted_as_their_scene_is():
    small = fitted(scene_of([0.0, 1.0, 2.0]), (24, 24))
    assert small.frames.light.shape == (3, 3, 24, 24)
    assert small.frames.light.amax((1, 2, 3)).tolist() == pytest.approx(GREYS, abs=1e-6)


def test_a_focus_stack_is_such_a_scene():
    stack = FocusStack("stack", torch.rand(4, 3, 40, 40), torch.tensor([0.5, 1.0, 2.0, 6.0]), 10.0, ("a note",))
    scene = stack.as_scene()
    assert scene.frames.muscle == "focus_dpt"
    assert scene.notes == ("a note",)
    assert torch.equal(scene.frames.nearest(1.6), stack.frames[2])


@pytest.mark.parametrize(
    ("marks", "muscle", "wrong"),
    [([1.0, 1.0, 2.0], "focus_dpt", "ascending"), ([1.0, 2.0], "focus_dpt", "ascending"), ([1, 2, 3], "gaze", "gaze")],
)
def test_frames_that_cannot_be_are_named(marks, muscle, wrong):
    with pytest.raises(ValueError, match=wrong):
        SceneFrames(torch.zeros(3, 3, 8, 8), torch.tensor(marks, dtype=torch.float32), muscle)
