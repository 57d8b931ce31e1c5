"""What V4 answers, drawn: ends at a stroke's ends, a corner where two meet, nothing on a blank."""

import numpy as np
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.plot import draw_curves, look
from ciliary.cortex.plot.curves import strongest_curves
from ciliary_tests.v4_figures import picture


def corner(y, x):
    """A stroke down and one to the right from the same point."""
    down = torch.hypot(x + 12, (y.abs() - 12).clamp_min(0))
    right = torch.hypot(y + 12, (x.abs() - 12).clamp_min(0))
    return torch.minimum(down, right)


def test_a_corner_and_two_ends():
    seen = look(Cortex(), picture(corner, 64))
    found = strongest_curves(seen)

    def near(x, y):
        return np.hypot(*(found.place - (x, y)).T) < 4

    apex, foot, tip = near(20, 20), near(20, 44), near(44, 20)
    assert "corner" in found.kind[apex]
    best = np.flatnonzero(apex & (found.kind == "corner"))
    best = best[found.strength[best].argmax()]
    assert np.cos(found.direction[best] - np.deg2rad(225)) > 0.9  # up and to the left
    for at, angle in ((foot, 90), (tip, 0)):
        ends = np.flatnonzero(at & (found.kind == "end"))
        assert len(ends)
        assert np.cos(found.direction[ends] - np.deg2rad(angle)).max() > 0.8
    middle = near(20, 32)
    assert (found.kind[middle] == "straight").mean() > 0.8
    figure = draw_curves(seen)
    assert sum(len(c.get_segments()) for c in figure.axes[1].collections) == len(found.kind)


def test_blank_is_drawn_too():
    seen = look(Cortex(), torch.full((3, 32, 48), 0.5))
    assert not len(strongest_curves(seen).kind)
    assert "no contour" in [text.get_text() for text in draw_curves(seen).axes[1].texts]
