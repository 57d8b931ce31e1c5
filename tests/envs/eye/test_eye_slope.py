"""The gradient through the optics against differences of the total itself."""

import numpy as np
import pytest
import torch

from ciliary.envs import EyeEnv
from ciliary.envs.data.active.scene import EyeScene, SceneFrames
from ciliary.envs.data.active.synthetic import planes_scene

QUICK = {"size_px": (64, 80), "width_deg": 10.0, "window_px": 32, "patience": 0}
MUSCLES = ("focus_dpt", "pupil_mm")
STEP = 1e-3  # below it float32 is rounded; above, two settings are on two sides of a kink of the kernels


def eye(**settings):
    scene = planes_scene((3.0,), size_px=(64, 80), px_per_deg=8.0)
    return EyeEnv(**(QUICK | {"muscles": MUSCLES, "scenes": scene, "photon_noise": False} | settings))


@pytest.mark.parametrize(("focus_dpt", "pupil_mm"), [(1.3, 4.0), (2.2, 6.0), (3.5, 2.6), (4.0, 4.0)])
def test_it_is_the_slope_of_the_total(focus_dpt, pupil_mm):
    env = eye()
    start = {"focus_dpt": focus_dpt, "pupil_mm": pupil_mm}
    env.reset(seed=0, options=start)
    told, by_differences = env.gradient(), []
    for name, by_u in (("focus_dpt", 5.0), ("pupil_mm", pupil_mm * np.log(8 / 2) / 2)):
        beside = [
            env.reset(seed=0, options=start | {name: start[name] + s * STEP})[1]["terms"]["total"] for s in (-1, 1)
        ]
        by_differences.append((beside[1] - beside[0]) / (2 * STEP) * by_u)
    np.testing.assert_allclose(told, by_differences, rtol=0.04, atol=5e-3)


def test_photons_do_not_shake_it_and_it_leaves_the_eye_where_it_is():
    quiet, noisy = eye(), eye(photon_noise=True)
    told = []
    for env in (quiet, noisy):
        _, info = env.reset(seed=3, options={"focus_dpt": 2.5})
        told.append(env.gradient())
        assert info["terms"] == env.history[-1]
        assert env.world.n_looks[0] == 0
    np.testing.assert_allclose(told[0], told[1], rtol=1e-6)


def test_only_free_muscles_count_and_the_gaze_has_none():
    env = eye(muscles=("gaze_y_deg", "gaze_x_deg", *MUSCLES))
    env.reset(seed=0, options={"focus_dpt": 2.0})
    assert env.gradient().shape == (4,)
    assert (env.gradient()[:2] == 0).all()
    assert (env.gradient()[2:] != 0).all()
    gaze = eye(muscles=("gaze_y_deg", "gaze_x_deg"))
    gaze.reset(seed=0)
    np.testing.assert_array_equal(gaze.gradient(), 0)


def test_frames_have_none():
    light = torch.rand(2, 3, 64, 80)
    scene = EyeScene(
        "two", light[0], torch.zeros(1, 64, 80), 8.0, frames=SceneFrames(light, torch.tensor([1.0, 4.0]), "focus_dpt")
    )
    env = eye(scenes=scene, muscles=("focus_dpt",))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="nothing is known between them"):
        env.gradient()
