"""Maps of a look: at the only thing there is, each made once, and beside a control that knows nothing."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.explain.phases import RandomPhases
from ciliary.cortex.plot.look import look
from ciliary.tuning.inspect.attribution_figures import draw_gradients, judge
from ciliary.tuning.inspect.attributions import EDGES, INTEGRATED, OCCLUSION, backward, occlusion, randomised
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.targets import Target, make_targets


@pytest.fixture(scope="module")
def seen(mathematical):
    return Seen(mathematical, make_targets(mathematical), is_quick=True)


def test_a_bright_disc_is_what_the_code_hangs_on():
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    image = torch.full((3, 60, 60), 0.5)
    inside = ((y - 15) ** 2 + (x - 45) ** 2).sqrt() < 5
    image[:, inside] = torch.tensor([0.9, 0.2, 0.1])[:, None]
    one = look(Cortex(recognise=True), image)
    far = ((y - 15) ** 2 + (x - 45) ** 2).sqrt() > 5 + 2**0.5 * 15  # no window of 15 px that reaches the disc
    for heat in occlusion(Seen(one, make_targets(one, ["code", "slot:2"]))):  # the disc is the lighter of the two
        assert heat.shape == (60, 60)
        assert heat[inside].mean() > 5 * heat[far].abs().mean()
        assert not far.flatten()[heat.argmax()]


def test_maps_are_those_of_the_targets_and_made_once(seen):
    first = occlusion(seen)
    assert first.shape == (2, 48, 64)
    assert occlusion(seen) is first
    found = backward(seen)
    assert list(found.maps) == ["gradient", INTEGRATED]  # no networks: no rules for their rectifiers
    assert all(own.shape == (2, 48, 64) for own in (*found.maps.values(), *found.control.values()))
    assert backward(seen) is found
    assert found.lot == "no weights: V1's phases by lot"


def test_networks_have_rules_and_shuffled_weights(learned):
    one = Seen(learned, make_targets(learned, ["code"]), is_quick=True)
    found = backward(one)
    assert list(found.maps) == ["gradient", "guided", "deconvnet", INTEGRATED]
    assert found.lot == "weights shuffled"
    for name, own in found.maps.items():
        assert own.isfinite().all()
        assert not torch.allclose(own, found.control[name])


def test_what_is_drawn_by_lot(mathematical, learned):
    other, _ = randomised(mathematical.cortex, seed=0)
    assert isinstance(other.m1.v1, RandomPhases)
    assert not isinstance(mathematical.cortex.m1.v1, RandomPhases)
    shuffled, _ = randomised(learned.cortex, seed=0)
    assert any(not torch.equal(a, b) for a, b in zip(shuffled.parameters(), learned.cortex.parameters(), strict=True))


def test_every_map_is_judged_beside_edges_and_chance(seen):
    judged = judge(seen)
    names = (OCCLUSION, "gradient", INTEGRATED, EDGES, "random pixels", "random blobs")
    assert judged.names == names * 2
    assert judged.which.tolist() == [0] * 6 + [1] * 6
    for ends in (judged.curves.deletion[:, 0], judged.curves.insertion[:, -1]):
        torch.testing.assert_close(ends, torch.ones(12))  # all of the code, and of the mask, is there
    assert len(judge(seen, 1).names) == 6


def test_targets_without_a_gradient_say_so(mathematical):
    opaque = Target("mine", "something", lambda images: images.detach().mean((1, 2, 3)), is_differentiable=False)
    one = Seen(mathematical, (opaque,), is_quick=True)
    assert backward(one) is None
    assert "no gradient goes back from mine" in [text.get_text() for text in draw_gradients(one).texts]
    assert OCCLUSION in judge(one).names
