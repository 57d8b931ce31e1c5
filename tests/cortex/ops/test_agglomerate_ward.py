"""Agglomeration on graphs: against Ward's clustering, and one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from ciliary.cortex.ops.agglomerate import agglomerate
from ciliary.cortex.ops.pair_cost import contrast_cost
from ciliary.cortex.ops.region_graph import graph_of_tables


def ward(b=1):
    return contrast_cost(exponent=torch.ones(b), contour_weight=torch.zeros(b), unit_size=1.0)


def cloud(seed=0, b=1, n=30, c=3):
    return torch.randn(b, n, c, generator=torch.Generator().manual_seed(seed))


def merge(x, n_clusters, length=None, strength=None, link=None):
    b, n, c = x.shape
    length = (1 - torch.eye(n)).expand(b, n, n) if length is None else length
    strength = torch.zeros(b, n, n) if strength is None else strength
    sample = torch.arange(b).repeat_interleave(n)
    return agglomerate(
        x.reshape(b * n, c),
        torch.ones(b * n),
        graph_of_tables(length, strength),
        linkage=link or ward(b),
        n_left=n_clusters,
        sample=sample,
    ).view(b, n)


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
    link = contrast_cost(exponent=torch.zeros(1), contour_weight=torch.ones(1), unit_size=1.0)
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
        return contrast_cost(exponent=exponent[rows], contour_weight=torch.zeros(3)[rows], unit_size=1.0)

    together = merge(x, 4, length, link=link(slice(None)))
    for i in range(3):
        one = slice(i, i + 1)
        assert torch.equal(together[one], merge(x[one], 4, length[one], link=link(one)))


def test_as_many_clusters_as_patches_changes_nothing():
    assert merge(cloud(), 30)[0].tolist() == list(range(30))
