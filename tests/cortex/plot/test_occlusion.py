"""Where hiding matters: at the only thing there is, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex, default_theta
from ciliary.cortex.plot.occlusion import blocks, occlusion_map
from ciliary.cortex.stages.m5_recognition import image_code


def test_blocks_by_hand():
    hides = blocks((12, 24), n_cells=6, share=0.25)
    assert hides.shape == (36, 1, 12, 24)
    assert hides[7, 0].nonzero().amin(0).tolist() == [1, 3]  # second row and column: around (3, 6), 3 x 6 px
    assert hides[7, 0].nonzero().amax(0).tolist() == [3, 8]
    assert int(hides[7].sum()) == 18
    assert int(hides[0].sum()) == 2 * 5  # cut by the corner
    assert blocks((12, 24), n_cells=6, share=1 / 6).sum(0).unique().tolist() == [1]  # they tile


@pytest.fixture(scope="module")
def cortex():
    # the weights that come along: a network of random ones may see contours where there is nothing
    return {"mathematical": Cortex(recognise=True), "learned": Cortex(learned=True)}


@pytest.mark.parametrize("kind", ["mathematical", "learned"])
def test_the_only_object_is_what_the_code_hangs_on(cortex, kind):
    image = torch.full((3, 60, 60), 0.5)  # the grey of the block
    image[:, 12:18, 42:48] = torch.tensor([0.9, 0.2, 0.1])[:, None, None]  # within cell (1, 4) of 10 px
    heat = occlusion_map(cortex[kind], image, default_theta(1))
    assert heat.shape == (6, 6)
    assert np.unravel_index(heat.argmax(), heat.shape) == (1, 4)
    assert heat[1, 4] > 1e-3
    touched = np.zeros((6, 6), bool)
    touched[0:3, 3:6] = True  # blocks of 15 px that reach the object
    assert heat[~touched].max() < 1e-6  # the same image as before


def test_all_places_are_one_batch(cortex, small_image):
    sizes = []
    handle = cortex["mathematical"].register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    try:
        occlusion_map(cortex["mathematical"], small_image[0], default_theta(1), n_cells=3)
    finally:
        handle.remove()
    assert sizes == [10]


def test_passes_bound_memory_and_change_nothing(cortex, small_image, monkeypatch):
    whole = occlusion_map(cortex["mathematical"], small_image[0], default_theta(1), n_cells=3)
    monkeypatch.setattr("ciliary.cortex.plot.occlusion._MOST_PIXELS", 4 * 48 * 64)
    np.testing.assert_allclose(
        occlusion_map(cortex["mathematical"], small_image[0], default_theta(1), n_cells=3), whole, atol=1e-5
    )
    assert whole.max() > 1e-3


def test_the_same_image_has_the_same_map(cortex, small_image):
    maps = [occlusion_map(cortex["mathematical"], small_image[0], default_theta(1), n_cells=2) for _ in range(2)]
    np.testing.assert_array_equal(*maps)


def test_without_recognition_there_is_no_code(small_image):
    with pytest.raises(ValueError, match="recognise=True"):
        image_code(Cortex()(small_image))
