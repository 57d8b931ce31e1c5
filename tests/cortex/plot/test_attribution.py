"""Figures of attributions: every map beside its control, and curves with their areas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex.explain.faithfulness import Curves
from ciliary.cortex.plot.attribution import Explained, draw_faithfulness, draw_occlusion, draw_saliency

IMAGE = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(0))


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


@pytest.fixture
def row():
    heat = torch.rand(12, 16, generator=torch.Generator().manual_seed(1))
    region = np.zeros((12, 16), bool)
    region[3:8, 4:9] = True
    return Explained(
        "slot:1",
        "how much stays",
        {"gradient": heat, "signed": heat - 0.5},
        {"gradient": heat, "signed": torch.zeros(12, 16)},
        {"signed": "sum 1, change 1"},
        region,
    )


def test_maps_stand_above_their_control(row):
    figure = draw_saliency(IMAGE, [row], lot="weights shuffled")
    assert titles(figure) == ["slot:1", "gradient", "", "signed", ""]
    notes = [ax.get_xlabel() for ax in figure.axes]
    assert notes[2] == "alike: rank 1.00, SSIM 1.00"  # the control is the map itself
    assert "nan" in notes[4]
    assert [text.get_text() for text in figure.axes[4].texts] == ["nothing goes back"]
    assert "the control:\nweights shuffled" in [text.get_text() for text in figure.texts]
    assert figure.axes[0].collections  # what it is about is outlined


def test_the_cross_is_where_it_falls_most(row):
    one = Explained(row.name, row.words, {"occlusion": row.maps["gradient"]}, {}, {})
    figure = draw_occlusion(IMAGE, [one], share=0.25)
    (cross,) = figure.axes[2].lines
    y, x = divmod(int(row.maps["gradient"].argmax()), 16)
    assert (float(cross.get_xdata()[0]), float(cross.get_ydata()[0])) == (x, y)
    assert not figure.axes[0].collections


def test_areas_stand_in_the_legend_and_chance_is_grey():
    share = torch.tensor([0.0, 0.5, 1.0])
    curves = Curves(share, torch.tensor([[1.0, 0.5, 0.0], [1, 1, 0]]), torch.tensor([[0, 1.0, 1], [0, 0, 1]]))
    figure = draw_faithfulness(curves, ["occlusion", "random pixels"], target="code", note="")
    deletion, insertion = ([t.get_text() for t in ax.get_legend().get_texts()] for ax in figure.axes)
    assert deletion == ["0.50  occlusion", "0.75  random pixels"]
    assert insertion == ["0.75  occlusion", "0.25  random pixels"]
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert colours[0] != colours[1]
