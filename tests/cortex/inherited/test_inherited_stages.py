"""Every inherited stage sits the exam of its stage, untaught; and all of them in a row, on scenes that are known."""

from dataclasses import replace

import pytest
import torch

from ciliary.cortex import Cortex, Cues, default_theta
from ciliary.cortex.parameters import PARAMETERS, from_unit
from ciliary.cortex.stages.inherited import TRUNK_WIDTHS
from ciliary.testing.stage import StageContract, largest_change, moved, photograph, projection, tensors, with_cues
from ciliary_tests.untaught import untaught

SIZE = (48, 64)


def with_trunk(image):
    """Cues with maps of a trunk that nobody trained, of the sizes that a real one's have."""
    b, _, h, w = image.shape
    rng = torch.Generator().manual_seed(2)
    sizes = [(n, -(-h // stride), -(-w // stride)) for n, stride in zip(TRUNK_WIDTHS, (4, 8, 16), strict=True)]
    maps = tuple(torch.randn(1, *size, generator=rng).expand(b, -1, -1, -1).contiguous() for size in sizes)
    return replace(with_cues(image), trunk=maps)


class InheritedContract(StageContract):
    kind = "contours"

    @pytest.fixture
    def stage(self):
        return untaught(self.kind)[self.name]


@pytest.mark.slow  # quick: what they say in a row, below
class TestM1OfContours(InheritedContract):
    name = "m1"


@pytest.mark.slow
class TestM2OfContours(InheritedContract):
    name = "m2"


class TestM3OfContours(InheritedContract):
    name = "m3"
    # n_slots acts in M4, which cuts the same tree; slots are a choice, and colour and contour decide about them.
    ignored = untaught("contours")["m3"].inert | {"n_slots"}
    choosing = frozenset({"linkage_exponent"})
    batch_tolerance = 1e-3  # a basin's distance to its own mean is the root of what rounding leaves


@pytest.mark.slow
class TestM4OfContours(InheritedContract):
    name = "m4"


@pytest.mark.slow  # the same code but for the maps, which are looked at below too
class OnATrunk(InheritedContract):
    kind = "all"

    def cues(self, image):
        return with_trunk(image)


class TestM1OnATrunk(OnATrunk):
    name = "m1"


class TestM2OnATrunk(OnATrunk):
    name = "m2"


# --- in a row


def cortex_of(kind="contours"):
    return Cortex(**untaught(kind))


@pytest.mark.parametrize(("kind", "size"), [("contours", (48, 64)), ("all", (33, 47))])
def test_they_see_a_photograph_in_a_row(kind, size):
    image = photograph(size=size)
    theta = {name: value.requires_grad_() for name, value in default_theta(1).items()}
    percept = cortex_of(kind)(image, theta, with_trunk(image))
    assert percept.m2.contour.shape == (1, 1, *size)
    assert percept.m4.masks.shape == (1, 32, *size)
    torch.testing.assert_close(percept.m4.masks.sum(1), torch.ones(1, *size), atol=1e-4, rtol=0)
    everything = tensors(percept)
    assert all(torch.isfinite(x).all() for name, x in everything.items() if name != "m4.merge_height")
    slopes = torch.autograd.grad(projection(percept.m4).sum(), list(theta.values()), allow_unused=True)
    for name, slope in zip(theta, slopes, strict=True):
        assert slope is None or torch.isfinite(slope).all(), name


@pytest.mark.slow
def test_what_is_called_inert_does_nothing_and_nothing_else_is():
    cortex, image = cortex_of(), photograph(size=SIZE)
    # nothing saturated: counts are fractions, decisions soft; and costs of an untaught model are about the threshold
    soft = {"n_slots": 18.4, "n_regions": 5.6, "merge_temperature": 0.5, "merge_threshold": 0.8, "closure_weight": 1.0}
    theta = {name: value.requires_grad_() for name, value in default_theta(1, **soft).items()}
    cues = Cues(torch.zeros_like(image[:, :1]), None)
    percept = cortex(image, theta, cues)
    slopes = torch.autograd.grad(projection(percept.m4).sum(), list(theta.values()), allow_unused=True)
    has_gradient = {name for name, slope in zip(theta, slopes, strict=True) if slope is not None and slope != 0}
    assert not has_gradient & cortex.inert
    base = {name: value.detach() for name, value in theta.items()}
    with torch.no_grad():
        for name in sorted(cortex.inert):
            assert same_percept(percept, cortex(image, moved(base, name), cues)), name
        for name in sorted(set(PARAMETERS.names) - cortex.inert - has_gradient):
            assert not same_percept(percept, cortex(image, moved(base, name), cues)), name
    assert {p.name for p in PARAMETERS if p.grad} - cortex.inert <= has_gradient


def same_percept(one, other):
    a, b = tensors(one), tensors(other)
    return all(a[name].shape == b[name].shape and torch.equal(a[name], b[name]) for name in a)


def test_neither_company_nor_its_basins_change_a_picture():
    """Basins are padded to the most that any picture of the batch has."""
    cortex = cortex_of()
    image = torch.cat([torch.full((1, 3, *SIZE), 0.4), photograph(size=SIZE), photograph("coffee", SIZE)])
    theta = from_unit(torch.rand(3, len(PARAMETERS), generator=torch.Generator().manual_seed(1)) - 0.5)
    with torch.no_grad():
        given, alone = [], []
        for i in range(3):
            own = {name: value[i : i + 1] for name, value in theta.items()}
            m1 = cortex.m1(cortex.retina(image[i : i + 1], own), cortex.cues(image[i : i + 1]), own)
            given.append((m1, cortex.m2(m1, own)))
            m3 = cortex.m3(*given[-1], own)
            alone.append((m3, cortex.m4(m3, own)))
        # from here on: what networks say of a batch is rounded otherwise, and basins are a choice
        m3 = cortex.m3(*(beside(parts) for parts in zip(*given, strict=True)), theta)
        m4 = cortex.m4(m3, theta)
    assert len({one.cue.shape[1] for one, _ in alone}) == 3
    for i, (one, objects) in enumerate(alone):
        n = one.cue.shape[1]
        assert (m3.patches.size[i, n:] == 0).all()
        assert torch.equal(m3.assignment[i, :n], one.assignment[0])
        torch.testing.assert_close(m4.masks[i], objects.masks[0], atol=2e-4, rtol=0)
        torch.testing.assert_close(m4.objectness[i], objects.objectness[0], atol=2e-4, rtol=0)


def beside(parts):
    """Answers of single pictures as one of a batch; without what they hand on."""
    rows = {name: torch.cat([getattr(part, name) for part in parts]) for name in tensors(parts[0]) if "." not in name}
    return replace(parts[0], **rows)


# --- known scenes


@pytest.mark.parametrize("kind", ["contours", "all"])
def test_an_image_of_one_region_is_one_object(kind):
    image = torch.full((1, 3, 33, 47), 0.5)
    cues = replace(with_trunk(image), backbone=None)
    cues = replace(cues, depth=0 * cues.depth, trunk=tuple(0 * x for x in cues.trunk))
    # nothing of the network, which nobody taught yet what a blank is
    theta = {name: value.requires_grad_() for name, value in default_theta(1, taught_share=0.0).items()}
    percept = cortex_of(kind)(image, theta, cues)
    assert percept.m3.patches.size.shape[1] == 1
    torch.testing.assert_close(percept.m4.masks[:, 0], torch.ones(1, 33, 47))
    assert torch.isinf(percept.m4.merge_height).all()
    assert (percept.m4.objectness[:, 1:] == 0).all()
    slopes = torch.autograd.grad(projection(percept.m4).sum(), list(theta.values()), allow_unused=True)
    assert all(slope is None or torch.isfinite(slope).all() for slope in slopes)


def test_fewer_basins_than_slots():
    """A bright square on dark ground, on the mathematical contour: every basin is a slot, the other slots are empty."""
    image = torch.full((1, 3, *SIZE), 0.2)
    image[..., 12:36, 20:44] = 0.8
    stages = untaught("contours")
    cortex = Cortex(m3=stages["m3"], m4=stages["m4"])
    percept = cortex(image, default_theta(1))
    n = percept.m3.patches.size.shape[1]
    assert 2 <= n < 32
    assert torch.equal(percept.m3.assignment[0].argmax(1), torch.arange(n))
    assert (percept.m3.size[0, n:] == 0).all()
    assert percept.m3.size.sum() == 48 * 64
    assert (percept.m4.masks.amax(1) > 1 / 32).all()


def test_slots_merge_until_no_more_are_left_than_asked_for():
    cortex, image = cortex_of(), photograph(size=SIZE)
    few, many = (
        cortex(image, default_theta(1, n_slots=n, merge_threshold=0.02, threshold_adaptation=0.0)) for n in (3.0, 12.0)
    )
    for percept, n in ((few, 3), (many, 12)):
        assert (percept.m4.assignment.amax(1)[0] > 0.01).sum() <= n
    assert largest_change(few.m3, many.m3) == 0  # one tree


def test_without_the_maps_that_they_were_taught_on_they_say_what_to_do():
    image = photograph(size=SIZE)
    for name in ("m1", "m2"):
        with pytest.raises(ValueError, match=r"taught on a backbone's maps; build the cortex with features=\.\.\."):
            Cortex(**{name: untaught("all")[name]})(image)
