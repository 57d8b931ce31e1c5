"""Glances: what they show a perceiver, and that what it saw comes back to the image's own frame."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from ciliary.cortex.glance import GLANCES, GlancingPerceiver, in_other_light, resized
from ciliary.cortex.perceivers import make_glancing, make_perceiver, perceiver_mark
from ciliary.cortex.segmenters import SegmenterPerceiver
from ciliary.cortex.segmenters.percept import LabelPercept
from ciliary.envs.objective.panel import draw_panel

H, W = 40, 60


class Watcher:
    """Remembers what it was shown; sees light and dark."""

    name, answers, inert, look_spread = "watcher", frozenset(), frozenset(), 0.1

    def __init__(self) -> None:
        self.table = SegmenterPerceiver(threshold, {"level": (0.1, 0.9, 0.5)}).table
        self.shown: list[torch.Tensor] = []

    def cues(self, image):
        return None

    def __call__(self, image, theta, cues=None):
        self.shown.append(image)
        return LabelPercept((image.mean(1) > theta["level"][:, None, None]).long())


def threshold(image, *, level=0.5):
    return image.mean(-1) > level


@pytest.fixture
def image():
    """Dark, with a light square in the upper left."""
    image = torch.full((1, 3, H, W), 0.2)
    image[..., :20, :30] = 0.8
    return image


def theta_of(perceiver, n=1, **values):
    return perceiver.table.default_theta(n, **values)


def test_a_plain_look_is_the_perceiver_s_own(image):
    inner = Watcher()
    eye = GlancingPerceiver([inner])
    percept = eye(image, theta_of(eye))
    assert type(percept) is LabelPercept  # with all that it has, such as stages
    assert inner.shown[0] is image
    back = eye.table.from_unit(eye.table.default_unit())  # u and back again is not exact
    assert type(eye(image, back)) is LabelPercept


def test_what_is_seen_at_another_size_comes_back(image):
    inner = Watcher()
    eye = GlancingPerceiver([inner])
    theta = theta_of(eye, 3)
    theta["glance_scale"] = torch.tensor([1.0, 1.414, 1.0])
    theta["glance_blur_px"] = torch.tensor([0.0, 0.0, 1.0])
    percept = eye(image.repeat(3, 1, 1, 1), theta)
    assert sorted(tuple(x.shape[-2:]) for x in inner.shown) == [(H, W), (57, 85)]  # looks of one size go together
    assert percept.segments.shape == (3, H, W)
    expected = torch.zeros(H, W, dtype=torch.int64)
    expected[:20, :30] = 1
    for seen in percept.segments:
        assert (seen != expected).float().mean() < 0.02
    assert percept[1].boundary.shape == (1, 1, H, W)


def test_light_by_hand():
    image = torch.tensor([0.25, 0.5]).view(1, 1, 1, 2).expand(3, 3, 40, 2).contiguous()
    theta = {name.name: torch.full((3,), name.default) for name in GLANCES}
    theta["glance_gamma"] = torch.tensor([1.0, 0.5, 1.0])
    theta["glance_stretch"] = torch.tensor([0.0, 0.0, 1.0])
    seen = in_other_light(image, theta)
    assert torch.equal(seen[0], image[0])
    torch.testing.assert_close(seen[1, 0, 0], torch.tensor([0.5, 0.5**0.5]))
    torch.testing.assert_close(seen[2, 0, 0], torch.tensor([0.0, 1.0]))


def test_no_side_gets_smaller_than_a_cortex_can_see():
    assert resized(torch.zeros(1, 3, 40, 80), 0.5).shape[-2:] == (32, 64)
    assert resized(torch.zeros(1, 3, 100, 80), 1.5).shape[-2:] == (150, 120)


def test_several_look_by_turns(image):
    one, other = Watcher(), Watcher()
    other.name = "other"
    eye = GlancingPerceiver([one, other])
    assert eye.name == "watcher+other glances"
    eye(image.repeat(2, 1, 1, 1), theta_of(eye, 2) | {"perceiver": torch.tensor([0.2, 0.8])})
    assert (len(one.shown), len(other.shown)) == (1, 1)
    panel = draw_panel(eye, 32)
    who = panel[1:, list(eye.table.names).index("perceiver")]
    assert 12 <= (who > 0).sum() <= 20  # evenly
    level = panel[1:, 0]
    assert level.std() == pytest.approx(0.1, abs=0.03)  # as far as the perceiver says
    with pytest.raises(ValueError, match="same parameters"):
        GlancingPerceiver([one, make_perceiver("slic")])


def test_what_was_looked_at_is_not_perceived_again(image):
    inner = Watcher()
    eye = GlancingPerceiver([inner])
    theta = theta_of(eye, 1, glance_blur_px=1.0)
    first = eye(image, theta)
    again = eye(image.repeat(2, 1, 1, 1), {name: value.repeat(2) for name, value in theta.items()})
    assert len(inner.shown) == 1
    assert torch.equal(again.segments[1], first.segments[0])
    eye(image + 0.01, theta)
    assert len(inner.shown) == 2
    assert not pickle.loads(pickle.dumps(GlancingPerceiver([make_perceiver("felzenszwalb")])))._remembered


def test_by_name():
    assert make_perceiver("glances:felzenszwalb").name == "felzenszwalb glances"
    math = make_perceiver("glances:none")
    assert [one.name for one in math.perceivers] == ["cortex"]
    assert make_glancing(math) is math
    assert perceiver_mark("glances:felzenszwalb") == "glances:felzenszwalb"
    marks = {perceiver_mark(name) for name in ("glances", "glances:contours", "glances:all", "glances:none")}
    assert len(marks) == 4
    assert all(mark.startswith("glances") and len(mark.split()[-1]) == 16 for mark in marks)  # by what is in the files
    assert len(make_glancing({"inherited": "none"}).perceivers) == 1
    both = make_perceiver("glances:contours+all")
    assert [one.name for one in both.perceivers] == ["cortex-contours", "cortex-all"]
    assert np.isin(["merge_threshold", "perceiver"], both.table.names).all()


def test_a_perceiver_that_fails_is_told_with_the_look_it_was_shown(image):
    def fails(image, *, a=1.0):
        raise KeyError("nothing")

    looking = GlancingPerceiver([SegmenterPerceiver(fails)])
    theta = theta_of(looking, 2)
    theta["glance_scale"] = torch.full((2,), 1.41421356)
    theta["glance_gamma"] = torch.tensor([1.0, 1.2])
    with pytest.raises(RuntimeError, match=r"a 85 x 57 px look, of an image of 60 x 40 px, gamma 1 to 1\.2"):
        looking(image.expand(2, -1, -1, -1), theta)
    theta["glance_scale"] = torch.ones(2)
    with pytest.raises(RuntimeError, match=r"called with a 60 x 40 px look, gamma 1 to 1\.2"):
        looking(image.expand(2, -1, -1, -1), theta)
