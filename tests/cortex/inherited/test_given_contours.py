"""A user's own contours: looked at once, checked, and believed as far as the setting says."""

import pytest
import torch
from torch import nn

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.m2_taught import GivenM2
from ciliary_tests.theta_scenes import scene_theta
from ciliary_tests.untaught import untaught

SIZE = (48, 64)
GREY = torch.full((1, 3, *SIZE), 0.5)


def down_the_middle(image):
    """A line that is not in the picture."""
    strength = torch.zeros_like(image[:, :1])
    strength[..., image.shape[-1] // 2] = 1.0
    return strength


class Counted:
    """A provider that counts how often it is asked."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, image):
        self.n_calls += 1
        assert not torch.is_grad_enabled()
        return down_the_middle(image)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, image):
        assert not self.training
        return self.gain * down_the_middle(image)


@pytest.mark.parametrize(
    "provider", [down_the_middle, Counted(), Network(), Network], ids=["function", "object", "module", "class"]
)
def test_it_splits_the_picture_where_it_says(provider):
    cortex = Cortex(contours=provider, m3=untaught()["m3"])
    percept = cortex(GREY, scene_theta(1, taught_share=1.0))
    torch.testing.assert_close(percept.m2.contour, down_the_middle(GREY))
    label = percept.m3.patches.label[0]
    assert percept.m3.patches.size.shape[1] == 2
    assert (label[:, :31] == 0).all()
    assert (label[:, 34:] == 1).all()
    left, right = percept.m4.masks[0, :2]
    assert left[:, :31].min() > 0.9
    assert right[:, 34:].min() > 0.9
    assert not any(p.requires_grad for p in cortex.parameters())


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_it_is_believed_as_far_as_the_setting_says(share):
    contour = Cortex(contours=down_the_middle)(GREY, scene_theta(1, taught_share=share)).m2.contour
    plain = Cortex()(GREY, scene_theta(1)).m2.contour
    torch.testing.assert_close(contour, (1 - share) * plain + share * down_the_middle(GREY))


def test_it_is_asked_once_an_image_not_once_a_setting():
    provider = Counted()
    cortex = Cortex(contours=provider)
    cues = cortex.cues(GREY)
    for share in (0.1, 0.5):
        cortex(GREY, default_theta(1, taught_share=share), cues)
    cortex(GREY.expand(2, -1, -1, -1), default_theta(2), cues[torch.zeros(2, dtype=torch.int64)])
    assert provider.n_calls == 1
    cortex(GREY)
    assert provider.n_calls == 2


@pytest.mark.parametrize("name", ["down_the_middle", "Network", "network"])
def test_it_can_be_named(tmp_path, monkeypatch, name):
    (tmp_path / "my_contours.py").write_text(
        "import torch\n"
        "def down_the_middle(image):\n    out = torch.zeros_like(image[:, :1])\n    out[..., 32] = 1\n    return out\n"
        "class Network(torch.nn.Module):\n    def forward(self, image):\n        return down_the_middle(image)\n"
        "network = Network()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    cues = Cortex(contours=f"my_contours:{name}").cues(GREY)
    assert torch.equal(cues.contour, down_the_middle(GREY))


def test_a_stage_that_is_given_goes_before_it_and_it_before_an_inherited_one(tmp_path):
    assert isinstance(Cortex(contours=down_the_middle).m2, GivenM2)
    own = untaught()["m2"]
    assert Cortex(contours=down_the_middle, m2=own).m2 is own


def test_its_share_is_alive_with_it_and_inert_without():
    assert "taught_share" in Cortex().inert
    assert "taught_share" not in Cortex(contours=down_the_middle).inert


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda image: down_the_middle(image)[:, 0],
            r"expected boundary strength \(1, 1, 48, 64\) of float, got \(1, 48, 64\)",
        ),
        (
            lambda image: down_the_middle(image)[..., ::2],
            r"expected boundary strength \(1, 1, 48, 64\) of float, got \(1, 1, 48, 32\)",
        ),
        (lambda image: down_the_middle(image) > 0, "of float, got .* of torch.bool"),
        (lambda image: down_the_middle(image).numpy(), "of float, got ndarray"),
        (lambda image: None, "of float, got NoneType"),
        (
            lambda image: 6 * down_the_middle(image) - 3,
            r"expected values in \[0, 1\], got -3 to 3; apply a sigmoid to logits",
        ),
        (lambda image: torch.nan * down_the_middle(image), r"expected values in \[0, 1\], got nan"),
    ],
    ids=["three dimensions", "another size", "bool", "numpy", "nothing", "logits", "nan"],
)
def test_another_answer_is_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        Cortex(contours=answer)(GREY)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="expected contours to be called with an image, got int from 3"):
        Cortex(contours=3)
    with pytest.raises(ValueError, match="contours 'no_such_module:x': found no module"):
        Cortex(contours="no_such_module:x")


def test_cues_without_a_contour_say_what_to_do():
    with pytest.raises(ValueError, match=r"got none; build the cortex with contours=\.\.\."):
        Cortex(m2=GivenM2())(GREY)
