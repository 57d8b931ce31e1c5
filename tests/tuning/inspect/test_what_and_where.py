"""Things in a picture that is moved: a scene of two discs, whose places are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.tuning.inspect.what_and_where import CHANGES, Change, Seen, _window, summary, watch_things


@pytest.fixture(scope="module")
def scene():
    """A red and a green disc on grey, near the middle."""
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing="ij")
    image = torch.full((3, 120, 160), 0.5)
    for (cy, cx), colour in (((54.0, 66.0), (0.8, 0.2, 0.2)), ((66.0, 96.0), (0.2, 0.7, 0.3))):
        inside = ((y - cy) ** 2 + (x - cx) ** 2).sqrt() < 11
        image = torch.where(inside[None], torch.tensor(colour)[:, None, None], image)
    return image


def test_discs_are_found_by_what_they_are_and_lie_where_they_must(scene):
    found = watch_things(Cortex(recognise=True).eval(), scene)
    assert list(found) == [change.name for change in CHANGES]
    for name, seen in found.items():
        assert seen.n_things >= 1, name
        assert seen.is_found == 1, name
        assert seen.error < 0.02, name
        assert seen.size_error < 0.3, name
    assert found["shifted by a tenth"].error_unmoved == pytest.approx(np.hypot(0.1, 0.1), abs=0.02)


def test_a_window_shows_what_it_says(scene):
    """A disc at the middle of a window that is moved onto it, twice as large in one half as wide."""
    plain = _window(scene, Change(""))
    assert plain.shape == (1, 3, 72, 96)
    assert torch.allclose(plain[0, 0], scene[0, 24:96, 32:128], atol=1e-5)
    onto = Change("", down=-6 / 72, right=-14 / 96, zoom=2.0)  # the red one lies at (54, 66), the middle at (60, 80)
    red = (_window(scene, onto)[0, 0] > 0.7).float()
    y, x = torch.meshgrid(torch.arange(72.0), torch.arange(96.0), indexing="ij")
    assert float((red * y).sum() / red.sum()) == pytest.approx(35.5, abs=1.0)
    assert float((red * x).sum() / red.sum()) == pytest.approx(47.5, abs=1.0)
    assert float(red.sum()) == pytest.approx(4 * np.pi * 11**2, rel=0.05)
    assert onto.moved(torch.tensor([-6 / 72, -14 / 96])).abs().max() < 1e-6


def test_photographs_without_things_are_left_out():
    nothing = {change.name: Seen(0, *5 * (float("nan"),)) for change in CHANGES}
    assert summary([nothing]) == []
    one = nothing | {CHANGES[0].name: Seen(2, 1.0, 0.25, 0.01, 0.14, 0.1)}
    (row,) = summary([nothing, one])
    assert (row.photographs, row.things, row.found_by_what.mean) == (1, 2.0, 1.0)
