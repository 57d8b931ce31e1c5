"""Geodesic distances against scipy's Dijkstra, their gradient, and walls."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from ciliary.cortex.ops.geodesic import geodesic_distance, neighbour_lists
from ciliary.cortex.ops.patches import border_graph, soft_patches


def random_graph(seed, n=40, n_edges=90):
    """Lengths (1, N, N) and costs (1, N, N), symmetric, at most as many neighbours as the lists hold."""
    rng = np.random.default_rng(seed)
    length, cost = np.zeros((n, n)), np.zeros((n, n))
    for _ in range(n_edges):
        i, j = rng.choice(n, 2, replace=False)
        if max((length[i] > 0).sum(), (length[j] > 0).sum()) < 8:
            length[i, j] = length[j, i] = rng.integers(1, 9)
            cost[i, j] = cost[j, i] = rng.uniform(0.05, 2)
    return torch.tensor(length).float()[None], torch.tensor(cost).float()[None]


def seeds_of(groups, n):
    """(1, N, S) bool."""
    seeds = torch.zeros(1, n, len(groups), dtype=torch.bool)
    for s, group in enumerate(groups):
        seeds[0, group, s] = True
    return seeds


def by_dijkstra(index, cost, is_seed):
    """The same graph, edges as the lists give them (they may be one-way), seeds joined by the nearest."""
    n = index.shape[0]
    finite = torch.isfinite(cost)
    rows = torch.arange(n)[:, None].expand_as(index)[finite]
    graph = csr_matrix((cost[finite].double(), (index[finite], rows)), shape=(n, n))  # walked from the seed
    out = []
    for s in range(is_seed.shape[1]):
        seeds = torch.nonzero(is_seed[:, s])[:, 0].numpy()
        out.append(dijkstra(graph, indices=seeds).min(0) if len(seeds) else np.full(n, np.inf))
    return np.stack(out, 1)


@pytest.mark.parametrize("seed", range(6))
def test_against_dijkstra_on_random_graphs(seed):
    """The lesson: float32 distances against float64 heap keys stopped the expansion after one ring."""
    length, step = random_graph(seed)
    index, cost = neighbour_lists(length, step)
    seeds = seeds_of([[0], [5, 6], [39], [1, 11, 21, 31], []], 40)
    ours = geodesic_distance(seeds, index, cost)[0]
    np.testing.assert_allclose(ours.numpy(), by_dijkstra(index[0], cost[0], seeds[0]), rtol=1e-5)


def test_on_the_patches_of_a_batch_all_slots_at_once():
    x = torch.rand(3, 2, 48, 64, generator=torch.Generator().manual_seed(0))
    patches = soft_patches(x, compactness=torch.full((3,), 0.05), sharpness=torch.full((3,), 30.0))
    n = patches.size.shape[1]
    length = border_graph(patches.label, n)[0]
    step = 0.02 + torch.cdist(patches.mean, patches.mean)
    index, cost = neighbour_lists(length, step)
    seeds = torch.zeros(3, n, 7, dtype=torch.bool)
    for i in range(3):
        seeds[i, torch.randperm(n, generator=torch.Generator().manual_seed(i))[:7], torch.arange(7)] = True
    ours = geodesic_distance(seeds, index, cost)
    for i in range(3):
        np.testing.assert_allclose(ours[i].numpy(), by_dijkstra(index[i], cost[i], seeds[i]), rtol=1e-5)
    # One field a slot, not one for all.
    assert (ours[:, :, 1:] - ours[:, :, :1]).abs().amax((0, 1)).min() > 0.1
    assert torch.isfinite(ours).float().mean() > 0.99


def test_a_path_by_hand():
    # 0 -1- 1 -1- 2, and a dear short cut 0 -5- 2
    length = torch.tensor([[[0.0, 2, 1], [2, 0, 2], [1, 2, 0]]])
    step = torch.tensor([[[0.0, 1, 5], [1, 0, 1], [5, 1, 0]]])
    index, cost = neighbour_lists(length, step)
    distance = geodesic_distance(seeds_of([[0], [2], [0, 2]], 3), index, cost)
    assert distance[0].tolist() == [[0, 2, 0], [1, 1, 1], [2, 0, 0]]


def test_a_wall_is_walked_around_or_paid_for():
    n = 12
    position = torch.stack([torch.arange(n * n) // n, torch.arange(n * n) % n], 1)
    touches = ((position[:, None] - position).abs().sum(-1) == 1).float()[None]
    is_left = position[:, 1] < 6
    crosses = (is_left[:, None] != is_left[None]).float()[None] * touches
    start = seeds_of([[5 * n + 1]], n * n)

    def field(step):
        index, cost = neighbour_lists(touches, step)
        return geodesic_distance(start, index, cost)[0, :, 0].reshape(n, n)

    open_, walled = field(torch.ones_like(touches)), field(1 + 3 * crosses)
    torch.testing.assert_close(walled[:, :6], open_[:, :6])
    torch.testing.assert_close(walled[:, 6:], open_[:, 6:] + 3)
    gate = crosses.clone()
    gate[:, 5, 6] = gate[:, 6, 5] = 0  # a gate in the first row
    gated = field(1 + 100 * gate)
    assert gated[0, 6] == open_[0, 6]
    assert gated[5, 6] == open_[5, 6] + 10  # up to the gate and back


def test_missing_neighbours_cost_infinity_and_the_longest_borders_are_kept():
    length = torch.zeros(1, 12, 12)
    length[0, 0, 1:] = torch.arange(1.0, 12)
    length = length + length.transpose(1, 2)
    index, cost = neighbour_lists(length, torch.ones(1, 12, 12), k=3)
    assert sorted(index[0, 0].tolist()) == [9, 10, 11]
    assert torch.isfinite(cost[0, 4]).sum() == 1
    assert index[0, 4, 0] == 0


def test_gradient_follows_the_paths():
    length, step = random_graph(1)
    seeds = seeds_of([[0], [5, 6], [20]], 40)
    weight = torch.rand(1, 40, 3, generator=torch.Generator().manual_seed(0)).double()

    def value(step):
        index, cost = neighbour_lists(length.double(), step)
        distance = geodesic_distance(seeds, index, cost)
        return (torch.where(torch.isfinite(distance), distance, 0.0) * weight).sum(), distance

    step = step.double().requires_grad_()
    total, distance = value(step)
    (slope,) = torch.autograd.grad(total, step)
    torch.testing.assert_close(distance, value(step.detach())[1])  # the same numbers with and without a graph
    touched = torch.nonzero(slope[0]).tolist()
    assert len(touched) > 20
    with torch.no_grad():
        for i, j in touched[::4]:
            bump = torch.zeros_like(step)
            bump[0, i, j] = 1e-6
            expected = (value(step + bump)[0] - value(step - bump)[0]) / 2e-6
            assert slope[0, i, j].item() == pytest.approx(expected.item(), rel=1e-4)


def test_gradient_along_a_long_chain():
    n = 130
    length = torch.zeros(1, n, n)
    k = torch.arange(n - 1)
    length[:, k, k + 1] = length[:, k + 1, k] = 1.0
    price = torch.tensor(0.5, requires_grad=True)
    index, cost = neighbour_lists(length, length * price)
    distance = geodesic_distance(seeds_of([[0]], n), index, cost)[0, :, 0]
    torch.testing.assert_close(distance, 0.5 * torch.arange(float(n)))
    (slope,) = torch.autograd.grad(distance[-1], price)
    assert slope.item() == pytest.approx(n - 1)


def test_unreachable_is_infinite_and_harmless():
    length, step = torch.zeros(1, 5, 5), torch.ones(1, 5, 5)
    length[0, 0, 1] = length[0, 1, 0] = 1
    step.requires_grad_()
    index, cost = neighbour_lists(length, step)
    distance = geodesic_distance(seeds_of([[0]], 5), index, cost)[0, :, 0]
    assert distance.tolist() == [0, 1, torch.inf, torch.inf, torch.inf]
    torch.where(torch.isfinite(distance), distance, 0.0).sum().backward()
    assert torch.isfinite(step.grad).all()
