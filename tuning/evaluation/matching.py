"""One-to-one assignment of boundary pixels that lie close to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

_UNMATCHED_COST = 100.0  # in radii: what the BSDS500 evaluator charges for a pixel left alone, so hardly any is


def match_pixels(predicted: ArrayLike, drawn: ArrayLike, *, radius_px: float) -> np.ndarray:
    """Match pixels of two boundary maps (H, W) one to one within a radius: as many as can be, as close as can be.

    The assignment of ``correspondPixels`` in the BSDS500 evaluator (Martin, Fowlkes and Malik 2004, "Learning to
    detect natural image boundaries using local brightness, color, and texture cues", appendix B), but over all pairs
    within the radius where that one draws six neighbours at random. Distances are rounded to whole pixels: ties make
    the assignment four times faster and cost no match.

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
    is_matched = np.zeros_like(ours)
    pixel, partner, distance_px = _pairs_within(ours, theirs, radius_px)
    if pixel.size == 0:
        return is_matched
    # Pixels without any candidate stay out: the solver's time grows with all rows and columns it is given.
    alive, row = np.unique(pixel, return_inverse=True)
    candidates, column = np.unique(partner, return_inverse=True)
    # Besides its candidates each pixel may take a place of its own, which means to stay unmatched.
    own = np.arange(alive.size)
    cost = np.concatenate([1 + np.rint(distance_px), np.full(alive.size, 2 + np.rint(_UNMATCHED_COST * radius_px))])
    graph = csr_array(
        (cost, (np.concatenate([row, own]), np.concatenate([column, candidates.size + own]))),
        shape=(alive.size, candidates.size + alive.size),
    )
    chosen_row, chosen_column = min_weight_full_bipartite_matching(graph)
    is_matched.ravel()[alive[chosen_row[chosen_column < candidates.size]]] = True
    return is_matched


def _pairs_within(ours: np.ndarray, theirs: np.ndarray, radius_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs within the radius: flat index of our pixel, of theirs, and their distance in pixels."""
    width = ours.shape[1]
    reach = int(radius_px)
    # On a grid, looking at every offset in the disc beats a search tree.
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    distance_px = np.hypot(dy, dx)
    dy, dx, distance_px = (values[distance_px <= radius_px] for values in (dy, dx, distance_px))
    padded = np.pad(theirs, reach)
    stride = width + 2 * reach
    y, x = np.nonzero(ours)
    is_pair = padded.ravel()[((y + reach) * stride + x + reach)[:, None] + (dy * stride + dx)]
    which, offset = np.nonzero(is_pair)
    pixel = y[which] * width + x[which]
    return pixel, pixel + dy[offset] * width + dx[offset], distance_px[offset]
