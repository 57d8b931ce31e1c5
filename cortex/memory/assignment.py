"""Who is who: the cheapest one-to-one assignment of two sets, for a batch of tables at once."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from torch import Tensor

NONE = -1  # no partner


@torch.no_grad()
def assign(cost: Tensor, *, limit: float) -> Tensor:
    """Partner of each row so that the sum of costs is least; a row may stay alone for ``limit``.

    Exact, by SciPy's matching on sparse graphs (Jonker & Volgenant 1987), on the CPU: the tables of a batch are parts
    of one graph that no edge joins, and each row has a column of its own to stay alone in.

    Args:
        cost: (B, N, M), finite, or inf where a pair is out of the question.
        limit: what it costs a row to have no partner: a pair that costs more is never made.

    Returns:
        (B, N) int64, the column of each row, :data:`NONE` for none; no column twice.

    Raises:
        ValueError: another shape, a limit that is not finite, or NaN.
    """
    if cost.ndim != 3 or not abs(limit) < float("inf"):
        raise ValueError(f"expected cost (B, N, M) and a finite limit, got {tuple(cost.shape)} and {limit}")
    if torch.isnan(cost).any():
        raise ValueError("expected costs that are numbers or inf, got NaN; check what is compared")
    b, n, m = cost.shape
    if not b * n:
        return torch.full((b, n), NONE, dtype=torch.int64, device=cost.device)
    table = cost.double().cpu().numpy()
    batch, row, column = np.nonzero(table <= limit)
    alone = np.arange(b * n)
    rows = np.concatenate([batch * n + row, alone])
    columns = np.concatenate([batch * m + column, b * m + alone])
    # What all edges have more changes no choice, and an edge of weight 0 would be none.
    weights = np.concatenate([table[batch, row, column], np.full(b * n, limit)])
    weights = weights - weights.min() + 1
    graph = csr_matrix((weights, (rows, columns)), shape=(b * n, b * m + b * n))
    _, found = min_weight_full_bipartite_matching(graph)
    partner = torch.from_numpy(np.where(found < b * m, found % max(m, 1), NONE).astype(np.int64))
    return partner.view(b, n).to(cost.device)
