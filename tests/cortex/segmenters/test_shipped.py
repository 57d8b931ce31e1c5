"""The segmentations that come with the project."""

import pytest
import torch
from skimage import data

from ciliary.cortex.segmenters import SEGMENTERS
from ciliary_tests.segmentations import images


@pytest.fixture
def coffee():
    """(1, 3, 96, 144): a photograph."""
    pixels = torch.from_numpy(data.coffee()[::4, ::4][:96, :144].copy())
    return pixels.permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", SEGMENTERS)
def test_shipped_ones_are_described_and_every_parameter_matters(name, coffee):
    perceiver = SEGMENTERS[name]()
    assert perceiver.name == name
    for row in perceiver.table:
        assert row.doc.endswith(".")
        assert row.source
        ends = perceiver(coffee.repeat(2, 1, 1, 1), _ends(perceiver.table, row.name))
        assert not torch.equal(ends.segments[0], ends.segments[1]), row.name


def _ends(table, name):
    theta = table.default_theta(2)
    return {**theta, name: torch.tensor([table[name].low, table[name].high])}


def test_merging_joins_superpixels_of_like_colour():
    image = torch.zeros(1, 3, 32, 64)
    image[:, 0, :, 32:] = 1
    image += 0.01 * images(1, (32, 64))
    percept = SEGMENTERS["slic"]()(image.clamp(0, 1))
    assert percept.segments.max() == 1
    assert percept.segments[0, :, 31].unique().numel() == 1
    whole = SEGMENTERS["slic"]()
    assert whole(torch.full((1, 3, 40, 40), 0.5)).segments.max() == 0
