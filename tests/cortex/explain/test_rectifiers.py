"""What goes back through a ReLU, as a truth table; the same as Captum's hooks on modules, and on functions too."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ciliary.cortex.explain.rectifiers import RULES, RectifierRule

#: (input, gradient from above) -> what goes back by each rule.
TABLE = [
    ((2.0, 3.0), {"gradient": 3.0, "guided": 3.0, "deconvnet": 3.0}),
    ((2.0, -3.0), {"gradient": -3.0, "guided": 0.0, "deconvnet": 0.0}),
    ((-2.0, 3.0), {"gradient": 0.0, "guided": 0.0, "deconvnet": 3.0}),
    ((-2.0, -3.0), {"gradient": 0.0, "guided": 0.0, "deconvnet": 0.0}),
]
RELUS = (F.relu, torch.relu, nn.ReLU(), lambda x: x.relu(), nn.ReLU(inplace=True), lambda x: torch.relu_(x + 0))


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("relu", RELUS)
def test_the_truth_table(rule, relu):
    x = torch.tensor([x for (x, _), _ in TABLE], requires_grad=True)
    above = torch.tensor([g for (_, g), _ in TABLE])
    with RectifierRule(rule):
        y = relu(x)
    assert y.tolist() == [2.0, 2.0, 0.0, 0.0]  # forward it is a ReLU
    (back,) = torch.autograd.grad(y, x, above)
    assert back.tolist() == [row[rule] for _, row in TABLE]


def test_one_pass_forward_serves_all_rules():
    x = torch.tensor([2.0, -2.0], requires_grad=True)
    with RectifierRule() as mode:
        y = F.relu(x)
    found = {}
    for rule in RULES:
        mode.rule = rule
        found[rule] = torch.autograd.grad(y, x, torch.ones(2), retain_graph=True)[0].tolist()
    assert found == {"gradient": [1, 0], "guided": [1, 0], "deconvnet": [1, 1]}


def test_outside_of_it_a_relu_is_what_it_was():
    x = torch.tensor([-1.0, 1.0], requires_grad=True)
    with RectifierRule("deconvnet"):
        pass
    assert torch.autograd.grad(F.relu(x).sum(), x)[0].tolist() == [0, 1]


@pytest.mark.parametrize(("rule", "name"), [("guided", "GuidedBackprop"), ("deconvnet", "Deconvolution")])
def test_captum_finds_the_same_on_modules(rule, name):
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    with RectifierRule(rule):
        value = net(x)[:, 1].sum()
    (ours,) = torch.autograd.grad(value, x)
    torch.testing.assert_close(ours, getattr(captum, name)(net).attribute(x, target=1))
