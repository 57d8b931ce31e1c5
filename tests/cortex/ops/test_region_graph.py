"""The list of borders, and tables of it, against a plain loop."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ciliary.cortex.ops.region_graph import border_tables, group_table, join_edges, region_graph
from ciliary.cortex.ops.watershed import watershed


def scene(b=3, size=(30, 41), seed=0):
    rng = torch.Generator().manual_seed(seed)
    height = F.interpolate(torch.randn(b, 1, 7, 9, generator=rng), size=size, mode="bicubic")[:, 0]
    return watershed(height), torch.rand(b, 1, *size, generator=rng), torch.rand(b, *size, generator=rng)


def tables(label, n, *fields):
    return border_tables(region_graph(label, n, *fields), n_samples=len(label), n_each=n)


def plain_borders(label, n, field):
    length, total = torch.zeros(n, n), torch.zeros(n, n)
    h, w = label.shape
    for y in range(h):
        for x in range(w):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < h and x + dx < w and label[y, x] != label[y + dy, x + dx]:
                    i, j = int(label[y, x]), int(label[y + dy, x + dx])
                    strength = max(float(field[y, x]), float(field[y + dy, x + dx]))
                    for a, b in ((i, j), (j, i)):
                        length[a, b] += 1
                        total[a, b] += strength
    return length, total


def test_borders_against_a_plain_loop():
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(5, (2, 7, 9), generator=rng).repeat_interleave(2, 1)
    field = torch.rand(2, 1, *label.shape[1:], generator=rng)
    length, strength = tables(label, 6, field)
    for i in range(2):
        expected = plain_borders(label[i], 6, field[i, 0])
        assert torch.equal(length[i], expected[0])
        torch.testing.assert_close(strength[i], expected[1])
    assert length[:, 5].sum() == 0  # no pixel has this label


def test_strength_along_a_border_has_a_gradient():
    label = torch.zeros(1, 4, 4, dtype=torch.int64)
    label[..., 2:] = 1
    field = torch.rand(1, 1, 4, 4, requires_grad=True)
    tables(label, 2, field)[1][0, 0, 1].backward()
    assert (
        field.grad.sum((0, 1, 2)) == torch.tensor([0.0, field.grad[..., 1].sum(), field.grad[..., 2].sum(), 0])
    ).all()
    assert field.grad.sum() == 4


def test_each_border_is_listed_once_and_in_order():
    label, one, two = scene()
    n = int(label.max()) + 1
    graph = region_graph(label, n, one, two)
    assert (graph.first < graph.second).all()
    assert torch.equal(graph.first // n, graph.second // n)
    assert ((graph.first * 3 * n + graph.second).diff() > 0).all()


def test_tables_of_groups_are_tables_of_the_groups_drawn():
    label, one, _ = scene()
    n = int(label.max()) + 1
    group = torch.randint(5, (3 * n,), generator=torch.Generator().manual_seed(1))
    graph = region_graph(label, n, one)
    drawn = group.view(3, n).gather(1, label.flatten(1)).view_as(label)
    for values, expected in zip((graph.length, graph.sums[:, 0]), tables(drawn, 5, one), strict=True):
        torch.testing.assert_close(group_table(graph, values, group, n_each=n, n_groups=5), expected)


def test_without_fields_and_without_borders():
    label, *_ = scene()
    n = int(label.max()) + 1
    assert region_graph(label, n).sums.shape == (len(region_graph(label, n).first), 0)
    blank = region_graph(torch.zeros(2, 5, 6, dtype=torch.int64), 1, torch.rand(2, 5, 6))
    assert blank.first.shape == (0,)
    assert blank.sums.shape == (0, 1)


def test_joined_borders_add_up():
    label, one, _ = scene(b=1)
    n = int(label.max()) + 1
    to = torch.arange(n)
    to[1::2] = to[:-1:2] if n % 2 else to[::2]
    joined = join_edges(region_graph(label, n, one), to)
    expected = region_graph(to[label], n, one)
    assert torch.equal(joined.first, expected.first)
    assert torch.equal(joined.second, expected.second)
    assert torch.equal(joined.length, expected.length)
    torch.testing.assert_close(joined.sums, expected.sums)
