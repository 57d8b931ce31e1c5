"""Merging slots: the cost of a pair, the tree, and its soft cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from ciliary.cortex.ops.merging import MergeTree, merge_tree, soft_cut
from ciliary.cortex.ops.pair_cost import contrast_cost, cost_table


def ward(b=1):
    return contrast_cost(exponent=torch.ones(b), contour_weight=torch.zeros(b), unit_size=1.0)


def same_partition(a, b):
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    return len(pairs) == len(set(np.asarray(a).tolist())) == len(set(np.asarray(b).tolist()))


def cost(exponent=1.0, contour_weight=0.0, unit_size=1.0, size=(2.0, 6.0), strength=0.0, length=4.0):
    mean = torch.tensor([[[0.0, 0.0], [1.0, 2.0]]])
    size = torch.tensor([size])
    edge = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    link = contrast_cost(
        exponent=torch.tensor([exponent]), contour_weight=torch.tensor([contour_weight]), unit_size=unit_size
    )
    return cost_table(link, mean * size[..., None], size, length * edge, (strength * edge)[..., None])[0]


def test_ward_by_hand():
    # n1 n2 / (n1 + n2) = 12 / 8, squared distance 5
    assert cost()[0, 1].item() == pytest.approx(7.5)
    torch.testing.assert_close(cost(), cost().T)


def test_centroid_linkage_ignores_sizes():
    assert cost(0.0)[0, 1].item() == pytest.approx(5)
    assert cost(0.0, size=(200.0, 1.0))[0, 1].item() == pytest.approx(5)


def test_sizes_count_in_units():
    assert cost(unit_size=2.0)[0, 1].item() == pytest.approx(3.75)
    assert cost(0.5, unit_size=2.0)[0, 1].item() == pytest.approx(0.75**0.5 * 5)


def test_contour_is_its_mean_along_the_border_squared():
    assert cost(0.0, contour_weight=3.0, strength=2.0, length=4.0)[0, 1].item() == pytest.approx(5 + 3 * 0.25)
    assert cost(0.0, contour_weight=3.0, strength=0.0)[0, 1].item() == pytest.approx(5)


def test_weights_are_per_sample_and_empty_groups_are_finite():
    size = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    exponent = torch.tensor([0.0, 1.2], requires_grad=True)
    link = contrast_cost(exponent=exponent, contour_weight=torch.tensor([0.0, 1.0]), unit_size=1.0)
    value = cost_table(link, torch.ones(2, 2, 3) * size[..., None], size, torch.zeros(2, 2, 2), torch.zeros(2, 2, 2, 1))
    assert torch.isfinite(value).all()
    value.sum().backward()
    assert torch.isfinite(exponent.grad).all()


def slot_cues(seed=0, b=1, n=12, c=3):
    return torch.randn(b, n, c, generator=torch.Generator().manual_seed(seed))


def tree_of(x, length=None, strength=None, link=None):
    b, n, _ = x.shape
    length = (1 - torch.eye(n)).expand(b, n, n) if length is None else length
    strength = torch.zeros(b, n, n) if strength is None else strength
    return merge_tree(x, torch.ones(b, n), length, strength[..., None], cost=link or ward(b))


@pytest.mark.parametrize("seed", range(5))
def test_heights_are_wards(seed):
    x = slot_cues(seed)
    expected = linkage(x[0].double().numpy(), "ward")[:, 2]
    # scipy reports sqrt(2 n m / (n + m)) |mean - mean|
    np.testing.assert_allclose(torch.sqrt(2 * tree_of(x).height[0]).numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_clusters", [1, 4, 12])
def test_hard_cut_is_wards_partition(seed, n_clusters):
    x = slot_cues(seed)
    happens = (torch.arange(11) < 12 - n_clusters).float()[None]
    share = soft_cut(tree_of(x), happens)[0]
    assert ((share == 0) | (share == 1)).all()
    assert (share.sum(1) == 1).all()
    assert same_partition(
        share.argmax(1).numpy(), fcluster(linkage(x[0].double().numpy(), "ward"), n_clusters, "maxclust")
    )


def test_soft_cut_by_hand():
    # 2 joins 1 with 0.5, then 1 joins 0 with 0.25: what had moved to 1 moves on with it.
    tree = MergeTree(torch.tensor([[1, 0]]), torch.tensor([[2, 1]]), torch.tensor([[1.0, 2.0]]))
    share = soft_cut(tree, torch.tensor([[0.5, 0.25]]))[0]
    expected = torch.tensor([[1, 0, 0], [0.25, 0.75, 0], [0.125, 0.375, 0.5]])
    torch.testing.assert_close(share, expected)


def test_soft_cut_is_on_the_simplex_and_linear_in_each_probability():
    tree = tree_of(slot_cues())
    p = torch.rand(1, 11, generator=torch.Generator().manual_seed(0))
    share = soft_cut(tree, p)
    assert (share >= -1e-6).all()
    torch.testing.assert_close(share.sum(2), torch.ones(1, 12))
    for t in (0, 5, 10):
        ends = []
        for value in (0.0, 1.0):
            q = p.clone()
            q[0, t] = value
            ends.append(soft_cut(tree, q))
        torch.testing.assert_close(share, torch.lerp(ends[0], ends[1], float(p[0, t])), atol=1e-6, rtol=0)


def test_heights_never_fall_also_on_a_sparse_graph():
    n = 12
    length = torch.zeros(3, n, n)
    index = torch.arange(n - 1)
    length[:, index, index + 1] = length[:, index + 1, index] = 1.0
    link = contrast_cost(exponent=torch.tensor([0.0, 0.6, 1.0]), contour_weight=torch.zeros(3), unit_size=1.0)
    tree = tree_of(slot_cues(0, b=3), length, link=link)
    assert (tree.height.diff(dim=1) >= 0).all()
    assert (tree.first < tree.second).all()


def test_what_does_not_touch_never_merges():
    length = torch.zeros(1, 5, 5)
    length[:, 0, 1] = length[:, 1, 0] = 1.0
    tree = tree_of(slot_cues(n=5), length)
    assert torch.isfinite(tree.height[0]).tolist() == [True, False, False, False]
    share = soft_cut(tree, torch.ones(1, 4))[0]
    assert share.argmax(1).tolist() == [0, 0, 2, 3, 4]


def test_contours_add_up_along_joint_borders():
    """After 1 joins 0, the border of {0, 1} with 2 has the mean strength of both parts."""
    x = torch.tensor([[[0.0], [0.0], [0.0]]])
    length = torch.tensor([[[0.0, 1, 3], [1, 0, 1], [3, 1, 0]]])
    strength = torch.tensor([[[0.0, 0.1, 3], [0.1, 0, 0.2], [3, 0.2, 0]]])
    link = contrast_cost(exponent=torch.zeros(1), contour_weight=torch.ones(1), unit_size=1.0)
    tree = tree_of(x, length, strength, link)
    torch.testing.assert_close(tree.height[0], torch.tensor([0.01, (3.2 / 4) ** 2]))


def test_trees_of_samples_do_not_meet():
    x = slot_cues(3, b=3)
    together = tree_of(x)
    for i in range(3):
        alone = tree_of(x[i : i + 1])
        assert torch.equal(together.first[i : i + 1], alone.first)
        assert torch.equal(together.second[i : i + 1], alone.second)
        torch.testing.assert_close(together.height[i : i + 1], alone.height)


def test_gradient_of_heights_is_the_slope():
    x = slot_cues()

    def value(exponent):
        link = contrast_cost(exponent=exponent, contour_weight=torch.zeros(1), unit_size=2.0)
        return tree_of(x, link=link).height.sum()

    exponent = torch.tensor([0.7], requires_grad=True)
    (slope,) = torch.autograd.grad(value(exponent), exponent)
    with torch.no_grad():
        expected = (value(exponent + 1e-3) - value(exponent - 1e-3)) / 2e-3
    assert slope.item() == pytest.approx(expected.item(), rel=1e-2)


def test_slots_that_touch_nothing_leave_the_gradient_finite():
    length = torch.zeros(2, 5, 5)
    length[:, 0, 1] = length[:, 1, 0] = 1.0
    x = slot_cues(n=5, b=2).requires_grad_()
    strength = (0.3 * length).requires_grad_()
    tree = tree_of(x, length, strength)
    slopes = torch.autograd.grad(tree.height[torch.isfinite(tree.height)].sum(), (x, strength))
    assert all(torch.isfinite(slope).all() for slope in slopes)
    assert slopes[0][:, :2].abs().sum() > 0
    assert slopes[0][:, 2:].abs().sum() == 0  # what never merges has no say
