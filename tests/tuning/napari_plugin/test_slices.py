"""Which pixels of a layer are looked at, where maps of them lie, and how they are read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ciliary.envs.data.reading import UnreadableImage, read_image
from ciliary.tuning.napari_plugin.pixels import photograph_of
from ciliary.tuning.napari_plugin.slices import MOST_PX, Cut, cut, level_of, taken


def test_a_flat_image_is_seen_whole():
    place = cut((20, 30), (0, 1), (3.0, 4.0))
    assert place == Cut((None, None), (20, 30))
    data = np.arange(600).reshape(20, 30)
    assert np.array_equal(taken(data, place), data)
    assert place.whole(data).shape == (20, 30)
    assert (place.steps((20, 30)), place.corner((20, 30))) == ((1, 1), (0, 0))


@pytest.mark.parametrize(
    ("order", "index", "size"),
    [((0, 1, 2), (4, None, None), (6, 7)), ((1, 0, 2), (None, 2, None), (5, 7)), ((2, 1, 0), (None, None, 6), (5, 6))],
)
def test_of_a_stack_the_slice_in_front(order, index, size):
    data = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    place = cut(data.shape, order, (99.0, 1.6, 6.0))  # beyond the last; between two; at one
    assert place == Cut(index, size)
    seen = taken(data, place)
    where = tuple(slice(None) if at is None else at for at in index)
    assert np.array_equal(seen, data[where])
    assert place.whole(seen).shape == tuple(n if at is None else 1 for n, at in zip(data.shape, index, strict=True))
    assert place.corner(size) == tuple(0 if at is None else at for at in index)


def test_a_layer_has_the_last_axes_of_its_viewer():
    assert cut((6, 7), (0, 1, 2), (1.0, 1.0)).index == (None, None)
    assert cut((5, 6, 7), (3, 0, 1, 2), (1.0, 2.0, 3.0)).index == (None, None, 3)  # the viewer's axes 1, 2, 3
    with pytest.raises(ValueError, match="two axes or more, got 1"):
        cut((6,), (0, 1), (1.0,))


def test_of_a_pyramid_the_coarsest_level_that_is_enough():
    shapes = [(3, 400, 300), (3, 200, 150), (3, 100, 75)]
    place = cut(shapes[0], (0, 1, 2), (2.0, 0.0, 0.0))
    assert [level_of(shapes, place, px) for px in (100, 101, 200, 400, 900)] == [2, 1, 1, 0, 0]
    coarse = np.arange(3 * 100 * 75).reshape(shapes[2])
    assert np.array_equal(taken(coarse, place, full=shapes[0]), coarse[2])
    # four pixels of the finest are one of the coarsest, whose middle lies between the second and the third
    assert place.steps((100, 75)) == (1, 4, 4)
    assert place.corner((100, 75)) == (2, 1.5, 1.5)


def test_maps_of_large_images_are_coarser():
    place = Cut((None, None), (4 * MOST_PX, 1000))
    assert place.map_size == (MOST_PX, 250)
    assert place.steps(place.map_size) == (4, 4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_grey_values_are_read_as_the_commands_read_them_from_a_file(dtype, tmp_path):
    rng = np.random.default_rng(0)
    pixels = (rng.random((40, 50)) * {"uint8": 255, "uint16": 4000, "float32": 7}[dtype]).astype(dtype)
    path = tmp_path / "cells.tif"
    Image.fromarray(pixels).save(path)
    ours, theirs = photograph_of(pixels, "cells", 32), read_image(path, 32)
    np.testing.assert_array_equal(ours.image.numpy(), theirs.image.numpy())
    assert ours.notes == theirs.notes
    assert ours.original_size == (40, 50)


def test_colours_of_a_byte_are_read_as_from_a_file_and_of_two_by_their_upper_byte(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cells.png")
    theirs = read_image(tmp_path / "cells.png", 32).image
    for same in (pixels, pixels.astype(np.uint16) * 257, pixels.astype(np.int64)):
        assert np.array_equal(photograph_of(same, "cells", 32).image, theirs)


def test_between_contrast_limits_what_is_shown_is_seen():
    pixels = np.full((40, 40), 300, dtype=np.uint16)
    pixels[:20], pixels[:, :20] = 100, 900
    seen = photograph_of(pixels, "cells", 64, limits=(100, 500)).image
    assert seen[:, 5, 35].tolist() == [0, 0, 0]
    assert seen[:, 35, 35].tolist() == [0.5, 0.5, 0.5]
    assert seen[:, 35, 5].tolist() == [1, 1, 1]
    assert photograph_of(np.zeros((40, 40)), "flat", 64, limits=(0, 0)).image.max() == 0


@pytest.mark.parametrize(
    ("pixels", "what"),
    [
        (np.full((40, 40, 3), 1.5, np.float32), r"expected values in \[0, 1\], uint8 or uint16, got 1.5 to 1.5"),
        (np.full((40, 40, 3), -4, np.int32), r"expected values in \[0, 1\], uint8 or uint16, got -4 to -4"),
        (np.zeros((2, 2), np.uint8), "too small"),
        (np.zeros((40, 40), np.complex64), "expected real values, got complex64"),
    ],
)
def test_what_cannot_be_read_is_named(pixels, what):
    with pytest.raises(UnreadableImage, match=f"cells: .*{what}"):
        photograph_of(pixels, "cells", 64)


def test_what_was_done_is_noted():
    assert "enlarged from 8x8" in photograph_of(np.zeros((8, 8), np.uint8), "tiny", 64).notes[0]
    stretched = photograph_of(np.linspace(-1, 3, 1600).reshape(40, 40), "float", 64)
    assert stretched.notes == ("values from -1 to 3 were stretched to 0..1",)
    assert (stretched.image.min(), stretched.image.max()) == (0, 1)
    assert photograph_of(np.eye(40) > 0, "mask", 64).image.max() == 1
