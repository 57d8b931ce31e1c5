"""Things that an eye remembers over looks: as the memory of glances does it, none by default."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from ciliary.cortex.dorsal.looking import GREY
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.memory.glances import remember_glances
from ciliary.cortex.model import Cortex
from ciliary.envs import EyeEnv
from ciliary.envs.data.active.scene import EyeScene

GAZE = ("gaze_y_deg", "gaze_x_deg")
PLACES = ((0.3, -0.5), (0.3, -0.5), (-0.4, 0.6))


def two_discs():
    """Grey ground, a bright disc on the left and a dark one on the right."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    light = torch.full((3, 96, 128), 0.2)
    light[:, (y - 50) ** 2 + (x - 35) ** 2 < 18**2] = 0.8
    light[0, (y - 42) ** 2 + (x - 95) ** 2 < 14**2] = 0.02
    return EyeScene("discs", light, torch.ones(1, 96, 128), 8.0)


SETTINGS = {"size_px": None, "window_px": 32, "patience": 0, "photon_noise": False, "focus_dpt": 1.0}


@pytest.fixture(scope="module")
def played():
    env = EyeEnv(**SETTINGS, muscles=GAZE, scenes=two_discs(), things=True, mosaic_coarse=1, render_mode="rgb_array")
    _, info = env.reset(seed=0)
    infos, mosaics = [info], [env.world.mosaic]
    for place in PLACES:
        *_, info = env.step(np.array(place, np.float32))
        infos.append(info)
        mosaics.append(env.world.mosaic)
    return env, infos, mosaics


def test_things_are_those_of_the_memory_of_glances(played):
    env, infos, mosaics = played
    grey = [
        Mosaic(torch.where(m.is_seen, m.image, GREY), m.spacing_deg, m.n_samples, m.n_glances, m.px_per_deg)
        for m in mosaics
    ]
    with torch.no_grad():
        remembered = list(remember_glances(Cortex(), grey))
        for info, (memory, _, _) in zip(infos, remembered, strict=True):
            assert info["things"]["identity"].tolist() == memory.identity[0].tolist()
            assert info["things"]["unseen"].tolist() == (memory.unseen * memory.is_alive)[0].tolist()
    _, objects, found = remembered[-1]
    assert torch.equal(env.world.things.identity, found.labels(objects))


def test_a_thing_is_told_where_it_is_and_keeps_its_name(played):
    _, infos, _ = played
    names = []
    for info in infos:
        told = info["things"]
        alive = told["identity"] >= 0
        # The bright disc: 18 px of radius at (2.5, -28.5) px from the centre, 8 px a degree.
        off = np.hypot(*(told["place_deg"] - np.array([2.5, -28.5]) / 8).T)
        near = alive & (off < 0.5) & (np.abs(told["extent_deg"] - np.sqrt(np.pi) * 18 / 8) < 1)
        names.append(set(told["identity"][near].tolist()))
    assert len(names[0]) == 1
    assert names[0] <= set.intersection(*names)
    assert infos[-1]["things"]["confidence"].max() > infos[0]["things"]["confidence"].max()


def test_they_are_painted(played):
    env, *_ = played
    frame = env.render()
    plain = EyeEnv(**SETTINGS, muscles=GAZE, scenes=two_discs(), mosaic_coarse=1, render_mode="rgb_array")
    plain.reset(seed=0)
    assert "things" not in plain.reset(seed=0)[1]
    for place in PLACES:
        plain.step(np.array(place, np.float32))
    other = plain.render()
    assert (frame[260:, 330:] != other[260:, 330:]).any(2).mean() > 0.1
    assert (frame[:200, :310] == other[:200, :310]).all()


def test_an_episode_is_the_same_with_and_without():
    played = []
    for things in (False, True):
        env = EyeEnv(**SETTINGS, muscles=GAZE, scenes=two_discs(), things=things)
        steps = [env.reset(seed=0)[0], *(env.step(np.array(place, np.float32))[:2] for place in PLACES[:2])]
        played.append(steps)
    (first, *rest), (first_too, *rest_too) = played
    assert all(np.array_equal(first[name], first_too[name]) for name in first)
    for (obs, paid), (obs_too, paid_too) in zip(rest, rest_too, strict=True):
        assert paid == paid_too
        assert all(np.array_equal(obs[name], obs_too[name]) for name in obs)


def test_rows_share_nothing_and_a_new_episode_forgets():
    envs = gym.make_vec("Ciliary/Gaze-v0", num_envs=2, max_episode_steps=2, scenes=two_discs(), things=True, **SETTINGS)
    _, info = envs.reset(seed=0)
    assert info["things"]["identity"].shape == (2, 48)
    assert info["things"]["place_deg"].shape == (2, 48, 2)
    _, _, _, _, info = envs.step(np.full((2, 2), 0.3, np.float32))
    kept = info["things"]["identity"][1]
    _, info = envs.reset(options={"reset_mask": np.array([True, False])})
    assert info["things"]["identity"][1].tolist() == kept.tolist()
    assert info["things"]["age"][0].max() == 0
    assert info["things"]["age"][1].max() == 1
