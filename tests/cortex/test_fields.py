"""The stack of fields: shapes, what turning does to it, what is told of proto-objects."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.fields import GROUPS, dense_fields, named_fields, object_fields, pool_orientations
from ciliary.envs.data.cells import synthetic_cells


@pytest.fixture(scope="module")
def percept():
    images = torch.stack([synthetic_cells(seed, size_px=64)[0] for seed in (0, 1)])
    with torch.no_grad():
        return Cortex()(images[..., :48, :])


def test_they_are_one_stack_at_the_images_size(percept):
    named = named_fields(percept)
    stack = dense_fields(percept)
    assert stack.shape == (2, sum(one.shape[1] for one in named.values()), 48, 64)
    assert torch.isfinite(stack).all()
    assert {name.partition(".")[0] for name in named} == set(GROUPS) - {"code"}
    assert dense_fields(percept, is_rotation_pooled=False).shape[1] == stack.shape[1] + 2 * (18 - 6)


def test_images_of_a_batch_do_not_meet(percept):
    assert torch.equal(dense_fields(percept)[1:], dense_fields(percept[1]))


def test_some_stages_alone(percept):
    assert list(named_fields(percept, only=("m2",))) == ["m2.end_points", "m2.contour", "m2.barrier"]
    with pytest.raises(ValueError, match="no fields of code"):
        dense_fields(percept, only=("code",))
    for wrong in ((), ("m6",)):
        with pytest.raises(ValueError, match="retina, m1"):
            dense_fields(percept, only=wrong)


def test_orientations_pooled_do_not_know_which_was_which():
    energies = torch.rand(1, 18, 4, 5)
    pooled = pool_orientations(energies)
    assert torch.allclose(pooled[:, 0], energies[:, :6].mean(1))
    assert torch.equal(pooled[:, 5], energies[:, 12:].amax(1))
    turned = energies.unflatten(1, (3, 6)).roll(2, 2).flatten(1, 2)
    assert torch.allclose(pool_orientations(turned), pooled)


def test_a_turned_image_has_turned_energies():
    image = synthetic_cells(0, size_px=64)[0][None]
    with torch.no_grad():
        upright, turned = (Cortex()(one) for one in (image, torch.rot90(image, 1, (-2, -1))))
    one, other = (named_fields(p)["m1.energy"][..., 8:-8, 8:-8] for p in (upright, turned))
    assert torch.allclose(torch.rot90(one, 1, (-2, -1)), other, atol=0.02)


def test_what_is_told_of_proto_objects(percept):
    m4 = percept.m4
    doubt, objectness, log_share = object_fields(m4)[:, :3].unbind(1)
    assert torch.allclose(objectness, (m4.masks * m4.objectness[..., None, None]).sum(1), atol=1e-5)
    largest = m4.masks.amax(1)
    sure = largest > 0.99
    assert sure.any()
    assert (doubt[sure] < 0.2).all()
    areas = m4.masks.mean((2, 3))
    winner = m4.winner
    expected = areas.log().gather(1, winner.flatten(1)).view_as(winner)
    assert torch.allclose(log_share[sure], expected[sure], atol=0.15)
