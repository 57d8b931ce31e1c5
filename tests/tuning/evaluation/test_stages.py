"""Labels and boundaries of each stage, on scenes drawn by hand and on what a cortex makes of a known scene."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.m4_objects import make_objects
from ciliary.envs.data.scenes import make_scene
from ciliary.envs.metrics.boundaries import label_boundaries
from ciliary.tuning.evaluation.stages import (
    BOUNDARY_STAGES,
    LABEL_STAGES,
    mask_contrast,
    object_hierarchy,
    stage_boundaries,
    stage_labels,
)

SIZE = (97, 131)  # no multiple of what the cortex looks at


@pytest.fixture(scope="module")
def seen():
    """(percept, theta) of a scene of discs at 48 x 64."""
    image = make_scene("discs", seed=0, size=(48, 64))[0][None]
    theta = default_theta(1)
    with torch.no_grad():
        return Cortex()(image, theta), theta


def test_labels_of_every_stage(seen):
    percept, _ = seen
    labels = stage_labels(percept, SIZE)
    assert tuple(labels) == LABEL_STAGES
    assert all(one.shape == SIZE and one.dtype == np.int64 and one.min() >= 0 for one in labels.values())
    assert np.array_equal(labels["objects"], percept.labels(SIZE)[0].numpy())
    n_slots = percept.m3.slots.shape[1]
    assert labels["slots"].max() < n_slots
    # Objects are made of slots: fewer of them.
    assert len(np.unique(labels["objects"])) <= len(np.unique(labels["slots"]))


def test_labels_are_the_argmax_of_the_enlarged_masks(seen):
    percept, _ = seen
    labels = stage_labels(percept, SIZE)
    for name, masks in {"s1": percept.m1.regions_coarse, "s2": percept.m2.regions_coarse}.items():
        enlarged = F.interpolate(masks, size=SIZE, mode="bilinear", align_corners=False)
        assert np.array_equal(labels[name], enlarged.argmax(1)[0].numpy())
    slots = F.interpolate(percept.m3.slots, size=SIZE, mode="bilinear", align_corners=False)
    assert np.array_equal(labels["slots"], slots.argmax(1)[0].numpy())


def test_boundaries_of_every_stage(seen):
    strength = stage_boundaries(*seen, SIZE)
    assert tuple(strength) == BOUNDARY_STAGES
    for one in strength.values():
        assert one.shape == SIZE
        assert one.dtype == np.float32
        assert one.min() >= 0
        assert one.max() <= 1
        assert one.max() > one.min()


def test_completion_only_adds_to_a_boundary(seen):
    percept, _ = seen
    assert (percept.m2.contour >= percept.m1.boundary - 1e-5).all()


def test_boundaries_of_m1_and_m2_are_ridges(seen):
    percept, _ = seen
    strength = stage_boundaries(*seen, SIZE)
    broad = F.interpolate(percept.m2.contour, size=SIZE, mode="bilinear", align_corners=False)[0, 0].numpy()
    kept = strength["contour"] > 0
    assert 0.02 < kept.mean() < 0.6
    assert (strength["contour"] <= broad + 1e-6).all()


def test_contrast_by_hand():
    # Two pixels across, one region each: all of it; (.75, .25) beside (.25, .75): half.
    one_hot = torch.tensor([[1.0, 1, 0], [0, 0, 1]])[None, :, None]
    assert mask_contrast(one_hot)[0, 0, 0].tolist() == [0, 1, 0]
    soft = torch.tensor([[0.75, 0.25], [0.25, 0.75]])[None, :, None]
    assert mask_contrast(soft)[0, 0, 0].tolist() == [0.5, 0]
    assert mask_contrast(soft.transpose(2, 3))[0, 0, :, 0].tolist() == [0.5, 0]


def test_undecided_but_even_masks_have_no_boundary():
    assert mask_contrast(torch.full((1, 4, 5, 6), 0.25)).abs().max() == 0


@given(seed=st.integers(0, 10**6))
def test_contrast_is_the_least_chance_of_being_apart(seed):
    # The best coupling of two choices has them equal with probability sum_s min(p_s, q_s).
    masks = torch.softmax(3 * torch.randn(1, 5, 1, 2, generator=torch.Generator().manual_seed(seed)), 1)
    p, q = masks[0, :, 0, 0], masks[0, :, 0, 1]
    got = mask_contrast(masks)[0, 0, 0, 0]
    assert got.item() == pytest.approx(1 - torch.minimum(p, q).sum().item(), abs=1e-6)
    assert got <= 1 - (p * q).sum() + 1e-6  # drawn alone they differ more often


def test_hard_masks_give_the_borders_of_their_labels():
    label = torch.randint(0, 4, (9, 12))
    contrast = mask_contrast(F.one_hot(label, 4).movedim(-1, 0)[None].float())[0, 0].numpy()
    expected = label_boundaries(label.numpy())
    # The benchmark's borders look at the diagonal neighbour, too.
    assert set(np.unique(contrast)) <= {0.0, 1.0}
    assert not (contrast.astype(bool) & ~expected).any()
    padded = F.pad(label[None].float(), (0, 1, 0, 1), mode="replicate")[0]
    by_hand = (label != padded[:-1, 1:]) | (label != padded[1:, :-1])
    assert np.array_equal(contrast.astype(bool), by_hand.numpy())


def test_the_hierarchy_is_the_mean_of_its_cuts(seen):
    percept, theta = seen
    strength = object_hierarchy(percept, theta, SIZE, n_thresholds=3)
    cuts = []
    for threshold in (0.02, 0.2, 2.0):  # evenly spaced in log over the table's range
        m4 = make_objects(percept.m3, {**theta, "merge_threshold": torch.tensor([threshold])})
        cuts.append(label_boundaries(replace(percept, m4=m4).labels(SIZE)[0].numpy()))
    assert strength == pytest.approx(np.mean(cuts, 0), abs=1e-6)
    assert cuts[0].sum() > cuts[1].sum() > cuts[2].sum()


def test_the_hierarchy_does_not_depend_on_where_theta_cuts(seen):
    percept, theta = seen
    other = {**theta, "merge_threshold": torch.tensor([1.5])}
    assert np.array_equal(
        object_hierarchy(percept, theta, SIZE, n_thresholds=4), object_hierarchy(percept, other, SIZE, n_thresholds=4)
    )


def test_strong_borders_of_the_hierarchy_are_those_of_the_scene():
    image, truth = make_scene("discs", seed=0, size=(96, 128))[:2]
    theta = default_theta(1)
    with torch.no_grad():
        percept = Cortex()(image[None], theta)
    strength = object_hierarchy(percept, theta, (96, 128))
    drawn = torch.from_numpy(label_boundaries(np.asarray(truth))).float()[None, None]
    near = F.max_pool2d(drawn, 9, stride=1, padding=4)[0, 0].numpy() > 0
    assert strength[near].mean() > 4 * strength[~near].mean()


def test_one_image_at_a_time(seen):
    percept, theta = seen
    two = percept[torch.tensor([0, 0])]
    for call in (
        lambda: stage_labels(two, SIZE),
        lambda: stage_boundaries(two, theta, SIZE),
        lambda: object_hierarchy(two, theta, SIZE),
    ):
        with pytest.raises(ValueError, match=r"batch of 2; take percept\[i\]"):
            call()
