"""The cheapest assignment: against SciPy's, by hand, and what staying alone costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from ciliary.cortex.memory.assignment import NONE, assign


def total(cost, partner, limit):
    """What an assignment costs."""
    return sum(float(row[j]) if j != NONE else limit for row, j in zip(cost, partner.tolist(), strict=True))


def best_total(cost, limit):
    """The same of SciPy's, with a column for each row to stay alone in."""
    n = len(cost)
    table = np.concatenate([np.minimum(np.asarray(cost), 1e3), np.full((n, n), limit)], 1)
    rows, columns = linear_sum_assignment(table)
    return table[rows, columns].sum()


@pytest.mark.parametrize(("n", "m", "limit"), [(1, 1, 0.5), (5, 7, 0.3), (6, 3, 0.9), (4, 4, 5.0), (9, 12, 0.15)])
def test_it_is_as_cheap_as_scipys(n, m, limit):
    cost = torch.rand(12, n, m, generator=torch.Generator().manual_seed(n))
    cost[torch.rand(cost.shape, generator=torch.Generator().manual_seed(m)) < 0.15] = torch.inf
    found = assign(cost, limit=limit)
    for table, partner in zip(cost, found, strict=True):
        taken = partner[partner != NONE].tolist()
        assert len(set(taken)) == len(taken)
        assert total(table, partner, limit) == pytest.approx(best_total(table, limit), abs=1e-6)


def test_one_gives_way_where_that_is_cheaper_for_both():
    # The greedy choice, first row first column, costs .1 + .9; giving way costs .2 + .3.
    cost = torch.tensor([[[0.1, 0.2], [0.3, 0.9]]])
    assert assign(cost, limit=1.0).tolist() == [[1, 0]]


def test_a_pair_that_costs_more_than_the_limit_is_never_made():
    cost = torch.tensor([[[0.6, 0.4], [0.6, torch.inf]]])
    assert assign(cost, limit=0.5).tolist() == [[1, NONE]]
    assert assign(cost, limit=0.7).tolist() == [[1, 0]]


def test_more_rows_than_columns_and_no_column_at_all():
    assert assign(torch.tensor([[[0.3], [0.1], [0.2]]]), limit=1.0).tolist() == [[NONE, 0, NONE]]
    assert assign(torch.zeros(2, 3, 0), limit=1.0).tolist() == [[NONE] * 3] * 2
    assert assign(torch.zeros(2, 0, 3), limit=1.0).shape == (2, 0)


def test_a_batch_is_its_tables_one_by_one():
    cost = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(1))
    together = assign(cost, limit=0.4)
    assert torch.equal(together, torch.cat([assign(one[None], limit=0.4) for one in cost]))


def test_wrong_tables_are_refused():
    with pytest.raises(ValueError, match=r"expected cost \(B, N, M\)"):
        assign(torch.zeros(2, 2), limit=1.0)
    with pytest.raises(ValueError, match="finite limit"):
        assign(torch.zeros(1, 2, 2), limit=float("inf"))
    with pytest.raises(ValueError, match="NaN"):
        assign(torch.full((1, 2, 2), torch.nan), limit=1.0)
