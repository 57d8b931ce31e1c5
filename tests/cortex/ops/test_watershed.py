"""Basins of height fields: against scikit-image's watershed, and by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label as components
from skimage.morphology import local_minima
from skimage.segmentation import watershed as flooded

from ciliary.cortex.ops.watershed import low_of, ordered_key, watershed


def hills(seed=0, b=1, size=(60, 80), cells=(8, 10)):
    coarse = torch.randn(b, 1, *cells, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)[:, 0]


def n_basins(label):
    return (label.amax((1, 2)) + 1).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_as_by_flooding(seed):
    height = hills(seed)
    ours = watershed(height)[0].numpy()
    minima = components(local_minima(height[0].numpy()), connectivity=2)
    theirs = flooded(height[0].numpy(), minima, connectivity=2)
    assert ours.max() + 1 == minima.max()
    # The same minima, in the same order.
    where = minima > 0
    assert (ours[where] == minima[where] - 1).all()
    assert (ours == theirs - 1).mean() > 0.85
    assert rand(ours, theirs) > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_each_basin_is_of_one_piece(seed):
    height = hills(seed).mul(4).round()  # with plateaus
    label = watershed(height)[0].numpy()
    for i in range(label.max() + 1):
        assert components(label == i, connectivity=2).max() == 1


@pytest.mark.parametrize("seed", range(4))
def test_plateaus_drain_to_one_side(seed):
    """As many basins as regional minima, however flat and winding these are."""
    height = hills(seed, cells=(16, 20)).mul(3).round()
    n_minima = components(local_minima(height[0].numpy()), connectivity=2).max()
    assert n_basins(watershed(height)) == [n_minima]


def test_two_bowls():
    x = torch.arange(21.0)
    height = torch.minimum((x - 4).abs(), (x - 15).abs() + 0.5).expand(1, 9, 21)
    label = watershed(height)[0]
    assert (label[:, :10] == 0).all()
    assert (label[:, 10:] == 1).all()


def test_a_wall_goes_to_either_side():
    height = torch.zeros(1, 9, 11)
    height[:, :, 5] = 1.0
    label = watershed(height)[0]
    assert (label[:, :5] == 0).all()
    assert (label[:, 6:] == 1).all()
    assert n_basins(label[None]) == [2]


def test_a_blank_picture_is_one_basin():
    assert (watershed(torch.full((2, 33, 47), -0.5)) == 0).all()


def test_a_spiral_is_one_basin():
    """A plateau whose pixels have no order that leads along it."""
    height = torch.ones(1, 9, 9)
    way = [(0, 4), (0, 8), (8, 8), (8, 0), (2, 0), (2, 6), (6, 6), (6, 2), (4, 2), (4, 4)]
    for (y, x), (v, u) in pairwise(way):
        height[0, min(y, v) : max(y, v) + 1, min(x, u) : max(x, u) + 1] = 0.0
    assert n_basins(watershed(height)) == [1]


def test_shallow_basins_flow_over():
    x = torch.tensor([3.0, 0, 2, 1.5, 2.5, 0.5, 4])  # the middle is 0.5 deep, beside two that are 2 or more
    height = x.expand(1, 3, 7)
    assert n_basins(watershed(height)) == [3]
    assert watershed(height, min_depth=1.0)[0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert n_basins(watershed(height, min_depth=2.0)) == [1]


def test_deeper_is_fewer():
    height = hills(b=3)
    counts = [n_basins(watershed(height, min_depth=d)) for d in (0.0, 0.1, 0.5, 10.0)]
    for more, fewer in pairwise(counts):
        assert all(f <= m for f, m in zip(fewer, more, strict=True))
    assert counts[-1] == [1, 1, 1]


@pytest.mark.parametrize("depth", [0.0, 0.2])
def test_pictures_do_not_meet(depth):
    height = torch.cat([hills(1), torch.zeros(1, 60, 80), hills(2).round()])
    together = watershed(height, min_depth=depth)
    for i in range(3):
        assert torch.equal(together[i : i + 1], watershed(height[i : i + 1], min_depth=depth))
    assert torch.equal(together, watershed(height, min_depth=depth))


@pytest.mark.parametrize("depth", [0.0, 0.2])
def test_labels_have_no_gaps(depth):
    label = watershed(hills(3, b=2), min_depth=depth)
    for one in label:
        assert one.unique().tolist() == list(range(int(one.max()) + 1))


def test_noise_has_a_basin_for_each_minimum():
    height = torch.rand(1, 40, 50, generator=torch.Generator().manual_seed(0))
    is_minimum = height[0].numpy() == ndimage.minimum_filter(height[0].numpy(), 3, mode="nearest")
    assert n_basins(watershed(height)) == [is_minimum.sum()]


@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_keys_are_in_the_order_of_values_then_names(a, b):
    value, low = torch.tensor([a, b]), torch.tensor([7, 3])
    key = ordered_key(value, low)
    assert low_of(key).tolist() == [7, 3]
    assert bool(key[0] < key[1]) == (a < b)  # of equals the one named 3


def rand(a, b):
    table = torch.zeros(a.max() + 1, b.max() + 1, dtype=torch.float64)
    table.index_put_((torch.tensor(a).flatten(), torch.tensor(b).flatten()), torch.tensor(1.0).double(), True)

    def pairs(x):
        return (x * (x - 1) / 2).sum().item()

    both, one, two, whole = pairs(table), pairs(table.sum(1)), pairs(table.sum(0)), pairs(table.sum())
    chance = one * two / whole
    return (both - chance) / ((one + two) / 2 - chance)
