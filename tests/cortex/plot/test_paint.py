"""From fields to pictures: each against an answer known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import rgb_to_hsv, to_rgb
from sklearn.decomposition import PCA

from ciliary.cortex import Cortex
from ciliary.cortex.plot import paint


def grating(tangent_rad, size=64, wavelength_px=8.0):
    """(1, 3, size, size): a grey grating whose stripes run along an orientation (x right, y down)."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    across = tangent_rad + math.pi / 2
    wave = torch.sin(2 * math.pi * (x * math.cos(across) + y * math.sin(across)) / wavelength_px)
    return (0.5 + 0.3 * wave).expand(1, 3, -1, -1).contiguous()


@pytest.fixture(scope="module")
def cortex():
    return Cortex()


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 150])
def test_a_grating_has_the_hue_of_its_orientation(cortex, degrees):
    with torch.no_grad():
        picture = paint.orientation_picture(cortex(grating(math.radians(degrees))).m1)
    hue, _, value = np.moveaxis(rgb_to_hsv(picture), -1, 0)
    middle = (slice(16, 48), slice(16, 48))
    off = np.abs((hue[middle] - degrees / 180 + 0.5) % 1 - 0.5)  # once around the colours in half a turn
    assert off.max() < 0.02
    assert value[middle].min() > 0.7


def test_a_blank_has_no_orientation(cortex):
    with torch.no_grad():
        picture = paint.orientation_picture(cortex(torch.full((1, 3, 48, 48), 0.4)).m1)
    assert picture.max() < 0.05


def test_signed_fields_are_white_at_zero_and_pure_at_the_bound():
    picture = paint.signed(torch.tensor([[-9.0, -2.0, 0.0, 2.0]]), ("#2c8a57", "white", "#c0392f"), 2.0)
    expected = [to_rgb(c) for c in ("#2c8a57", "#2c8a57", "white", "#c0392f")]
    np.testing.assert_allclose(picture[0], expected, atol=0.01)


def test_strength_and_limit():
    field = torch.linspace(0, 10, 1001)[None]
    assert paint.limit(field) == pytest.approx(9.95, abs=0.01)
    assert paint.limit(torch.zeros(4, 4)) > 0  # nothing is not amplified
    np.testing.assert_allclose(paint.strength(torch.tensor([[0.0, 1.0, 4.0]]), 2.0), [[0, 0.5, 1]])
    np.testing.assert_allclose(paint.grey(torch.tensor([[0.0, 1.0, 4.0]]), 0.0, 2.0)[0, :, 1], [0, 0.5, 1])


def test_principal_colours_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    field = np.einsum("dk,khw->dhw", rng.normal(size=(6, 6)) * [5, 3, 2, 0.5, 0.3, 0.1], rng.normal(size=(6, 20, 30)))
    picture, share = paint.principal_colours(torch.from_numpy(field))
    oracle = PCA(3).fit(field.reshape(6, -1).T)
    assert share == pytest.approx(oracle.explained_variance_ratio_.sum())
    score = oracle.transform(field.reshape(6, -1).T)
    for k in range(3):
        inside = (picture[..., k].ravel() > 0) & (picture[..., k].ravel() < 1)
        correlation = np.corrcoef(picture[..., k].ravel()[inside], score[inside, k])[0, 1]
        assert abs(correlation) > 1 - 1e-9
        loading = oracle.components_[k]
        assert correlation * loading[np.abs(loading).argmax()] > 0  # the largest loading is positive
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_principal_colours_of_nothing():
    picture, share = paint.principal_colours(torch.ones(4, 5, 6))
    assert np.isfinite(picture).all()
    assert share == 0


def test_each_pixel_is_in_its_strongest_region():
    soft = torch.full((12, 2, 2), 0.01)
    soft[3, 0], soft[7, 1], soft[5, :, 1] = 0.5, 0.6, 0.55
    np.testing.assert_array_equal(paint.region_labels(soft), [[0, 1], [2, 2]])


def test_outlines_are_where_labels_change():
    image = np.full((4, 6, 3), 0.5)
    labels = np.zeros((4, 6), int)
    labels[:, 3:] = 1
    page = paint.outlined(image, labels)
    factor = len(page) // 4
    is_line = (page == 1).all(-1)
    np.testing.assert_array_equal(np.flatnonzero(is_line.any(0)), [3 * factor - 1, 3 * factor])
    assert (page[~is_line] == 0.5).all()


@pytest.mark.parametrize(
    ("box", "side"),
    [
        ((slice(2, 6), slice(2, 6)), 5),  # 4 px and the margin
        ((slice(0, 4), slice(16, 20)), 5),  # in a corner: moved into the image, not beyond it
        ((slice(0, 10), slice(0, 20)), 23),  # larger than the image
    ],
)
def test_a_cut_out_is_square_and_keeps_the_object(box, side):
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 0.6, (10, 20, 3))
    mask = np.zeros((10, 20), bool)
    mask[box] = True
    cut = paint.cut_out(image, mask)
    assert cut.shape == (side, side, 3)
    pixels = {tuple(p) for p in cut.reshape(-1, 3)}
    assert {tuple(p) for p in image[mask]} <= pixels
    assert not ({tuple(p) for p in image[~mask]} & pixels)  # what is around has faded
    n_white = int((cut == 1).all(-1).sum())
    assert n_white == (side * side - 200 if side > 20 else 0)


def test_the_innermost_pixel_lies_in_the_thick_part():
    mask = np.zeros((20, 20), bool)
    mask[2, :] = True  # a thin arm
    mask[8:17, 5:14] = True  # and a block of 9 x 9, whose middle it is
    assert paint.innermost(mask) == (12.0, 9.0)
    assert paint.innermost(np.ones((5, 5), bool)) == (2.0, 2.0)


def test_neighbours_of_one_colour_are_told_apart():
    """Sixteen squares of nearly one grey: no two that touch look alike, and the largest keeps its own colour."""
    labels = np.kron(np.arange(16).reshape(4, 4), np.ones((5, 5), int))
    labels[labels == 1] = 0
    rng = np.random.default_rng(0)
    page = paint.own_colours(np.full((20, 20, 3), 0.5) + rng.uniform(0, 0.01, (20, 20, 1)), labels)
    for one, other in ((page[:, 1:], page[:, :-1]), (page[1:], page[:-1])):
        change = np.linalg.norm(one - other, axis=2)
        assert ((change == 0) | (change > 0.15)).all()
    np.testing.assert_allclose(page[0, 0], 0.505, atol=0.01)


def test_neighbours_that_differ_keep_their_mean():
    rng = np.random.default_rng(0)
    labels = np.kron([[4, 9], [9, 4]], np.ones((6, 6), int))  # numbers may be left out
    image = np.where(labels[..., None] == 4, [0.9, 0.2, 0.1], [0.1, 0.2, 0.9]) + rng.uniform(0, 0.05, (12, 12, 3))
    page = paint.own_colours(image, labels)
    for label in (4, 9):
        np.testing.assert_allclose(page[labels == label], np.tile(image[labels == label].mean(0), (72, 1)))


def test_regions_that_lie_apart_are_said_to():
    assert paint.count_regions(np.array([[0, 1, 0]])) == "2 regions in 3 parts"
    assert paint.count_regions(np.array([[0, 0, 1]])) == "2 regions"
    assert paint.count_regions(np.zeros((2, 2), int)) == "1 region"


def test_two_regions_that_lie_apart_are_no_islands_of_one():
    """Alike in the image, on two sides of a third: told apart all the same; islands of one region are of one colour."""
    image = np.full((12, 30, 3), 0.5)
    image[:, 10:20] = [0.9, 0.1, 0.1]
    labels = np.repeat([[0] * 10 + [1] * 10 + [2] * 10], 12, 0)
    colours = paint.own_colours(image, labels)
    assert np.linalg.norm(colours[0, 0] - colours[0, 29]) > 0.2
    islands = paint.own_colours(image, np.where(labels == 2, 0, labels))
    np.testing.assert_array_equal(islands[0, 0], islands[0, 29])
