"""What the page shows of a percept."""

from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from ciliary.cortex.plot.paint import own_colours
from ciliary.tuning.app import pictures, state


def test_borders_lie_on_both_sides_of_a_step_and_nowhere_else():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]])
    lines = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert np.array_equal(pictures.borders(labels), np.array(lines, bool))


def test_regions_are_painted_as_figures_paint_them():
    rng = np.random.default_rng(1)
    labels = np.kron(rng.permutation(12).reshape(3, 4), np.ones((8, 8), int))
    picture = np.kron(rng.random((3, 4, 3)), np.ones((8, 8, 1)))
    painted = pictures.region_colours(picture, labels)[labels]
    np.testing.assert_allclose(painted, own_colours(picture, labels), atol=1e-12)
    labels[3, 3] = 12  # between the pixels that are looked at: some colour, no error
    assert np.isfinite(pictures.region_colours(picture, labels)[labels]).all()


@pytest.mark.parametrize("n", [12, 300])  # with a palette of bytes, and without
def test_a_picture_of_regions_has_their_colours_and_white_borders(tab, n):
    labels = (np.arange(tab.scene.size[0] * tab.scene.size[1]).reshape(tab.scene.size) // 500) % n
    lines = pictures.borders(labels)
    page = _opened(pictures.regions(tab.scene, labels, lines))
    np.testing.assert_allclose(page[~lines] / 255, pictures.region_colours(tab.scene.picture, labels)[labels][~lines],
                               atol=0.5 / 255)  # fmt: skip
    assert (page[lines] == 255).all()


def test_borders_are_seen_through(tab, eye):
    drawn = pictures.sheet(tab, eye, "regions")
    layer = np.array(Image.open(io.BytesIO(b64decode(drawn.lines.partition(",")[2]))).convert("RGBA"))
    lines = pictures.borders(pictures.labels_of(tab.scene, state.seen(tab, eye)))
    np.testing.assert_array_equal(layer[..., 3], np.where(lines, 255, 0))


def _opened(address):
    return np.array(Image.open(io.BytesIO(b64decode(address.partition(",")[2]))).convert("RGB"))
