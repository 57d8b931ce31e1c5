"""Boundaries."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def label_boundaries(labels: ArrayLike) -> np.ndarray:
    """Boundaries between the regions of a label map (H, W) -> bool (H, W).

    A pixel is on a boundary where it, its right, its lower and its lower right neighbour are not all of one region:
    one pixel wide along straight borders, half a pixel up and left of them (``seg2bdry`` of the BSDS500 evaluator).
    """
    padded = np.pad(np.asarray(labels), ((0, 1), (0, 1)), mode="edge")
    corner = padded[:-1, :-1]
    return (corner != padded[:-1, 1:]) | (corner != padded[1:, :-1]) | (corner != padded[1:, 1:])
