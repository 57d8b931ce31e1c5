"""What early units prefer: of stripes, the orientation that they have."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.plot.answers import draw_answers, with_patches
from ciliary.cortex.plot.look import look


@pytest.fixture(scope="module")
def cortex():
    return Cortex(recognise=True).eval()


def stripes(degrees):
    """Bands along a direction, clockwise from the horizontal; a wave of 8 px."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    angle = math.radians(degrees)
    wave = torch.sin((x * -math.sin(angle) + y * math.cos(angle)) * (2 * math.pi / 8))
    return (0.5 + 0.3 * wave).expand(3, -1, -1).contiguous()


def test_stripes_are_preferred_by_their_orientation(cortex):
    kept = []
    for degrees in (30, 120):
        kept = with_patches(kept, look(cortex, stripes(degrees), name=str(degrees)))
    assert len(kept) == N_ORIENTATIONS + 1
    for i in range(N_ORIENTATIONS):
        assert [c.gate for c in kept[i]] == sorted((c.gate for c in kept[i]), reverse=True)
    strongest = {i: kept[i][0] for i in range(N_ORIENTATIONS)}
    assert strongest[1].photograph == "30"  # 30 degrees is the second orientation
    assert strongest[4].photograph == "120"
    assert strongest[1].gate > 1.5 * strongest[3].gate
    patch = strongest[1].picture
    assert patch.shape[0] == patch.shape[1]
    assert patch.shape[0] % 2 == 1  # its middle is the peak


def test_few_of_one_image_and_the_surest_objects(mathematical):
    kept = with_patches([], mathematical)
    assert all(len(row) <= 3 for row in kept[:N_ORIENTATIONS])
    sure = [c.gate for c in kept[-1]]
    assert sure == sorted(sure, reverse=True)
    assert len(with_patches(kept, mathematical)[-1]) <= 10
    figure = draw_answers(kept, n_images=1)
    assert len(figure.axes) == sum(len(row) for row in kept)
