"""The teaching of what is inherited on a device that is not there, with numbers: as ``test_trainings_elsewhere.py``."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import table_for
from ciliary.envs.data.sources import bundled
from ciliary.tuning.training.contours import codes, merges, objects
from ciliary.tuning.training.contours.learn import Learning, learn
from ciliary.tuning.training.contours.looks import seen_code, seen_scene
from ciliary.tuning.training.contours.pool import Augmentation, Pool, add_trunk, make_pool
from ciliary_tests.other_device import ELSEWHERE, OtherDevice, assert_same_weights, lying_here, numbers

pytestmark = pytest.mark.slow  # some seconds each

DEVICES = (torch.device("cpu"), ELSEWHERE)


@pytest.fixture(autouse=True)
def elsewhere():
    """Fails, in the end, if tensors of two devices met; says on which lines."""
    with OtherDevice() as watched:
        yield watched
    assert list(dict.fromkeys(watched.mixed)) == []


def parts(module) -> list[str]:
    return list(module.state_dict())


def test_contours(labelled, tmp_path, buckets):
    nets, losses = [], []
    for device in DEVICES:
        root = tmp_path / str(device)
        make_pool(labelled, root, seed=0, buckets=buckets, device=device)
        add_trunk(root, lambda image: (image.mean(1, keepdim=True),), device=device)
        how = Learning(n_steps=1, shares=(0.5, 0.5), in_bfloat16=False)
        nets.append(learn(Pool(root), (0, 1), how, device=device, on_step=lambda step, loss: losses.append(loss)))
    here, there = nets
    assert lying_here(dict(there.state_dict())) == [f".{name}" for name in parts(there)]  # back on the CPU
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    off = [(numbers(a) - b).abs().mean() for a, b in zip(there.parameters(), here.parameters(), strict=True)]
    assert max(off) < 5e-5  # where a slope is rounding Adam goes either way, a whole step of .002
    pools = [Pool(tmp_path / str(device)).arrays[buckets[0].name] for device in DEVICES]
    assert all(np.array_equal(pools[0][name], pools[1][name]) for name in pools[0])
    assert "trunk0" in pools[1]


def test_codes(labelled):
    nets = []
    for device in DEVICES:
        scenes = [seen_code(one, 48, None, Augmentation(), seed=i, device=device) for i, one in enumerate(labelled)]
        nets.append(codes.learn_code(scenes, n_steps=2, device=device))
    here, there = nets
    assert lying_here(dict(there.state_dict())) == [f".{name}" for name in parts(there)]
    assert_same_weights(there, here)


def test_costs_and_objects(labelled, monkeypatch):
    monkeypatch.setattr(merges, "fit_cost", partial(merges.fit_cost, n_steps=2))
    image, models, rows = bundled(48, ("coffee",))[0].image[None], [], []
    drawn = [np.arange(image.shape[-2] * image.shape[-1]).reshape(image.shape[-2:]) // 700]
    for device in DEVICES:
        cortex = Cortex(inherited="contours").requires_grad_(False).to(device)
        cost = merges.learn_cost([seen_scene(cortex, labelled[0], 48)], n_rounds=2)
        rows.append(objects.asked_objects(cortex, image, drawn, table=table_for("contours"), seed=0))
        models.append((cost, objects.fit_objectness(*rows[-1], n_steps=2)))
    assert lying_here(rows[1]) == []
    torch.testing.assert_close(numbers(rows[1][1]), rows[0][1])
    for here, there in zip(*models, strict=True):
        assert lying_here(dict(there.state_dict())) == []
        assert_same_weights(there, here)
