"""Every parameter of the table is alive from its own stage on, and its gradient is the slope."""

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex import Cortex
from ciliary.cortex.options import STAGES
from ciliary.cortex.parameters import PARAMETERS, default_theta, from_unit
from ciliary.cortex.stages.m2_grouping import M2
from ciliary.testing.stage import largest_change, moved, photograph, projection, tensors, with_cues
from ciliary_tests.theta_scenes import scene_theta

FIELDS = STAGES[:-1]  # of a cortex that does not recognise
#: What the mathematical stages read; the rest has its tests in inherited/.
READ = [p for p in PARAMETERS if p.name not in M2.inert]
#: Nothing saturated: slots and objects are soft, counts are fractions, and regions matter.
SOFT = {
    "slot_temperature": 0.3,
    "backbone_weight": 0.1,
    "merge_temperature": 0.5,
    "n_slots": 18.4,
    "n_regions": 5.6,
    "region_weight": 1.0,
    "contrast_adaptation": 0.3,
    "threshold_adaptation": 0.5,
    "expected_objects": 6.3,
}


@pytest.fixture(scope="module")
def cortex():
    return Cortex()


def perceive(cortex, image, theta):
    return cortex(image, theta, with_cues(image))


@pytest.mark.parametrize("p", READ, ids=lambda p: p.name)
def test_each_parameter_acts_from_its_own_stage_on(cortex, p):
    base = default_theta(1, **SOFT)
    with torch.no_grad():
        still, other = (perceive(cortex, photograph(), theta) for theta in (base, moved(base, p.name)))
    for stage in FIELDS[: FIELDS.index(p.stage.lower())]:
        one, two = (tensors(getattr(x, stage)) for x in (still, other))
        assert all(torch.equal(one[name], two[name]) for name in one), f"{p.name} reaches back into {stage}"
    assert largest_change(getattr(still, p.stage.lower()), getattr(other, p.stage.lower())) > 1e-4
    assert largest_change(still.m4, other.m4) > 1e-6  # and what comes out in the end


@pytest.mark.parametrize("base", [SOFT, {}], ids=["soft", "defaults"])
def test_every_parameter_has_a_gradient_in_what_comes_out(cortex, base):
    """Through the final masks, objectness and merge heights; counts at whole numbers too."""
    theta = {name: value.requires_grad_() for name, value in default_theta(1, **base).items()}
    percept = perceive(cortex, photograph(), theta)
    slopes = torch.autograd.grad(projection(percept.m4).sum(), list(theta.values()), allow_unused=True)
    for p, slope in zip(PARAMETERS, slopes, strict=True):
        if not p.grad or p not in READ:
            continue
        assert slope is not None, f"{p.name}: not in the graph"
        assert torch.isfinite(slope).all(), f"{p.name}: {slope}"
        assert slope != 0, f"{p.name}: gradient 0"


STEPS = (1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 3e-2, 1e-1)  # of the value; see the next test


@pytest.mark.parametrize("name", [p.name for p in READ])
def test_each_gradient_is_the_slope(cortex, name):
    """Of functionals of masks and objectness that do not mind how slots are numbered.

    Large steps flip choices (which patch a pixel belongs to most, which patches seed a slot) and small ones drown in
    rounding, so the slopes at one step at least have to agree.
    """
    image = photograph(size=(48, 64))
    cues, base = with_cues(image), scene_theta(1, **SOFT)
    weight = F.avg_pool2d(torch.randn(3, 48, 64, generator=torch.Generator().manual_seed(0)), 9, 1, 4)

    def value(v):
        """(n, 3) for n settings."""
        n = len(v)
        theta = {**{other: x.expand(n) for other, x in base.items()}, name: v}
        percept = cortex(image.expand(n, -1, -1, -1), theta, cues[torch.zeros(n, dtype=torch.int64)])
        seen = torch.einsum("bhw,khw->bk", percept.m4.masks.square().sum(1), weight)
        return seen + percept.m4.objectness.square().sum(1, keepdim=True)

    v = base[name].clone().requires_grad_()
    values = value(v)[0]
    gradient = torch.stack([torch.autograd.grad(x, v, retain_graph=True)[0][0] for x in values])
    steps = torch.tensor(STEPS) * v.detach()
    with torch.no_grad():
        after, before = value(torch.cat([v + steps, v - steps])).chunk(2)
    slopes = (after - before) / (2 * steps[:, None])
    error = (slopes - gradient).norm(dim=1) / gradient.norm()
    assert error.min() < 0.15, (gradient, slopes)


def test_gradients_reach_u_and_the_image(cortex):
    u = torch.zeros(2, len(PARAMETERS), requires_grad=True)
    image = torch.cat([photograph(), photograph("coffee")]).requires_grad_()
    percept = cortex(image, from_unit(u), with_cues(image.detach()))
    projection(percept.m4).sum().backward()
    assert torch.isfinite(u.grad).all()
    assert (u.grad != 0).float().mean() > 0.9
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0
