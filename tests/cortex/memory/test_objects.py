"""What a memory is shown: places, extents and looks of proto-objects, of masks by hand and of a percept."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.description import PARTS
from ciliary.cortex.memory.module import ObjectFiles
from ciliary.cortex.memory.objects import APPEARANCE, objects_of, only_seen, proto_objects
from ciliary_tests.moving_squares import SIZE, squares


def test_a_square_lies_where_it_is_drawn():
    frame = squares({"red": (4, 20), "blue": (20, 40)}, side=10)
    torch.testing.assert_close(frame.place_px[0, 1], torch.tensor([8.5, 24.5]))
    torch.testing.assert_close(frame.extent_px[0, 1:3], torch.tensor([10.0, 10.0]))
    assert frame.is_there[0].tolist() == [True, True, True, False, False]
    assert frame.size_px == SIZE
    assert frame.mask.shape[-2:] == (20, 30)
    assert float(frame.mask[0, 1].sum()) == 25


def test_crumbs_are_no_things():
    masks = torch.zeros(1, 2, 20, 20)
    masks[:, 0] = 1
    masks[:, :, 3, 3] = torch.tensor([0.0, 1.0])
    code = torch.zeros(1, 2, 1)
    assert objects_of(masks, code, least_share=0.01).is_there.tolist() == [[True, False]]
    assert objects_of(masks, code, least_share=0.0).is_there.tolist() == [[True, True]]


def test_what_was_not_looked_at_is_no_thing():
    frame = squares({"red": (0, 0), "blue": (20, 40)})
    is_seen = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    is_seen[..., :6, :] = True
    assert only_seen(frame, is_seen).is_there[0].tolist()[:3] == [False, True, False]
    assert only_seen(frame, is_seen, least=0.7).is_there[0].tolist()[:3] == [False, False, False]


def test_those_of_a_percept_with_m5_and_without(small_image):
    with torch.no_grad():
        plain, recognised = (Cortex(recognise=on).eval()(small_image) for on in (False, True))
    found = proto_objects(plain)
    assert found.code.shape[-1] == sum(PARTS[name].stop - PARTS[name].start for name in APPEARANCE)
    torch.testing.assert_close(found.code, proto_objects(recognised).code)
    winners = plain.masks.max(1).indices
    assert torch.equal(found.label, winners)
    shares = torch.bincount(winners.flatten(), minlength=found.code.shape[1]) / winners.numel()
    assert torch.equal(found.is_there[0], shares > 0.002)
    files = ObjectFiles(n_slots=40)
    memory, first = files(plain)
    memory, second = files(plain, memory)
    assert torch.equal(first.identity, second.identity)
    assert int(memory.n_born) == int(found.is_there.sum())


def test_wrong_masks_and_shares_are_refused():
    with pytest.raises(ValueError, match=r"expected masks \(B, N, H, W\)"):
        objects_of(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 2))
    with pytest.raises(ValueError, match="least_share"):
        proto_objects(None, least_share=1.0)
