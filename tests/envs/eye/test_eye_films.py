"""Films before an eye: a film at rest is a photograph, what moves is aged, sought and followed."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.envs import EyeConfig, EyeEnv
from ciliary.envs.data.active.scene import SceneFilm
from ciliary.envs.data.active.sequences import filmed, patch_film, read_film
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.film import frames_per_look
from ciliary.envs.eye.sources import moving_scene

GAZE = ("gaze_y_deg", "gaze_x_deg")
QUICK = {"size_px": (64, 80), "width_deg": 10.0, "window_px": 32, "patience": 0}
PLACES = ((0.3, -0.4), (0.3, -0.4), (-0.5, 0.2), (0.0, 0.0))


def same(scene, i):
    del i
    return scene


def still_scene(seed=0):
    return planes_scene((1.0,), seed=seed, size_px=(64, 80), px_per_deg=8.0)


def at_rest(scene, n_frames=20):
    """A film of nothing but the scene."""
    return filmed(SceneFilm(n_frames, 1000 / 30, partial(same, scene)), scene.name)


def small_patch(n_frames=40, patch_px=(0.0, 1.0), background_px=(0.0, 0.0), seed=3):
    return patch_film(
        background_px=background_px,
        patch_px=patch_px,
        n_frames=n_frames,
        size_px=(96, 128),
        side_px=32,
        px_per_deg=9.6,
        start_px=(47.5, 30.0),
        seed=seed,
    )


def patch_env(**settings):
    whole = {
        "size_px": None,
        "window_px": 32,
        "patience": 0,
        "photon_noise": False,
        "muscles": GAZE,
        "mosaic_coarse": 1,
    } | settings
    return EyeEnv(**({"scenes": small_patch()} | whole))


def played(env, places=PLACES, seed=5):
    obs, info = env.reset(seed=seed)
    steps = [(obs, 0.0, info)]
    for place in places:
        obs, paid, _, _, info = env.step(np.array(place, np.float32))
        steps.append((obs, paid, info))
    return steps


@pytest.mark.parametrize("noise", [False, True])
def test_a_film_of_one_picture_is_the_photograph(noise):
    scene = still_scene()
    film, still = (
        played(EyeEnv(**QUICK, scenes=one, muscles=GAZE, photon_noise=noise)) for one in (at_rest(scene), scene)
    )
    for (obs, paid, info), (obs_still, paid_still, info_still) in zip(film, still, strict=True):
        assert all(np.array_equal(obs[name], obs_still[name]) for name in obs_still)
        assert paid == paid_still
        assert info["terms"] == info_still["terms"]
        assert info["n_samples"] == info_still["n_samples"]
    assert [step[2]["frame"] for step in film] == [7, 14, 19, 19, 19]
    assert {step[2]["frame"] for step in still} == {0}


def test_each_look_sees_a_later_frame():
    env = patch_env(frames_per_look=3)
    env.reset(seed=0)
    film = env.world.scene(0).film
    for k in (2, 3):
        *_, info = env.step(np.zeros(2, np.float32))
        assert info["frame"] == 3 * k
        assert torch.equal(env.world.now[0].light, film.at(3 * k).light)
    assert frames_per_look(EyeConfig(), 1000 / 24) == 6
    assert frames_per_look(EyeConfig(), 400.0) == 1


def test_what_moves_grows_stale_and_what_rests_does_not():
    env = patch_env(patience=0)
    env.reset(seed=0, options={"gaze": (0.0, -0.4)})
    first = env.world.mosaic
    env.step(np.array([0.0, 0.9], np.float32))
    later = env.world.mosaic
    patch, ground = (slice(40, 56), slice(28, 44)), (slice(2, 12), slice(84, 124))
    assert bool((later.spacing_deg[0, 0][patch] > first.spacing_deg[0, 0][patch] + 0.04).all())
    # What rests is only seen anew, more finely.
    assert bool((later.spacing_deg[0, 0][ground] <= first.spacing_deg[0, 0][ground]).all())
    blind = patch_env(sees_motion=False)
    blind.reset(seed=0, options={"gaze": (0.0, -0.4)})
    blind.step(np.array([0.0, 0.9], np.float32))
    kept = blind.world.mosaic.spacing_deg[0, 0]
    assert torch.equal(kept[ground], later.spacing_deg[0, 0][ground])
    assert torch.equal(kept[patch], torch.minimum(kept, first.spacing_deg[0, 0])[patch])


def test_what_moves_is_worth_looking_at():
    """From the centre, a patch 10 degrees away in its periphery: the map's most is on it only where motion draws."""
    found = {True: [], False: []}
    for seed, start in ((0, (60.0, 60.0)), (2, (70.0, 240.0))):
        film = patch_film(background_px=(0, 0), patch_px=(0, 1), n_frames=8, seed=seed, start_px=start)
        for draws, hits in found.items():
            env = EyeEnv(scenes=film, muscles=GAZE, patience=0, motion_draws=draws)
            obs, info = env.reset(seed=0)
            y, x = np.unravel_index(obs["priority"][0].argmax(), (36, 48))
            at_deg = np.array([(y + 0.5) / 36 - 0.5, (x + 0.5) / 48 - 0.5]) * (25, 320 / 9.6)
            hits.append(bool(np.abs(at_deg - film.film.mover_deg(info["frame"])).max() <= 2.5))
    assert all(found[True])
    assert not all(found[False])


def test_a_memory_is_carried_along_with_the_field():
    """Everything pans by 1 px a frame: what was seen at a place is found where it went to."""
    film = small_patch(patch_px=(0.0, 1.0), background_px=(0.0, 1.0))
    env = patch_env(scenes=film, frames_per_look=6)
    env.reset(seed=0, options={"gaze": (0.0, -0.5)})
    before = env.world.mosaic.image[0, 1]
    env.step(np.array([0.0, 0.9], np.float32))
    after = env.world.mosaic.image[0, 1]
    here = (slice(40, 56), slice(24, 40))
    off = {shift: float((after[here[0], 24 + shift : 40 + shift] - before[here]).abs().mean()) for shift in (0, 6)}
    assert off[6] < 0.5 * off[0]


def test_rows_are_the_single_environments_and_films_and_photographs_share_a_batch():
    flat = replace(small_patch().film.at(0), name="flat")
    scenes = [small_patch(), flat, small_patch(seed=8, patch_px=(0.5, 0.0))]
    settings = {"size_px": None, "window_px": 32, "patience": 0, "scenes": scenes}
    envs = gym.make_vec("Ciliary/Gaze-v0", num_envs=3, **settings)
    obs, info = envs.reset(seed=2, options={"scene": [0, 1, 2]})
    singles = [gym.make("Ciliary/Gaze-v0", **settings) for _ in range(3)]
    alone = [one.reset(seed=2 + i, options={"scene": i}) for i, one in enumerate(singles)]
    for action in ((0.2, 0.1), (-0.3, 0.5)):
        for i, (told, about) in enumerate(alone):
            for name, values in told.items():
                rough = 1 if values.dtype == np.uint8 else 2e-3
                np.testing.assert_allclose(obs[name][i].astype(float), values.astype(float), atol=rough)
            assert info["frame"][i] == about["frame"]
            assert info["terms"]["total"][i] == pytest.approx(about["terms"]["total"], abs=1e-4)
        obs, paid, _, _, info = envs.step(np.tile(np.array(action, np.float32), (3, 1)))
        steps = [one.step(np.array(action, np.float32)) for one in singles]
        np.testing.assert_allclose(paid, [step[1] for step in steps], atol=1e-4)
        alone = [(step[0], step[4]) for step in steps]


def test_a_row_that_waits_keeps_its_frame_and_its_memory():
    envs = gym.make_vec("Ciliary/Gaze-v0", num_envs=2, size_px=None, window_px=32, patience=0, scenes=small_patch())
    envs.reset(seed=0)
    _, _, _, _, info = envs.step(np.full((2, 2), 0.3, np.float32))
    kept = envs.unwrapped.world.mosaic.image[1].clone()
    _, info = envs.reset(options={"reset_mask": np.array([True, False])})
    assert info["frame"].tolist() == [7, 14]
    assert torch.equal(envs.unwrapped.world.mosaic.image[1], kept)


def test_made_up_films_are_drawn_by_seed_and_stay_in_the_field():
    config = EyeConfig(size_px=(96, 128), horizon=3)
    for seed in range(6):
        scene = moving_scene(seed, config)
        film = scene.film
        assert film.n_frames == 4 * 7 + 1
        path = np.array([film.mover_deg(i) for i in range(film.n_frames)]) * scene.px_per_deg
        assert (np.abs(path) <= np.array([96, 128]) / 2 * 0.73).all()
    assert torch.equal(moving_scene(1, config).light, moving_scene(1, config).light)
    assert not torch.equal(moving_scene(1, config).light, moving_scene(2, config).light)


def write_frames(folder, n=4, size=(80, 64)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(folder / f"frame{i + 8}.png")
    return folder


def test_a_folder_of_frames_is_a_film_if_it_is_said_to_be(tmp_path):
    folder = write_frames(tmp_path / "walk")
    env = EyeEnv(**QUICK, scenes=folder, film=True, frames_per_look=1, muscles=GAZE)
    _, info = env.reset(seed=0)
    assert (info["scene"], info["frame"]) == ("walk", 1)
    # Numbers count as numbers: frame 10 comes after frame 9.
    third = read_film(folder, width_deg=10.0).film.at(2)
    *_, info = env.step(np.zeros(2, np.float32))
    torch.testing.assert_close(env.world.now[0].light, third.light)
    assert len(EyeEnv(**QUICK, scenes=folder, muscles=GAZE).world.source.names) == 4  # photographs
    write_frames(tmp_path / "run")
    assert set(EyeEnv(**QUICK, scenes=tmp_path, film=True).world.source.names) == {"walk", "run"}


def test_frames_with_depth_are_a_film_in_depth(tmp_path):
    folder = write_frames(tmp_path / "room", n=2)
    for i in (8, 9):
        (folder / f"frame{i}.png").rename(folder / f"{i}.color.png")
        depth = np.full((64, 80), 1000 if i == 8 else 500, dtype=np.uint16)
        Image.fromarray(depth).save(folder / f"{i}.depth.png")
    env = EyeEnv(**QUICK, scenes=folder, film=True, frames_per_look=1, nearness=1.0)
    _, info = env.reset(seed=0)
    assert info["hidden"]["object_dpt"] == pytest.approx(2.0)
    assert env.world.scene(0).distance_dpt.mean() == pytest.approx(1.0)


def test_films_that_cannot_be_are_named(tmp_path):
    with pytest.raises(ValueError, match="film=True is for a folder"):
        EyeConfig(scenes="moving", film=True)
    with pytest.raises(ValueError, match="frames_per_look"):
        EyeConfig(frames_per_look=0)
    with pytest.raises(ValueError, match="no film"):
        EyeEnv(**QUICK, scenes=write_frames(tmp_path / "one", n=1), film=True)
    with pytest.raises(ValueError, match="two frames"):
        SceneFilm(1, 30.0, math.sqrt)
    folder = write_frames(tmp_path / "mixed")
    write_frames(tmp_path / "other", size=(70, 64))
    (tmp_path / "other" / "frame9.png").rename(folder / "frame10.png")
    with pytest.raises(ValueError, match="70x64"):
        read_film(folder)
