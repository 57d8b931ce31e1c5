"""One-to-one assignment of boundary pixels that lie close to each other.

As many pixels as can be are matched, and of all ways to do so the closest is taken. The number comes from a maximum
flow, which is fast; distances, which are slow, matter only where more predicted pixels than drawn ones compete, and
the flow tells where that is (the decomposition of Dulmage and Mendelsohn 1958, "Coverings of bipartite graphs").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import (
    breadth_first_order,
    connected_components,
    maximum_flow,
    min_weight_full_bipartite_matching,
)

_FREE = -1
_TIGHT = 1.2  # rows a column, below which the solver may take seconds
_COST_PER_PX = 100  # whole numbers, as in the BSDS500 evaluator: coarser ones let F drift by .001


def match_pixels(predicted: ArrayLike, drawn: ArrayLike, *, radius_px: float) -> np.ndarray:
    """Match pixels of two boundary maps (H, W) one to one within a radius: as many as can be, as close as can be.

    What ``correspondPixels`` of the BSDS500 evaluator does (Martin, Fowlkes and Malik 2004, "Learning to detect
    natural image boundaries using local brightness, color, and texture cues", appendix B), but over all pairs within
    the radius where that one draws six neighbours at random.

    Returns:
        bool (H, W): the predicted pixels that got a partner; as many drawn pixels did.

    Raises:
        ValueError: maps of different sizes, or a negative radius.
    """
    ours, theirs = np.asarray(predicted, dtype=bool), np.asarray(drawn, dtype=bool)
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ValueError(f"expected two maps (height, width) of one size, got {ours.shape} and {theirs.shape}")
    if radius_px < 0:
        raise ValueError(f"radius_px must be 0 or more, got {radius_px}")
    matched = np.zeros_like(ours)
    if np.count_nonzero(theirs) < np.count_nonzero(ours):  # look round the fewer
        partner, pixel, distance_px = _pairs_within(theirs, ours, radius_px)
    else:
        pixel, partner, distance_px = _pairs_within(ours, theirs, radius_px)
    if pixel.size == 0:
        return matched
    alive, row = np.unique(pixel, return_inverse=True)
    candidates, column = np.unique(partner, return_inverse=True)
    row_of_column = _most_pairs(row, column, (alive.size, candidates.size))
    is_matched = np.isin(np.arange(alive.size), row_of_column)

    # Elsewhere every row is matched whatever the distances are; here every column is.
    is_contested = _contested(row, row_of_column[column], is_matched)
    chosen = is_contested[row]
    if chosen.any():
        cost = 1 + np.rint(_COST_PER_PX * distance_px[chosen])  # a cost of 0 would mean no pair
        is_matched[is_contested] = False
        is_matched[_closest(row[chosen], column[chosen], cost)] = True
    matched.ravel()[alive[is_matched]] = True
    return matched


def _pairs_within(some: np.ndarray, others: np.ndarray, radius_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs within the radius: flat index of one of some, of one of the others, their distance in pixels."""
    width = some.shape[1]
    reach = int(radius_px)
    # On a grid, looking at every offset in the disc beats a search tree.
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    distance_px = np.hypot(dy, dx)
    dy, dx, distance_px = (values[distance_px <= radius_px] for values in (dy, dx, distance_px))
    padded = np.pad(others, reach)
    padded_width = width + 2 * reach
    y, x = np.nonzero(some)
    is_pair = padded.ravel()[((y + reach) * padded_width + x + reach)[:, None] + (dy * padded_width + dx)]
    which, offset = np.nonzero(is_pair)
    pixel = y[which] * width + x[which]
    return pixel, pixel + dy[offset] * width + dx[offset], distance_px[offset]


def _most_pairs(row: np.ndarray, column: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A largest matching of the pairs (row, column): for each column its row, or _FREE.

    By maximum flow: ``maximum_bipartite_matching`` is a hundred times slower on such nets of neighbours.
    """
    n_rows, n_columns = size
    source, sink = n_rows + n_columns, n_rows + n_columns + 1
    start = np.concatenate([np.full(n_rows, source), row, n_rows + np.arange(n_columns)])
    end = np.concatenate([np.arange(n_rows), n_rows + column, np.full(n_columns, sink)])
    net = csr_array((np.ones(start.size, dtype=np.int32), (start, end)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(net, source, sink, method="dinic").flow[:n_rows, n_rows:source].tocoo()
    flows = flow.data > 0
    row_of_column = np.full(n_columns, _FREE)
    row_of_column[flow.col[flows]] = flow.row[flows]
    return row_of_column


def _contested(row: np.ndarray, rival: np.ndarray, is_matched: np.ndarray) -> np.ndarray:
    """Rows that could be left out of a largest matching: bool, one a row.

    They are the unmatched ones and all that can hand their column to one of these: whoever holds a column next to a
    contested row. ``rival`` is, for each pair, the row that holds the pair's column.
    """
    n_rows = is_matched.size
    unmatched = np.flatnonzero(~is_matched)
    held = rival != _FREE
    start = np.concatenate([np.full(unmatched.size, n_rows), row[held]])  # one more node, before all unmatched ones
    end = np.concatenate([unmatched, rival[held]])
    steps = csr_array((np.ones(start.size, dtype=np.int8), (start, end)), shape=(n_rows + 1, n_rows + 1))
    is_reached = np.zeros(n_rows + 1, dtype=bool)
    is_reached[breadth_first_order(steps, n_rows, return_predecessors=False)] = True
    return is_reached[:-1]


def _closest(row: np.ndarray, column: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Rows of the cheapest matching of all columns, which are fewer than the rows."""
    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    net = csr_array((cost, (row, rows.size + column)), shape=(rows.size + columns.size,) * 2)
    group = connected_components(net, directed=False)[1]
    n_in_group = [np.bincount(part, minlength=group.max() + 1) for part in (group[: rows.size], group[rows.size :])]
    is_tight = (n_in_group[0] < _TIGHT * n_in_group[1])[group[row]]
    wide = [rows[row[~is_tight]], column[~is_tight], cost[~is_tight]]
    tight = [rows[row[is_tight]], column[is_tight], cost[is_tight]]
    return np.concatenate([_assign(*wide), _assign(*tight, may_stay_alone=True)])


def _assign(row: np.ndarray, column: np.ndarray, cost: np.ndarray, *, may_stay_alone: bool = False) -> np.ndarray:
    """Rows of the cheapest matching of all columns.

    ``may_stay_alone`` gives each row a column of its own, dearer than all rearrangement can save. It changes nothing
    but the time: milliseconds instead of seconds where rows are hardly more than columns, else five times slower.
    """
    if row.size == 0:
        return row
    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    if not may_stay_alone:
        table = csr_array((cost, (column, row)), shape=(columns.size, rows.size))
        return np.asarray(rows[min_weight_full_bipartite_matching(table)[1]])
    alone = np.arange(rows.size)
    cost = np.append(cost, np.full(rows.size, cost.max() * (columns.size + 1)))
    ends = (np.append(row, alone), np.append(column, columns.size + alone))
    table = csr_array((cost, ends), shape=(rows.size, columns.size + rows.size))
    row_found, column_found = min_weight_full_bipartite_matching(table)
    return np.asarray(rows[row_found[column_found < columns.size]])
