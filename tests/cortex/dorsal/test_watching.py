"""Watching a sequence, and its figure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex.dorsal.watching import watch
from ciliary.cortex.plot.motion import draw_motion, flow_picture
from ciliary.envs.data.active.drifting import patch_frames


@pytest.fixture(scope="module")
def look():
    frames, _ = patch_frames(background_px=(0, 1.5), patch_px=(1, 0), n_frames=6, size_px=(120, 160), side_px=32)
    return watch(frames, px_per_deg=9.6)


def test_priority_goes_where_it_moves_otherwise(look):
    y, x = divmod(int(look.priority.flatten().argmax()), look.priority.shape[-1])
    cell = 160 / look.priority.shape[-1]
    assert abs((y + 0.5) * cell - 60) < 16
    assert abs((x + 0.5) * cell - 80) < 16
    assert look.still.shape == look.priority.shape
    assert float(look.residual.max()) > 0.3


@pytest.mark.parametrize("is_still", [False, True])
def test_the_figure(look, is_still):
    if is_still:
        look = watch(look.frame.expand(3, -1, -1, -1), px_per_deg=9.6)
        torch.testing.assert_close(look.still, look.priority)
    figure = draw_motion(look, name="a $b$", note="n")
    figure.canvas.draw()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [
        "Last frame",
        "Magno",
        "MT",
        "Flow",
        "Confidence",
        "Moves otherwise than the whole",
        "Priority, still",
        "Priority, with motion",
    ]


def test_colours_of_a_flow():
    page = flow_picture(torch.tensor([[[0.0, 0.0]], [[0.0, 2.0]]]), 2.0)
    np.testing.assert_allclose(page[0, 0], 1)  # none is white
    assert page[0, 1].argmax() == 0  # right is red
    assert page[0, 1].min() < 0.01


def test_one_frame_is_no_sequence(look):
    with pytest.raises(ValueError, match="T >= 2"):
        watch(look.frame[None], px_per_deg=9.6)
    with pytest.raises(ValueError, match="expected frames"):
        watch(look.frame, px_per_deg=9.6)
