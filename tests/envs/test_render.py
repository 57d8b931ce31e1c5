import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch

import ciliary.envs  # noqa: F401  (registers the ids)
from ciliary.cortex import Cortex
from ciliary.cortex.plot.paint import paint_labels
from ciliary.envs.render import Renderer
from ciliary_tests.photographs import photographs

QUICK = {"source": photographs(), "size_px": 48, "n_views": 2, "render_mode": "rgb_array", "patience": 0}


@pytest.fixture
def env():
    return gym.make("Ciliary/Accommodation-v0", **QUICK)


def test_frames_have_one_size_and_follow_the_episode(env):
    env.reset(seed=0, options={"image": 0})
    frames = [env.render()]
    for _ in range(2):
        env.step(env.action_space.sample())
        frames.append(env.render())
    env.reset(seed=0, options={"image": 1})  # another shape
    frames.append(env.render())
    assert all(frame.shape == (480, 640, 3) and frame.dtype == np.uint8 for frame in frames)
    for one, next_one in itertools.pairwise(frames):
        assert not np.array_equal(one, next_one)
        assert not np.shares_memory(one, next_one)


def test_rendering_changes_nothing(env):
    env.reset(seed=0)
    first = env.render()
    np.testing.assert_array_equal(first, env.render())
    assert env.unwrapped.n_evaluations == 0


def test_no_mode_no_picture():
    env = gym.make("Ciliary/Accommodation-v0", **(QUICK | {"render_mode": None})).unwrapped
    env.reset(seed=0)
    assert env.render() is None


def test_segments_get_their_own_hue_and_an_outline():
    labels = np.repeat(np.arange(4), 6)[None].repeat(8, 0)
    painted = paint_labels(np.full((8, 24, 3), 0.5), labels)
    inside = painted[4, 3::6]
    assert len({tuple(colour.round(3)) for colour in inside}) == 4
    assert (painted[:, 6].sum(1) < painted[:, 8].sum(1)).all()
    assert (painted >= 0).all()
    assert (painted <= 1).all()


def test_only_measured_terms_are_listed():
    percept = Cortex()(torch.rand(1, 3, 32, 48))
    renderer, image = Renderer(), np.zeros((3, 32, 48), np.float32)
    listed = []
    for terms in ({"total": 0.5, "collapse": 0.7}, {"total": 0.5, "stability": 0.2, "collapse": 0.7}):
        renderer.draw(image, percept, [terms], title="")
        listed.append([text.get_text() for text in renderer._loss.get_legend().get_texts()])
    assert listed == [["collapse", "total"], ["stability", "collapse", "total"]]
