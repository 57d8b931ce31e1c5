"""The cheapest one-to-one assignment, for a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor

NONE = -1  # no partner


@torch.no_grad()
def assign(cost: Tensor, *, limit: float) -> Tensor:
    """Partner of each row so that the sum of costs is least; a row may stay alone for ``limit``.

    Shortest augmenting paths (Kuhn 1955; Jonker & Volgenant 1987): rows enter one after another, and each moves those
    before it along the cheapest path. Exact. The number of steps depends on the size alone, N (N + 1) / 2, and all of a
    batch take them together; what is done sooner waits. SciPy's ``linear_sum_assignment`` takes one table at a time, on
    the CPU.

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
    # A column of its own for each row to stay alone in. Whatever costs more than that is as good as infinite.
    table = cost.double().clamp(max=limit + abs(limit) + 1.0)
    table = torch.cat([table, torch.full((b, n, n), limit, dtype=table.dtype, device=table.device)], 2)
    batch = torch.arange(b, device=cost.device)
    n_columns = m + n
    row_price, column_price = table.new_zeros(b, n), table.new_zeros(b, n_columns + 1)
    row_of = torch.full((b, n_columns + 1), NONE, dtype=torch.int64, device=cost.device)  # the last: where rows enter
    for i in range(n):
        row_of[:, n_columns] = i
        column = torch.full((b,), n_columns, device=cost.device)
        distance = table.new_full((b, n_columns), torch.inf)
        before = torch.full((b, n_columns), n_columns, device=cost.device)
        is_used = torch.zeros(b, n_columns + 1, dtype=torch.bool, device=cost.device)
        for _ in range(i + 1):
            row = row_of[batch, column]
            goes_on = row != NONE  # else the path has come to a free column
            safe = row.clamp_min(0)
            is_used[batch, column] |= goes_on
            reduced = table[batch, safe] - row_price[batch, safe][:, None] - column_price[:, :n_columns]
            open_ = ~is_used[:, :n_columns] & goes_on[:, None]
            is_nearer = open_ & (reduced < distance)
            distance = torch.where(is_nearer, reduced, distance)
            before = torch.where(is_nearer, column[:, None], before)
            step, nearest = torch.where(is_used[:, :n_columns], torch.inf, distance).min(1)
            step = torch.where(goes_on, step, 0.0)
            on_path = is_used & goes_on[:, None]
            column_price -= on_path * step[:, None]
            rows = torch.where(on_path, row_of, NONE)
            row_price.scatter_add_(1, rows.clamp_min(0), (rows >= 0) * step[:, None])
            distance = torch.where(is_used[:, :n_columns], distance, distance - step[:, None])
            column = torch.where(goes_on, nearest, column)
        for _ in range(i + 1):  # back along the path: each row moves to the next column
            is_inside = column != n_columns
            source = torch.where(is_inside, before[batch, column.clamp(max=n_columns - 1)], column)
            row_of[batch, column] = torch.where(is_inside, row_of[batch, source], row_of[batch, column])
            column = source
    partner = torch.full((b, n), NONE, dtype=torch.int64, device=cost.device)
    owner = row_of[:, :m]
    columns = torch.arange(m, device=cost.device).expand(b, m)
    rest = torch.full((b, 1), NONE, dtype=torch.int64, device=cost.device)
    partner = torch.cat([partner, rest], 1).scatter(1, torch.where(owner >= 0, owner, n), columns)[:, :n]
    if not m:
        return partner
    found = cost.gather(2, partner.clamp_min(0)[..., None])[..., 0]
    return torch.where((partner >= 0) & (found <= limit), partner, NONE)
