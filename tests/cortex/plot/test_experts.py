"""What experts prefer: of all that was shown, the highest gates."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from ciliary.cortex import Cortex
from ciliary.cortex.plot.experts import N_SHOWN, draw_experts, with_preferred
from ciliary.cortex.plot.look import N_OBJECTS, look, proto_objects
from ciliary.envs.data.scenes import make_scene
from ciliary.envs.data.sources import from_array


def preferred(cortex, photographs, **most):
    kept = []
    for one in photographs:
        kept = with_preferred(kept, look(cortex, one.image, name=one.name), **most)
    return kept


@pytest.fixture(scope="module")
def photographs():
    sizes = {"discs": (48, 64), "mosaic": (64, 48), "stripes": (48, 48)}
    return [from_array(make_scene(kind, seed=0, size=size)[0], kind) for kind, size in sizes.items()]


def test_the_highest_gates_are_kept(untrained_weights, photographs):
    cortex = Cortex(learned=True, weights=untrained_weights)
    kept = preferred(cortex, photographs, n_most=3)
    assert len(kept) == 16
    found = [[] for _ in range(16)]
    for one in (look(cortex, p.image) for p in photographs):
        gate = one.percept.m5.gate[0].numpy()
        for thing in proto_objects(one.percept, n_most=N_OBJECTS):
            for i in range(16):
                found[i].append(float(gate[thing.slot, i]))
    for cut_outs, gates in zip(kept, found, strict=True):
        positive = sorted((g for g in gates if g > 0), reverse=True)[:3]
        assert [c.gate for c in cut_outs] == pytest.approx(positive)
    assert {c.photograph for cut_outs in kept for c in cut_outs} == {"discs", "mosaic", "stripes"}
    again = preferred(cortex, photographs, n_most=3)
    for one, other in zip(chain(*kept), chain(*again), strict=True):
        assert (one.photograph, one.gate, one.weight) == (other.photograph, other.gate, other.weight)
        np.testing.assert_array_equal(one.picture, other.picture)


def test_each_expert_at_work_is_drawn(untrained_weights, photographs):
    kept = preferred(Cortex(learned=True, weights=untrained_weights), photographs)
    figure = draw_experts(kept, n_images=3)
    assert len(figure.axes) == sum(len(cut_outs) for cut_outs in kept)
    assert max(len(cut_outs) for cut_outs in kept) <= N_SHOWN
    named = {ax.get_title(loc="left") for ax in figure.axes} - {""}
    assert named == {f"expert {i + 1}" for i, cut_outs in enumerate(kept) if cut_outs}


def test_the_one_expert_of_an_unlearned_stage_prefers_the_heavy(photographs):
    (cut_outs,) = preferred(Cortex(recognise=True), photographs)
    weights = [c.weight for c in cut_outs]
    assert weights == sorted(weights, reverse=True)
    assert {c.gate for c in cut_outs} == {1.0}


def test_nothing_to_prefer_without_recognition(photographs):
    with pytest.raises(ValueError, match="recognise=True"):
        preferred(Cortex(), photographs)
