"""Things over glances at a photograph: they are born as they are seen and keep their identity as it sharpens."""

from __future__ import annotations

import torch

from ciliary.cortex import Cortex
from ciliary.cortex.dorsal.looking import look_around, mosaics_along
from ciliary.cortex.memory.glances import displayed, remember_glances
from ciliary.cortex.stages.retina import srgb_to_linear


def test_mosaics_grow_into_what_the_look_has_seen(chelsea):
    look = look_around(chelsea[0], n_fixations=3)
    mosaics = list(mosaics_along(look))
    assert [int(mosaic.n_glances) for mosaic in mosaics] == [1, 2, 3]
    assert torch.equal(mosaics[-1].image, look.mosaic.image)
    assert bool((mosaics[1].acuity >= mosaics[0].acuity).all())
    torch.testing.assert_close(srgb_to_linear(displayed(mosaics[0])), mosaics[0].image, atol=1e-4, rtol=0)


def test_the_same_glance_again_leaves_every_thing_its_name(chelsea):
    look = look_around(chelsea[0], n_fixations=1)
    (mosaic,) = mosaics_along(look)
    with torch.no_grad():
        steps = list(remember_glances(Cortex().eval(), [mosaic, mosaic, mosaic]))
    names = [found.identity[0][objects.is_there[0]].tolist() for _, objects, found in steps]
    assert names[0] == names[1] == names[2]
    assert sorted(names[0]) == list(range(len(names[0])))
    memory = steps[-1][0]
    assert memory.velocity_px.abs().max() < 1e-4
    assert int(memory.n_frames) == 3
