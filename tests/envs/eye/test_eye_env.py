"""What can be said by hand: where a plane is sharp, what a blank is worth, what a look costs."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from ciliary.agents.eye.lens import parabola_top
from ciliary.envs import EyeConfig, EyeEnv
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.priority import fine_contrast
from ciliary.envs.eye.sight import _levels_about
from ciliary.envs.eye.terms import STATISTICS

LENS = ("focus_dpt",)
QUICK = {"size_px": (64, 80), "width_deg": 10.0, "window_px": 32, "scenes": "synthetic"}


def plane(distance_dpt, seed=0):
    return planes_scene((distance_dpt,), seed=seed, size_px=(64, 80), px_per_deg=12.0)


def lens_env(scene, **settings):
    return EyeEnv(muscles=LENS, **(QUICK | {"scenes": scene, "photon_noise": False, "patience": 0} | settings))


def blank():
    grey = torch.full((3, 64, 80), 0.3)
    return EyeScene("blank", grey, torch.full((1, 64, 80), 2.0), 8.0)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("distance_dpt", [1.0, 2.6])
def test_the_focus_term_is_best_at_the_plane(distance_dpt, noise):
    env = lens_env(plane(distance_dpt), photon_noise=noise)
    looks = []
    for focus_dpt in distance_dpt + np.array([-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9]):
        _, info = env.reset(seed=0, options={"focus_dpt": focus_dpt})
        assert info["hidden"]["focus_error_dpt"] == pytest.approx(focus_dpt - distance_dpt, abs=1e-6)
        looks.append((focus_dpt, info["terms"]["focus"]))
    assert parabola_top(tuple(looks)) == pytest.approx(distance_dpt, abs=0.1)
    terms = [term for _, term in looks]
    assert terms[0] > terms[1] > terms[2] > terms[3] < terms[4] < terms[5] < terms[6]


def test_a_plane_among_others_is_sharp_where_it_is_looked_at():
    """Between two layers of a coarse cut it would be sharp nowhere: its own distance is one of the levels."""
    levels = _levels_about(torch.linspace(0.5, 4.1, 35).view(1, 1, 5, 7), 8)
    assert levels.shape == (1, 8)
    assert (levels.diff(dim=1) > 0).all()
    middle = torch.linspace(0.5, 4.1, 35).view(5, 7)[2, 3]
    assert (levels - middle).abs().min() < 1e-6
    flat = _levels_about(torch.full((1, 1, 5, 5), 2.0), 8)
    assert (flat.diff(dim=1) > 0).all()
    assert (flat - 2).abs().max() < 0.01


@pytest.mark.parametrize("noise", [False, True])
def test_where_nothing_is_to_be_seen_no_action_is_paid(noise):
    env = EyeEnv(**(QUICK | {"scenes": blank(), "photon_noise": noise}), muscles=("gaze_y_deg", "gaze_x_deg", *LENS))
    env.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (6, 3)):
        _, paid, *_ = env.step(action.astype(np.float32))
        assert paid <= 0


def test_a_saccade_costs_by_the_degree():
    env = EyeEnv(**(QUICK | {"scenes": blank(), "photon_noise": False, "degree_cost": 0.01}))
    env.reset(seed=0)
    _, paid, *_ = env.step(np.array([0.0, 1.0, 0.0, 0.0], np.float32))
    assert paid == pytest.approx(-env.rules.step_cost - 0.01 * 5.0, abs=1e-6)  # half of 10 degrees


def test_lens_and_pupil_change_and_the_gaze_goes_where_it_is_sent():
    env = EyeEnv(**QUICK, patience=0)
    env.reset(seed=0, options={"focus_dpt": 3.0, "pupil_mm": 4.0})
    _, _, _, _, info = env.step(np.array([-1.0, 0.5, 0.5, -1.0], np.float32))
    assert info["eye"] == pytest.approx({"gaze_y_deg": -4.0, "gaze_x_deg": 2.5, "focus_dpt": 4.0, "pupil_mm": 2.0})
    _, _, _, _, info = env.step(np.array([-1.0, 0.5, -1.0, 1.0], np.float32))
    assert info["eye"] == pytest.approx({"gaze_y_deg": -4.0, "gaze_x_deg": 2.5, "focus_dpt": 2.0, "pupil_mm": 4.0})
    action = env.action_towards(np.array([0.2, -0.4, 0.0, 0.5], np.float32))
    *_, info = env.step(action)
    assert info["u"][:2] == pytest.approx([0.2, -0.4], abs=1e-6)
    assert info["eye"]["focus_dpt"] == pytest.approx(4.0)  # as near to 5 dpt as one step can
    assert info["u"][3] == pytest.approx(0.5, abs=1e-6)


def test_the_same_glance_twice_leaves_one_mosaic_and_is_paid_for_twice():
    env = EyeEnv(**(QUICK | {"photon_noise": False}))
    _, first = env.reset(seed=1)
    before = env.world.mosaic.image.clone()
    for gaze in ((0.0, 0.0), (0.4, 0.4), (0.0, 0.0)):
        *_, info = env.step(np.array([*gaze, 0.0, 0.0], np.float32))
    near = env.world.mosaic.spacing_deg <= 0.2
    assert near.any()
    assert info["n_samples"] == 4 * first["n_samples"]
    env.reset(seed=1)
    env.step(np.zeros(4, np.float32))
    assert torch.equal(env.world.mosaic.image, before)
    assert int(env.world.mosaic.n_glances) == 2


def test_depth_is_not_in_the_observation():
    """Two planes far beyond what a pinhole would blur look alike: only the hidden truth differs."""
    told = []
    for distance_dpt in (1.0, 1.0 + 1e-7):
        obs, info = lens_env(plane(distance_dpt)).reset(seed=0)
        told.append(obs)
        assert set(info["hidden"]) == {"object_dpt", "focus_error_dpt", "disc_deg"}
    for name in told[0]:
        rounding = 1 if told[0][name].dtype == np.uint8 else 1e-3
        np.testing.assert_allclose(told[0][name].astype(float), told[1][name].astype(float), atol=rounding)


def test_red_is_sharper_when_the_lens_is_too_near():
    env, ratio = lens_env(plane(3.0)), STATISTICS.index("red_over_blue")
    near, far = (env.reset(seed=0, options={"focus_dpt": focus})[0]["statistics"][ratio] for focus in (3.6, 2.4))
    assert near > 0.02
    assert far < -0.02


def test_priority_is_highest_where_looking_pays_most_and_the_same_all_over_a_blank():
    env = EyeEnv(**(QUICK | {"scenes": plane(1.0), "photon_noise": False, "muscles": ("gaze_y_deg", "gaze_x_deg")}))
    env.reset(seed=1)
    told = env.world.priority
    assert told.shape == (1, 1, 36, 48)
    assert (float(told.min()) >= 0, float(told.max())) == (True, pytest.approx(1))
    y, x = divmod(int(told.flatten().argmax()), 48)
    best = ((y + 0.5) / 18 - 1, (x + 0.5) / 24 - 1)
    fall = {}
    for gaze in (best, (0.0, 0.0), (-best[0], -best[1])):
        _, info = env.reset(seed=1)
        _, _, _, _, after = env.step(np.array(gaze, dtype=np.float32))
        fall[gaze] = info["terms"]["gaze"] - after["terms"]["gaze"]
    assert fall[best] == max(fall.values()) > 0.02
    env = EyeEnv(**(QUICK | {"scenes": blank()}))
    env.reset(seed=0)
    assert float(fine_contrast(env.world.mosaic).max()) == 0
    assert float(env.world.priority.min()) == float(env.world.priority.max()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"muscles": ("ear",)}, "gaze_y_deg"),
        ({"muscles": ()}, "at least one"),
        ({"window_px": 31}, "window_px"),
        ({"focus_dpt": 11.0}, "focus_dpt"),
        ({"pupil_mm": 9.0}, "pupil_mm"),
        ({"scenes": "nowhere"}, "folder"),
        ({"scenes": []}, "at least one scene"),
        ({"white_cd_m2": 0.0}, "white_cd_m2"),
        ({"centre_exponent": -1.0}, "centre_exponent"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        EyeEnv(**(QUICK | settings))


def test_an_unknown_setting_lists_the_legal_ones():
    with pytest.raises(TypeError, match="photon_noise"):
        EyeConfig.of({"noise": True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gaze": (2, 0)}, "gaze"),
        ({"pupil_mm": 6.0}, "pupil_mm"),
        ({"focus_dpt": -1}, "focus"),
        ({"scene": "x"}, "scene"),
    ],
)
def test_reset_options_that_cannot_be_are_named(options, message):
    env = EyeEnv(**QUICK, muscles=LENS)
    with pytest.raises(ValueError, match=message):
        env.reset(seed=0, options=options)


def test_frames_are_pictures():
    env = gym.make("Ciliary/Eye-v0", render_mode="rgb_array", **QUICK)
    env.reset(seed=0)
    env.step(np.array([0.3, -0.4, 0.2, 0.0], np.float32))
    frame = env.render()
    assert frame.shape == (480, 640, 3)
    assert frame.dtype == np.uint8
    assert frame.std() > 10
