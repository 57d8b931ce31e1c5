"""Percepts of label maps, worked by hand."""

import numpy as np
import torch

from ciliary.cortex.segmenters import LabelPercept
from ciliary.cortex.segmenters.percept import merged_into_largest

BY_HAND = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 2], [3, 3, 3, 2], [3, 3, 3, 2]], [[0, 0, 0, 0]] * 4])


def test_masks_are_one_hot_and_agree_with_labels():
    percept = LabelPercept(BY_HAND)
    assert percept.masks.shape == (2, 4, 4, 4)
    assert torch.equal(percept.masks.argmax(1), percept.labels())
    assert torch.equal(percept.masks.sum(1), torch.ones(2, 4, 4))
    assert percept.masks_coarse[0, :, 0, 1].tolist() == [0, 0.75, 0.25, 0]
    assert percept.masks_coarse[1, :, 1, 1].tolist() == [1, 0, 0, 0]


def test_coarse_masks_are_the_masks_averaged_also_where_sides_are_odd():
    percept = LabelPercept(torch.randint(0, 5, (2, 7, 9), generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(percept.masks_coarse, torch.nn.functional.avg_pool2d(percept.masks, 2))


def test_the_boundary_is_where_the_right_or_lower_neighbour_is_another():
    expected = [[0, 1, 0, 1], [1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0]]
    boundary = LabelPercept(BY_HAND).boundary
    assert boundary[0, 0].tolist() == expected
    assert boundary[1].sum() == 0


def test_labels_are_resampled_to_the_nearest_without_gaps():
    percept = LabelPercept(BY_HAND)
    assert percept.labels((8, 8))[0, ::2, ::2].tolist() == BY_HAND[0].tolist()
    assert percept.labels((2, 2))[0].tolist() == [[0, 1], [2, 1]]  # 1 is lost: 2 and 3 move up
    assert percept.labels((3, 5)).shape == (2, 3, 5)


def test_percepts_are_taken_apart_and_joined_whatever_their_numbers_of_segments():
    percept = LabelPercept(BY_HAND)
    one, other = percept[0], percept[-1]
    assert one.masks.shape[1] == 4
    assert other.masks.shape[1] == 1
    joined = LabelPercept(torch.cat([one.segments, other.segments]))
    assert torch.equal(joined.masks, percept.masks)
    assert torch.equal(percept[torch.tensor([1, 0])].labels(), BY_HAND.flip(0))


def test_more_segments_than_masks_join_the_neighbour_they_share_most_border_with():
    # 2 shares two pixels of border with 1 and one with 0; 3 touches 2 only, and goes where 2 went.
    labels = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 2, 1], [1, 1, 3, 1], [1, 1, 1, 1]])
    assert merged_into_largest(labels, 2).tolist() == np.minimum(labels, 1).tolist()
    nested = np.array([[0] * 5, [0, 1, 1, 1, 0], [0, 1, 2, 1, 0], [0, 1, 1, 1, 0], [0] * 5])
    assert merged_into_largest(nested, 1).max() == 0  # 2 touches nothing that is kept
    percept = LabelPercept(torch.from_numpy(np.stack([labels, np.zeros_like(labels)])), 2)
    assert percept.masks.shape == (2, 2, 5, 4)
    assert percept.labels()[0].max() == 3  # labels keep all
    assert percept[0].max_masks == 2


def test_many_segments_cost_bounded_memory():
    labels = torch.arange(40 * 40).view(1, 40, 40)
    percept = LabelPercept(labels)
    assert percept.masks.shape[1] == percept.masks_coarse.shape[1] == 128
    assert torch.equal(percept.masks.sum(1), torch.ones(1, 40, 40))
    assert percept.labels().max() == 1599
