"""Episodes as video: Gymnasium's own recorders on our environments, read back from the file."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from ciliary.agents import make_controller, run_episode
from ciliary.agents.controllers.simple import RandomController
from ciliary.envs import AccommodationEnv
from ciliary_tests.photographs import photographs

pytest.importorskip("moviepy", reason="the extra `video` is not installed")

QUICK = {
    "source": photographs(),
    "objective": "raw",
    "disturbances": "all",
    "n_views": 2,
    "render_mode": "rgb_array",
    "patience": 0,
}
LOOSE = 12  # grey levels by which a frame may differ from what was rendered: the codec loses something


class Walk(RandomController):
    """Random settings, one step at a time."""

    use_steps = True


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "videos"  # the recorder wants to make it


@pytest.fixture
def rendered(monkeypatch):
    """The frames that the environment has rendered."""
    frames = []
    render = AccommodationEnv.render

    def keep(self):
        frames.append(render(self))
        return frames[-1]

    monkeypatch.setattr(AccommodationEnv, "render", keep)
    return frames


def read(path):
    """All frames of a video, (T, H, W, 3) uint8, by a decoder that did not write it."""
    import imageio.v3 as iio

    return iio.imread(path, plugin="FFMPEG")


def recorded(folder, **more):
    env = gym.make("Ciliary/Accommodation-v0", size_px=48, **(QUICK | more))
    return gym.wrappers.RecordVideo(env, str(folder), episode_trigger=lambda _: True, name_prefix="eye")


@pytest.mark.slow
def test_an_episode_by_hand(folder, rendered):
    env = recorded(folder)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(3):
        env.step(env.action_space.sample())
    env.close()
    video = read(folder / "eye-episode-0.mp4")
    assert video.shape == (4, 480, 640, 3)  # the reset and three steps
    assert np.abs(video.astype(float) - np.stack(rendered)).mean() < LOOSE
    assert (np.abs(np.diff(video.astype(float), axis=0)).mean((1, 2, 3)) > 0).all()


@pytest.mark.slow
def test_an_episode_of_a_controller_that_steps(folder, rendered):
    env = recorded(folder, action_mode="absolute")
    trace = run_episode(env, Walk(population=1), seed=0, n_trials=3, guard=None)
    env.close()
    assert trace.n_trials == 3
    n_steps = trace.n_evaluations
    assert len(read(folder / "eye-episode-0.mp4")) == len(rendered) == 1 + n_steps


@pytest.mark.slow
def test_a_search_by_populations_shows_what_it_applies(folder, rendered):
    """Nothing is rendered during the search, which does not step; the last frame is the setting applied."""
    env = recorded(folder, action_mode="absolute")
    trace = run_episode(env, make_controller("random", population=4), seed=0, n_trials=8, guard=None)
    assert trace.i_chosen > 0
    assert np.allclose(env.unwrapped.u, trace.u_chosen)
    env.close()
    assert len(read(folder / "eye-episode-0.mp4")) == len(rendered) == 2


@pytest.mark.slow
def test_each_episode_has_its_file(folder, rendered):
    env = recorded(folder)
    for seed in (0, 1):
        env.reset(seed=seed)
        env.step(env.action_space.sample())
    env.close()
    assert sorted(p.name for p in folder.glob("*.mp4")) == ["eye-episode-0.mp4", "eye-episode-1.mp4"]


@pytest.mark.slow
def test_many_at_once(folder):
    envs_ = gym.make_vec("Ciliary/Accommodation-v0", num_envs=2, shape_px=(32, 48), **QUICK)
    env = gym.wrappers.vector.RecordVideo(
        envs_, str(folder), video_aspect_ratio=(8, 3), episode_trigger=lambda _: True, name_prefix="eyes"
    )
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    frames = np.concatenate(env.render(), axis=1)  # side by side
    env.close()
    video = read(folder / "eyes-episode-0.mp4")
    assert video.shape == (4, 480, 1280, 3)
    assert np.abs(video[-1].astype(float) - frames).mean() < LOOSE
