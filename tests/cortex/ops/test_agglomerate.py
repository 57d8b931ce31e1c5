"""Merging on a list of edges: against one merge at a time, and against the tree of tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.ops.agglomerate import agglomerate, cut_at, cut_to, region_tree
from ciliary.cortex.ops.merging import merge_tree
from ciliary.cortex.ops.pair_cost import contrast_cost, strength_cost
from ciliary.cortex.ops.patches import border_graph
from ciliary.cortex.ops.region_graph import RegionGraph, region_graph
from ciliary.cortex.ops.watershed import watershed


def random_graph(seed, n=20, extra=25):
    """A random tree and some edges more, with lengths and strengths."""
    rng = np.random.default_rng(seed)
    pairs = {(int(rng.integers(j)), j) for j in range(1, n)}
    pairs |= {(int(i), int(j)) for i, j in rng.integers(n, size=(extra, 2)) if i < j}
    first, second = torch.tensor(sorted(pairs)).T
    length = torch.tensor(rng.integers(1, 9, len(pairs)), dtype=torch.float32)
    strength = torch.tensor(rng.random(len(pairs)), dtype=torch.float32)
    return RegionGraph(first, second, length, (length * strength)[:, None])


def one_by_one(graph, n, n_left):
    """The border of the least mean strength, one at a time."""
    sum_and_length = torch.stack([graph.sums[:, 0], graph.length], 1).tolist()
    border = dict(zip(zip(graph.first.tolist(), graph.second.tolist(), strict=True), sum_and_length, strict=True))
    name = list(range(n))
    while len(set(name)) > n_left:
        i, j = min(border, key=lambda pair: border[pair][0] / border[pair][1])
        name = [i if k == j else k for k in name]
        joined: dict = {}
        for pair, (s, k) in border.items():
            a, b = (i if x == j else x for x in pair)
            if a != b:
                old = joined.get((min(a, b), max(a, b)), (0.0, 0.0))
                joined[min(a, b), max(a, b)] = (old[0] + s, old[1] + k)
        border = joined
    return name


def same_partition(a, b):
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    return len(pairs) == len(set(np.asarray(a).tolist())) == len(set(np.asarray(b).tolist()))


def by_strength(graph, n, n_left, sample=None):
    sample = torch.zeros(n, dtype=torch.int64) if sample is None else sample
    return agglomerate(torch.zeros(n, 1), torch.ones(n), graph, linkage=strength_cost, n_left=n_left, sample=sample)


@pytest.mark.parametrize("seed", range(25))
def test_as_one_merge_at_a_time(seed):
    graph = random_graph(seed)
    for n_left in range(1, 21):
        ours = by_strength(graph, 20, n_left)
        assert sorted(ours.unique().tolist()) == list(range(n_left))
        assert same_partition(ours, one_by_one(graph, 20, n_left))


@pytest.mark.parametrize("seed", range(5))
def test_the_whole_tree_is_cut_at_any_height(seed):
    graph = random_graph(seed)
    tree = region_tree(torch.zeros(20, 1), torch.ones(20), graph, linkage=strength_cost, sample=torch.zeros(20).long())
    heights = tree.height[torch.isfinite(tree.height)].sort().values
    assert len(heights) == 19
    for i, height in enumerate(heights):
        assert torch.equal(cut_at(tree, float(height)), cut_to(tree, 19 - i))
        assert same_partition(cut_at(tree, float(height)), one_by_one(graph, 20, 19 - i))
    assert torch.equal(cut_at(tree, -1.0), torch.arange(20))


def scene(b=3, c=4, size=(40, 52), seed=0):
    rng = torch.Generator().manual_seed(seed)
    height = F.interpolate(torch.randn(b, 1, 9, 12, generator=rng), size=size, mode="bicubic")[:, 0]
    label = watershed(height)
    n = int(label.max()) + 1
    graph = region_graph(label, n, height.sigmoid(), height.sigmoid() ** 2)
    size_px = torch.stack([torch.bincount(x.flatten(), minlength=n) for x in label]).float()
    total = torch.randn(b, n, c, generator=rng) * size_px[..., None]
    return label, height, graph, total, size_px, torch.arange(b).repeat_interleave(n)


SETTINGS = {"exponent": torch.tensor([0.0, 0.5, 1.0]), "contour_weight": torch.tensor([2.0, 0.5, 0.0])}


def test_pictures_do_not_meet():
    label, height, graph, total, size, sample = scene()
    cost = contrast_cost(exponent=torch.full((3,), 0.5), contour_weight=torch.ones(3), unit_size=30.0)
    n = size.shape[1]
    together = agglomerate(total.flatten(0, 1), size.flatten(), graph, linkage=cost, n_left=5, sample=sample)
    for b in range(3):
        alone = agglomerate(
            total[b],
            size[b],
            region_graph(label[b : b + 1], n, height[b : b + 1].sigmoid()),
            linkage=cost,
            n_left=5,
            sample=torch.zeros(n).long(),
        )
        assert torch.equal(together.reshape(3, n)[b], alone)
        assert alone[size[b] > 0].unique().tolist() == list(range(5))


def test_a_height_for_each_picture():
    *_, graph, total, size, sample = scene()
    tree = region_tree(total.flatten(0, 1), size.flatten(), graph, linkage=strength_cost, sample=sample)
    whole = cut_at(tree, torch.tensor([-1.0, 0.5, 2.0])).reshape(3, -1)
    assert whole[0].amax() + 1 == (size[0] > 0).sum()
    assert 0 < whole[1].amax() < (size[1] > 0).sum() - 1
    assert whole[2].amax() == 0


def test_parts_that_do_not_touch_stay_apart():
    graph = RegionGraph(torch.tensor([0, 2]), torch.tensor([1, 3]), torch.ones(2), torch.ones(2, 1))
    assert by_strength(graph, 5, 1).tolist() == [0, 0, 1, 1, 2]
    none = RegionGraph(graph.first[:0], graph.first[:0], torch.zeros(0), torch.zeros(0, 1))
    assert by_strength(none, 3, 1).tolist() == [0, 1, 2]


def test_fewer_regions_than_asked_for():
    assert by_strength(random_graph(0), 20, 32).tolist() == list(range(20))


def test_two_levels_are_found():
    """Four quarters of four tiles each: walls of 0.2 inside a quarter, of 1 between quarters."""
    tile = torch.arange(16).view(4, 4)
    label = tile.repeat_interleave(8, 0).repeat_interleave(8, 1)[None]
    field = torch.zeros(1, 32, 32)
    field[:, 7::8] = field[:, :, 7::8] = 0.2
    field[:, 15] = field[:, :, 15] = 1.0
    graph = region_graph(label, 16, field)
    quarter = (tile // 8 * 2 + tile % 4 // 2).flatten()
    assert torch.equal(by_strength(graph, 16, 4), quarter)
    tree = region_tree(torch.zeros(16, 1), torch.ones(16), graph, linkage=strength_cost, sample=torch.zeros(16).long())
    assert torch.equal(cut_at(tree, 0.5), quarter)
    assert (cut_at(tree, 1.0) == 0).all()


def test_one_cost_for_lists_and_tables_of_several_fields():
    """A tree of tables with a cost that reads two fields has the heights of the tree of edges."""
    label, height, graph, total, size, sample = scene(b=1)
    n = int((size > 0).sum())

    def cost(pairs):
        mean = pairs.mean_along()
        variance = (mean[..., 1] - mean[..., 0] ** 2).clamp_min(0)
        return mean[..., 0] + variance.sqrt() + 0.01 * pairs.squared_distance()

    x = height.sigmoid()[:, None]
    length, *sums = border_graph(label, n, x, x**2)
    tables = merge_tree(total, size, length, torch.stack(sums, -1), cost=cost)
    edges = region_tree(total[0], size[0], graph, linkage=cost, sample=sample)
    # Costs that fold back are raised, in the order of the merges: only those of a tree without are the same.
    for n_left in (n - 1, n - 2, n - 5):
        height_there = tables.height[0, n - n_left - 1]
        height_here = edges.height.sort().values[n - n_left - 1]
        torch.testing.assert_close(height_here, height_there)


def test_it_is_a_choice_without_gradient_and_leaves_its_inputs():
    *_, graph, total, size, sample = scene()
    total.requires_grad_()
    before = [x.clone() for x in (graph.first, graph.length, graph.sums, size)]
    cost = contrast_cost(**SETTINGS, unit_size=30.0)
    once = agglomerate(total.flatten(0, 1), size.flatten(), graph, linkage=cost, n_left=6, sample=sample)
    assert not once.requires_grad
    for old, new in zip(before, (graph.first, graph.length, graph.sums, size), strict=True):
        assert torch.equal(old, new)
    assert torch.equal(
        once, agglomerate(total.flatten(0, 1), size.flatten(), graph, linkage=cost, n_left=6, sample=sample)
    )
