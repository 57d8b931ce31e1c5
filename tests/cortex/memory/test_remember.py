"""Things keep their identity while they move, hide and come back; what is new has a new one."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from ciliary.cortex.memory.assignment import NONE
from ciliary.cortex.memory.files import ObjectMemory, empty_memory
from ciliary.cortex.memory.kalman import Track
from ciliary.cortex.memory.objects import ProtoObjects
from ciliary.cortex.memory.remember import compare, overlap, remember
from ciliary.cortex.memory.settings import MemorySettings
from ciliary_tests.moving_squares import GROUND, SIZE, squares
from ciliary_tests.other_device import ELSEWHERE, OtherDevice, lying_here, numbers

PLACE_ONLY = MemorySettings(code_weight=0.0, limit=0.9)
STILL = replace(PLACE_ONLY, moves=False)


def run(frames, *, settings=None, motions=None, n_slots=8):
    """Identities of each frame by slot, and the last memory."""
    memory, told = empty_memory(frames[0], n_slots=n_slots), []
    for t, frame in enumerate(frames):
        motion = None if motions is None or t == 0 else motions[t - 1]
        memory, found = remember(memory, frame, motion=motion, settings=settings)
        told.append(found.identity[0].tolist())
    return told, memory


def joined(*parts):
    """Batches of one as one batch."""
    return ProtoObjects(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(ProtoObjects)))


def test_slots_may_be_shuffled_and_identity_stays():
    one = squares({"red": (5, 5), "blue": (20, 40)})
    other = squares({"red": (6, 6), "blue": (19, 41)}, order=("blue", GROUND, "red"))
    told, memory = run([one, other])
    assert sorted(told[0][:3]) == [0, 1, 2]
    assert told[1][:3] == [told[0][2], told[0][0], told[0][1]]
    assert told[0][3:] == told[1][3:] == [NONE, NONE]
    assert int(memory.n_born) == 3
    assert int(memory.is_alive.sum()) == 3
    assert memory.age[0].tolist()[:3] == [1, 1, 1]


def meeting(t):
    """Two squares of one colour that pass each other, far between frames."""
    return squares({"red_a": (10, 4 + 8 * t), "red_b": (12, 44 - 8 * t)})


def test_two_alike_that_pass_each_other_are_told_apart_by_how_they_move():
    frames = [meeting(t) for t in range(6)]
    truth = [0, 1, 2]
    own = replace(PLACE_ONLY, acceleration_sd_px=0.5, velocity_sd_px=8.0)
    told, memory = run(frames, settings=own)
    assert all([row[i] for i in truth] == told[0][:3] for row in told)
    slot = memory.identity[0].tolist().index(told[0][1])
    torch.testing.assert_close(memory.velocity_px[0, slot], torch.tensor([0.0, 8.0]), atol=1.0, rtol=0)
    still, _ = run(frames, settings=STILL)
    assert any(row[:3] != still[0][:3] for row in still), "where nothing is expected to move they are mistaken"


def test_a_given_flow_carries_places_and_masks():
    frames = [squares({"red_a": (10, 2), "red_b": (10, 22)}), squares({"red_a": (10, 22), "red_b": (10, 42)})]
    flow = torch.zeros(1, 2, *SIZE)
    flow[:, 1, 10:20, 2:12] = flow[:, 1, 10:20, 22:32] = 20.0
    given, _ = run(frames, settings=PLACE_ONLY, motions=[flow])
    assert given[1][:3] == given[0][:3]
    unaware, _ = run(frames, settings=PLACE_ONLY)
    assert unaware[1][1] == unaware[0][2], "the first now lies where the second was"


def test_a_thing_that_hides_is_waited_for_and_then_given_up():
    here = squares({"red": (10, 10), "blue": (10, 40)})
    gone = squares({"blue": (10, 40)})
    how = MemorySettings(n_lost=3, limit=0.5)
    told, _ = run([here, gone, gone, here], settings=how)
    assert told[3][:3] == told[0][:3]
    told, memory = run([here, gone, gone, gone, gone, here], settings=how)
    assert told[5][0] == told[0][0]
    assert told[5][2] == told[0][2]
    assert told[5][1] not in told[0]
    assert int(memory.n_born) == 4


def test_confidence_grows_while_a_thing_is_seen_and_decays_unseen():
    here, gone = squares({"red": (10, 10)}), squares({})
    memory, seen = empty_memory(here), []
    for frame in (here, here, here, gone, gone, here):
        memory, _ = remember(memory, frame, settings=MemorySettings(decay=0.5))
        seen.append(float(memory.confidence[0, memory.identity[0].tolist().index(1)]))
    assert seen == pytest.approx([0.5, 0.75, 0.875, 0.4375, 0.21875, 0.609375])
    assert memory.unseen[0].tolist()[:2] == [0, 0]


def test_codes_tell_what_places_cannot():
    swapped = [squares({"red": (10, 5), "blue": (10, 35)}), squares({"red": (10, 35), "blue": (10, 5)})]
    by_code = MemorySettings(overlap_weight=0, place_weight=0, size_weight=0, moves=False)
    told, _ = run(swapped, settings=by_code)
    assert told[1][:3] == told[0][:3]
    told, _ = run(swapped, settings=STILL)
    assert told[1][:3] == [told[0][0], told[0][2], told[0][1]]


def test_with_few_slots_the_largest_are_remembered_and_the_longest_unseen_goes_first():
    crowd = squares({"red_a": (2, 2), "red_b": (2, 20), "blue": (20, 40)})
    told, memory = run([crowd], n_slots=2)
    assert told[0][0] == 0
    assert sorted(told[0][1:4]) == [NONE, NONE, 1]
    assert int(memory.n_born) == 2
    told, memory = run([squares({"red": (5, 5)}), squares({"blue": (25, 45)})], n_slots=2)
    assert told[1][1] == 2
    assert sorted(memory.identity[0].tolist()) == [0, 2]


def test_a_batch_is_its_scenes_one_by_one():
    films = [
        [squares({"red": (5, 5 + 3 * t), "blue": (20, 40)}) for t in range(3)],
        [squares({"blue": (8 + 2 * t, 30)}, order=("blue", GROUND)) for t in range(3)],
    ]
    together = [joined(*frames) for frames in zip(*films, strict=True)]
    memory = empty_memory(together[0], n_slots=6)
    for t, frame in enumerate(together):
        memory, found = remember(memory, frame)
        for b, film in enumerate(films):
            alone, own = run(film[: t + 1], n_slots=6)
            assert found.identity[b].tolist() == alone[t]
            torch.testing.assert_close(memory.place_px[b : b + 1], own.place_px)


def test_the_same_frame_again_changes_nothing_but_the_clock():
    frame = squares({"red": (5, 5), "blue": (20, 40)})
    told, memory = run([frame] * 4)
    assert all(row == told[0] for row in told)
    alive = memory.is_alive[0]
    index = [told[0].index(i) for i in memory.identity[0][alive].tolist()]
    torch.testing.assert_close(memory.place_px[0][alive], frame.place_px[0][index])
    torch.testing.assert_close(memory.mask[0][alive], frame.mask[0][index])
    assert memory.velocity_px[0].abs().max() < 1e-4


def test_an_empty_picture_and_labels():
    nothing = squares({})
    bare = replace(nothing, is_there=torch.zeros_like(nothing.is_there))
    memory, found = remember(empty_memory(bare), bare)
    assert not memory.is_alive.any()
    assert bool((found.labels(bare) == NONE).all())
    memory, found = remember(memory, squares({"red": (5, 5)}))
    page = found.labels(squares({"red": (5, 5)}))[0]
    assert page[7, 7] == found.identity[0, 1]
    assert page[0, 0] == found.identity[0, 0]


def test_overlap_of_sets_is_theirs():
    a = torch.zeros(1, 1, 4, 4)
    b = a.clone()
    a[..., :2, :], b[..., 1:3, :] = 1, 1
    assert float(overlap(a, b)) == pytest.approx(1 / 3)
    assert float(overlap(a, a)) == 1


def test_costs_lie_between_0_and_1_and_have_a_gradient():
    frame = squares({"red": (5, 5), "blue": (20, 40)})
    memory, _ = remember(empty_memory(frame), frame)
    place, code = frame.place_px.clone().requires_grad_(), (frame.code + 0.1).requires_grad_()
    cost = compare(memory, replace(frame, place_px=place + 1.0, code=code), settings=MemorySettings())
    real = cost[torch.isfinite(cost)]
    assert len(real) == 9
    assert bool(((real >= 0) & (real <= 1)).all())
    grads = torch.autograd.grad(real.sum(), (place, code))
    assert all(bool(torch.isfinite(g).all()) and float(g.abs().sum()) > 0 for g in grads)


def test_it_happens_where_the_objects_lie():
    frames = [squares({"red": (5, 5 + 3 * t)}) for t in range(2)]
    motion = torch.ones(1, 2, *SIZE)
    here, _ = run(frames, motions=[motion])
    with OtherDevice() as watched:
        there = [frame.to(ELSEWHERE) for frame in frames]
        memory, _ = remember(empty_memory(there[0], n_slots=8), there[0])
        memory, found = remember(memory, there[1], motion=motion.to(ELSEWHERE))
    assert list(dict.fromkeys(watched.mixed)) == []
    assert lying_here(memory) == lying_here(found) == []
    assert numbers(found.identity)[0].tolist() == here[1]


def test_wrong_questions_are_refused():
    frame = squares({"red": (5, 5)})
    memory = empty_memory(frame)
    with pytest.raises(ValueError, match="one size"):
        remember(memory, replace(frame, mask=frame.mask[..., 1:]))
    with pytest.raises(ValueError, match=r"expected codes \(B, N, d\)"):
        remember(memory, replace(frame, code=frame.code[..., :1]))
    with pytest.raises(ValueError, match="expected motion"):
        remember(memory, frame, motion=torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="n_slots >= 1"):
        empty_memory(frame, n_slots=0)
    for wrong in (
        {"overlap_weight": -1.0},
        {"limit": 1.0},
        {"code_rate": 0.0},
        {"decay": 2.0},
        {"n_lost": 0},
        {"code_spread": 0.0},
        {"overlap_weight": 0.0, "place_weight": 0.0, "code_weight": 0.0, "size_weight": 0.0},
    ):
        with pytest.raises(ValueError, match="expected"):
            MemorySettings(**wrong)
    assert isinstance(memory, ObjectMemory)
    assert isinstance(memory.track, Track)
