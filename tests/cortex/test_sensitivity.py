"""Which parameter moves which stage."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.plot.look import look
from ciliary.cortex.plot.sensitivity import draw_sensitivity
from ciliary.cortex.sensitivity import _changes, sensitivity, together

ORDER = ("retina", "M1", "M2", "M3", "M4", "M5")


@pytest.fixture(scope="module")
def cortex():
    return Cortex(recognise=True).eval()


@pytest.fixture(scope="module")
def image():
    drawn = torch.Generator().manual_seed(0)
    image = 0.3 + 0.05 * torch.rand(3, 40, 48, generator=drawn)
    image[:, 10:30, 12:30] += 0.4
    return image.clamp(0, 1)


@pytest.fixture(scope="module")
def found(cortex, image):
    return sensitivity(cortex, image)


def test_a_later_parameter_leaves_earlier_stages_exactly(found):
    for stage, row in zip(found.acts_in, found.change, strict=True):
        assert (row[: ORDER.index(stage)] == 0).all()


def test_a_parameter_moves_its_own_stage(found):
    moved = found.change.max(1).values > 0
    assert moved.float().mean() > 0.9
    i = found.parameters.index("blur_sigma_px")
    assert found.change[i, 0] > 0.001


def test_inert_parameters_are_no_rows(found, cortex):
    assert not set(found.parameters) & cortex.inert


def test_at_the_wall_only_one_side_is_looked_at(cortex, image):
    theta = cortex.table.default_theta(1, blur_sigma_px=cortex.table["blur_sigma_px"].high)
    assert torch.isfinite(sensitivity(cortex, image, theta).change).all()


def test_relative_change_by_hand():
    """A field of length 5 moved by 1 in one unit: 1/5; a silent field changes by nothing."""
    field = torch.tensor([[3.0, 4.0], [3.0, 5.0], [3.0, 4.0]])
    silent = torch.zeros(3, 2)
    torch.testing.assert_close(_changes([field]), torch.tensor([0.2, 0.0]))
    torch.testing.assert_close(_changes([field, silent]), torch.tensor([0.2, 0.0]) / 2**0.5)


def test_numbers_of_parts_mean_nothing():
    shares = torch.rand(1, 5, 6, 7).softmax(1)
    torch.testing.assert_close(together(shares), together(shares[:, [3, 1, 0, 4, 2]]))


@pytest.mark.parametrize("step", [0.0, -0.1, 1.5])
def test_no_such_step(cortex, image, step):
    with pytest.raises(ValueError, match="step"):
        sensitivity(cortex, image, step=step)


def test_drawn(cortex, image, found):
    figure = draw_sensitivity(look(cortex, image, name="a $ name"), found)
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == list(ORDER)
    assert len(ax.get_yticklabels()) == len(found.parameters)
    assert ax.texts[0].get_text() != "0"
