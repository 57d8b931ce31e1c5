"""The list of borders, against the table of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ciliary.cortex.ops.patches import border_graph
from ciliary.cortex.ops.region_graph import graph_of_tables, group_table, join_edges, region_graph
from ciliary.cortex.ops.watershed import watershed


def scene(b=3, size=(30, 41), seed=0):
    rng = torch.Generator().manual_seed(seed)
    height = F.interpolate(torch.randn(b, 1, 7, 9, generator=rng), size=size, mode="bicubic")[:, 0]
    return watershed(height), torch.rand(b, 1, *size, generator=rng), torch.rand(b, *size, generator=rng)


def table(first, second, values, b, n):
    out = torch.zeros(b * n, b * n).index_put((first, second), values)
    out = out + out.T
    return torch.stack([out[i * n : (i + 1) * n, i * n : (i + 1) * n] for i in range(b)])


def test_it_is_the_table_of_borders():
    label, one, two = scene()
    n = int(label.max()) + 1
    graph = region_graph(label, n, one, two)
    expected = border_graph(label, n, one, two[:, None])
    assert (graph.first < graph.second).all()
    assert torch.equal(graph.first // n, graph.second // n)
    for ours, theirs in zip([graph.length, *graph.sums.unbind(1)], expected, strict=True):
        torch.testing.assert_close(table(graph.first, graph.second, ours, 3, n), theirs)


def test_the_list_of_a_table_is_the_list():
    label, one, _ = scene()
    n = int(label.max()) + 1
    ours, theirs = graph_of_tables(*border_graph(label, n, one)), region_graph(label, n, one)
    for name in ("first", "second", "length", "sums"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))


def test_tables_of_groups_are_tables_of_the_groups_drawn():
    label, one, _ = scene()
    n = int(label.max()) + 1
    group = torch.randint(5, (3 * n,), generator=torch.Generator().manual_seed(1))
    graph = region_graph(label, n, one)
    drawn = group.view(3, n).gather(1, label.flatten(1)).view_as(label)
    for values, expected in zip((graph.length, graph.sums[:, 0]), border_graph(drawn, 5, one), strict=True):
        torch.testing.assert_close(group_table(graph, values, group, n_each=n, n_groups=5), expected)


def test_without_fields_and_without_borders():
    label, *_ = scene()
    n = int(label.max()) + 1
    assert region_graph(label, n).sums.shape == (len(region_graph(label, n).first), 0)
    blank = region_graph(torch.zeros(2, 5, 6, dtype=torch.int64), 1, torch.rand(2, 5, 6))
    assert blank.first.shape == (0,)
    assert blank.sums.shape == (0, 1)


def test_gradient_to_the_fields():
    label, one, two = scene()
    n = int(label.max()) + 1
    one.requires_grad_()
    two.requires_grad_()
    weight = torch.randn(len(region_graph(label, n).first), 2)
    ours = torch.autograd.grad((region_graph(label, n, one, two).sums * weight).sum(), (one, two))
    graph = region_graph(label, n)
    dense = border_graph(label, n, one, two[:, None])[1:]
    pick = torch.stack([x[graph.first // n, graph.first % n, graph.second % n] for x in dense], 1)
    theirs = torch.autograd.grad((pick * weight).sum(), (one, two))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


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
