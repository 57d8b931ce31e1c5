"""Merging: linkage, patches into groups, slots into a tree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from ciliary.cortex.ops.merging import MergeTree, contrast_linkage, merge_patches, merge_tree, soft_cut


def ward(b=1):
    return contrast_linkage(exponent=torch.ones(b), contour_weight=torch.zeros(b), unit_size=1.0)


def cloud(seed=0, b=1, n=30, c=3):
    return torch.randn(b, n, c, generator=torch.Generator().manual_seed(seed))


def merge(x, n_clusters, length=None, strength=None, size=None, link=None):
    b, n, _ = x.shape
    length = (1 - torch.eye(n)).expand(b, n, n) if length is None else length
    strength = torch.zeros(b, n, n) if strength is None else strength
    size = torch.ones(b, n) if size is None else size
    link = ward(b) if link is None else link
    return merge_patches(x * size[..., None], size, length, strength, linkage=link, n_clusters=n_clusters)


def same_partition(a, b):
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    return len(pairs) == len(set(np.asarray(a).tolist())) == len(set(np.asarray(b).tolist()))


def chain(n):
    """Nodes in a row: each touches the next."""
    length = torch.zeros(1, n, n)
    index = torch.arange(n - 1)
    length[:, index, index + 1] = length[:, index + 1, index] = 1.0
    return length


def random_graph(seed, n=14, extra=10):
    rng = torch.Generator().manual_seed(seed)
    length = chain(n)[0]
    for _ in range(extra):
        i, j = torch.randperm(n, generator=rng)[:2].tolist()
        length[i, j] = length[j, i] = float(torch.randint(1, 6, (), generator=rng))
    return length[None]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_clusters", [2, 5, 12])
def test_on_a_complete_graph_it_is_wards_clustering(seed, n_clusters):
    """Stopping the rounds at the right count merged the pairs of the first rounds, dear ones too."""
    x = cloud(seed)
    ours = merge(x, n_clusters)[0]
    assert sorted(ours.unique().tolist()) == list(range(n_clusters))
    assert same_partition(ours, fcluster(linkage(x[0].double().numpy(), "ward"), n_clusters, "maxclust"))


def test_a_dear_pair_of_hermits_does_not_merge_before_cheap_neighbours():
    x = torch.tensor([0.0, 0.1, 0.3, 0.6, 1.0, 50.0, 60.0]).view(1, 7, 1)
    labels = merge(x, 3)[0].tolist()
    assert labels == [0, 0, 0, 0, 0, 1, 2]


def one_by_one(x, length, n_clusters):
    """The cheapest touching pair by Ward's cost, one at a time."""
    groups = [[i] for i in range(len(x))]
    while len(groups) > n_clusters:
        best = None
        for a in range(len(groups)):
            for b in range(a + 1, len(groups)):
                if length[groups[a]][:, groups[b]].sum() > 0:
                    na, nb = len(groups[a]), len(groups[b])
                    unlike = ((x[groups[a]].mean(0) - x[groups[b]].mean(0)) ** 2).sum()
                    cost = float(na * nb / (na + nb) * unlike)
                    if best is None or cost < best[0]:
                        best = (cost, a, b)
        if best is None:
            break
        _, a, b = best
        groups[a] += groups.pop(b)
    labels = np.zeros(len(x), int)
    for k, group in enumerate(groups):
        labels[group] = k
    return labels


def explained(x, labels):
    return sum(float(((x[labels == k] - x[labels == k].mean(0)) ** 2).sum()) for k in np.unique(labels))


def test_on_random_graphs_it_is_nearly_one_pair_at_a_time():
    """On a sparse graph costs may fall back (inversions), so that the order of merging matters: rarely, and little."""
    n_same, ratio = 0, []
    for seed in range(20):
        x, length = cloud(seed, n=14), random_graph(seed)
        ours, theirs = merge(x, 4, length)[0].numpy(), one_by_one(x[0], length[0], 4)
        n_same += same_partition(ours, theirs)
        ratio.append(explained(x[0], ours) / explained(x[0], theirs))
    assert n_same >= 13
    assert np.mean(ratio) < 1.05


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_connected(seed):
    length = random_graph(seed)
    labels = merge(cloud(seed, n=14), 5, length)[0]
    for k in range(5):
        members = torch.nonzero(labels == k)[:, 0].tolist()
        reached, front = {members[0]}, [members[0]]
        while front:
            i = front.pop()
            for j in members:
                if length[0, i, j] > 0 and j not in reached:
                    reached.add(j)
                    front.append(j)
        assert reached == set(members)


def test_a_contour_keeps_like_things_apart():
    x = torch.zeros(1, 6, 1)
    strength = torch.zeros(1, 6, 6)
    strength[:, 2, 3] = strength[:, 3, 2] = 1.0
    link = contrast_linkage(exponent=torch.zeros(1), contour_weight=torch.ones(1), unit_size=1.0)
    assert merge(x, 2, chain(6), strength, link=link)[0].tolist() == [0, 0, 0, 1, 1, 1]


def test_what_does_not_touch_stays_apart_and_ends():
    length = chain(6)
    length[:, 2, 3] = length[:, 3, 2] = 0
    assert merge(torch.zeros(1, 6, 1), 1, length)[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert merge(torch.zeros(1, 6, 1), 2, torch.zeros(1, 6, 6))[0].tolist() == list(range(6))


def test_ties_end_too():
    assert len(merge(torch.zeros(2, 25, 3), 4)[1].unique()) == 4


def test_samples_do_not_meet():
    x = torch.cat([cloud(0, n=14), cloud(1, n=14), torch.zeros(1, 14, 3)])
    length = torch.cat([random_graph(0), random_graph(1), chain(14)])
    exponent = torch.tensor([0.0, 1.0, 0.6])

    def link(rows):
        return contrast_linkage(exponent=exponent[rows], contour_weight=torch.zeros(3)[rows], unit_size=1.0)

    together = merge(x, 4, length, link=link(slice(None)))
    for i in range(3):
        one = slice(i, i + 1)
        assert torch.equal(together[one], merge(x[one], 4, length[one], link=link(one)))


def test_as_many_clusters_as_patches_changes_nothing():
    assert merge(cloud(), 30)[0].tolist() == list(range(30))


def cost(exponent=1.0, contour_weight=0.0, unit_size=1.0, size=(2.0, 6.0), strength=0.0, length=4.0):
    mean = torch.tensor([[[0.0, 0.0], [1.0, 2.0]]])
    size = torch.tensor([size])
    edge = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    link = contrast_linkage(
        exponent=torch.tensor([exponent]), contour_weight=torch.tensor([contour_weight]), unit_size=unit_size
    )
    return link(mean * size[..., None], size, length * edge, strength * edge)[0]


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
    link = contrast_linkage(exponent=exponent, contour_weight=torch.tensor([0.0, 1.0]), unit_size=1.0)
    value = link(torch.ones(2, 2, 3) * size[..., None], size, torch.zeros(2, 2, 2), torch.zeros(2, 2, 2))
    assert torch.isfinite(value).all()
    value.sum().backward()
    assert torch.isfinite(exponent.grad).all()


def slot_cues(seed=0, b=1, n=12, c=3):
    return torch.randn(b, n, c, generator=torch.Generator().manual_seed(seed))


def tree_of(x, length=None, strength=None, link=None):
    b, n, _ = x.shape
    length = (1 - torch.eye(n)).expand(b, n, n) if length is None else length
    strength = torch.zeros(b, n, n) if strength is None else strength
    return merge_tree(x, torch.ones(b, n), length, strength, linkage=link or ward(b))


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
    link = contrast_linkage(exponent=torch.tensor([0.0, 0.6, 1.0]), contour_weight=torch.zeros(3), unit_size=1.0)
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
    link = contrast_linkage(exponent=torch.zeros(1), contour_weight=torch.ones(1), unit_size=1.0)
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
        link = contrast_linkage(exponent=exponent, contour_weight=torch.zeros(1), unit_size=2.0)
        return tree_of(x, link=link).height.sum()

    exponent = torch.tensor([0.7], requires_grad=True)
    (slope,) = torch.autograd.grad(value(exponent), exponent)
    with torch.no_grad():
        expected = (value(exponent + 1e-3) - value(exponent - 1e-3)) / 2e-3
    assert slope.item() == pytest.approx(expected.item(), rel=1e-2)
