"""A cortex that asks no stage in vain perceives what the cortex perceives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import PARAMETERS, Cortex
from ciliary.cortex.staged import StagedCortex

STAGES = ("retina", "m1", "m2", "m3", "m4")


@pytest.fixture(scope="module", params=["none", "contours"])
def cortex(request):
    return Cortex(inherited=request.param).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(3)
    return torch.from_numpy(np.kron(rng.random((1, 3, 4, 4)), np.ones((1, 1, 10, 10))).astype(np.float32))


def test_any_walk_through_the_settings_is_perceived_alike(cortex, image):
    staged = StagedCortex(cortex, image)
    rng = np.random.default_rng(0)
    theta = cortex.table.default_theta(1)
    for name in (None, *rng.choice(PARAMETERS.names, 5), "merge_threshold", "blur_sigma_px"):
        if name is not None:
            row = PARAMETERS[str(name)]
            theta = theta | {row.name: torch.tensor([rng.uniform(row.low, row.high)], dtype=torch.float32)}
        one, other = staged(theta), cortex(image, theta)
        assert torch.equal(one.masks, other.masks), name
        assert torch.equal(one.boundary, other.boundary), name
        assert torch.equal(one.labels(), other.labels()), name


@pytest.mark.parametrize(
    ("name", "first"), [("blur_sigma_px", 0), ("n_regions", 1), ("barrier_gain", 2), ("merge_threshold", 4)]
)
def test_stages_before_the_first_that_reads_it_are_not_asked(cortex, image, name, first):
    asked = []
    hooks = [
        getattr(cortex, stage).register_forward_pre_hook(lambda *_, stage=stage: asked.append(stage))
        for stage in STAGES
    ]
    staged, theta = StagedCortex(cortex, image), cortex.table.default_theta(1)
    staged(theta)
    asked.clear()
    staged(theta)
    assert not asked
    staged(theta | {name: theta[name] * 1.1})
    for hook in hooks:
        hook.remove()
    assert asked == [*STAGES[first:]]


def test_a_setting_of_other_names_or_another_batch_is_refused(cortex, image):
    staged = StagedCortex(cortex, image)
    with pytest.raises(KeyError, match="theta lacks"):
        staged({})
    with pytest.raises(ValueError, match=r"expected shape \(1,\)"):
        staged(cortex.table.default_theta(2))
