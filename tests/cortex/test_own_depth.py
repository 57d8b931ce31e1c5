"""Depth of one's own as ``module:object`` and of a hub as ``hub:REPO:MODEL``: larger is farther, in any unit."""

import sys

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.cues import DepthUnavailable, make_depth

MODULE = """
import torch
def rows(image):  # millimetres, farther to the top; half the size
    b, _, h, w = image.shape
    return torch.linspace(9000, 500, h // 2).view(1, 1, -1, 1).expand(b, 1, h // 2, w // 2)
class Flat(torch.nn.Module):
    def __init__(self, level=3.0):
        super().__init__()
        self.level, self.batch_norm = level, torch.nn.BatchNorm2d(3)
    def forward(self, image):
        return torch.full_like(image[:, 0], self.level)
def infinite(image): return image[:, :1] / 0
def colours(image): return image
def text(image): return "far"
number = 3
"""
HUBCONF = """
dependencies = ["torch"]
import torch
class Net(torch.nn.Module):
    def forward(self, x): return x[:, 0]  # inverse depth (B, h, w)
def Big(pretrained=True): return Net()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_depth_here.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "own_depth_here"
    sys.modules.pop("own_depth_here", None)


def test_a_function_in_any_unit_and_size_is_brought_to_the_image(own):
    image = torch.rand(2, 3, 48, 64).requires_grad_()
    depth = make_depth(f"{own}:rows")(image)
    assert depth.shape == (2, 1, 48, 64)
    assert not depth.requires_grad
    assert (depth[0, 0, 0] == 1).all()
    assert (depth[0, 0, -1] == 0).all()
    assert (depth[0, 0, 1:, 0] <= depth[0, 0, :-1, 0]).all()


def test_a_class_is_made_with_its_settings_and_stays_in_eval_mode(own):
    provider = make_depth(f"{own}:Flat", level=5.0)
    provider.train()
    assert not any(module.training for module in provider.modules())
    assert provider.see.level == 5.0
    assert not provider(torch.rand(1, 3, 32, 32)).any()  # no relief


def test_the_cortex_takes_it(own):
    cortex = Cortex(depth=f"{own}:rows")
    assert "depth_weight" not in cortex.inert
    assert cortex(torch.rand(1, 3, 48, 64)).m1.depth[0, 0, 0, 0] == 1


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("infinite", "finite depth"), ("colours", r"depth \(1, 1, h, w\), got \(1, 3"), ("text", "got str")],
)
def test_wrong_answers_are_named(own, name, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_depth(f"{own}:{name}")(torch.rand(1, 3, 32, 32))


def test_wrong_objects_are_named(own):
    with pytest.raises(ValueError, match="found no module"):
        make_depth("nowhere_at_all:depth")
    with pytest.raises(TypeError, match="expected a function of images"):
        make_depth(f"{own}:number")
    with pytest.raises(ValueError, match="takes no settings"):
        make_depth(f"{own}:rows", level=1)
    with pytest.raises(ValueError, match="hub:REPO:MODEL, such as"):
        make_depth("hub:DPT")


def test_a_model_of_a_hub_repository(tmp_path):
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    image = torch.linspace(0, 1, 64).expand(1, 3, 48, 64).contiguous()  # brighter = nearer
    depth = make_depth(f"hub:{tmp_path}:Big")(image)
    assert depth.shape == (1, 1, 48, 64)
    assert depth[0, 0, 20, 2] > 0.95 > 0.05 > depth[0, 0, 20, -3]
    with pytest.raises(DepthUnavailable, match=r"the depth model 'Small' from .* depth=.learned"):
        make_depth(f"hub:{tmp_path}:Small")
    sys.modules.pop("hubconf", None)
