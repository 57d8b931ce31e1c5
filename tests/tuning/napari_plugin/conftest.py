"""A stack of tiles to be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from ciliary.tuning.napari_plugin.slices import Source, cut


@pytest.fixture
def tiles():
    """(3, 40, 60) uint8: steps of brightness from left to right, brighter in later slices."""
    steps = np.kron(np.linspace(20, 200, 6), np.ones(10))
    return np.stack([np.tile(steps + 20 * i, (40, 1)) for i in range(3)]).astype(np.uint8)


@pytest.fixture
def source(tiles):
    place = cut(tiles[0].shape, (0, 1), (0.0, 0.0))
    return Source("my tiles", place, lambda: tiles[0])
