"""The figure of things: one colour a thing, and when each was seen."""

from __future__ import annotations

import numpy as np
import torch

from ciliary.cortex.plot.things import draw_things, middles, paint_things, seen_table, thing_colour


def pages():
    identity = np.full((3, 20, 30), -1)
    identity[:, 2:12, 2:12] = 0
    identity[1:, 5:19, 15:29] = 3
    return torch.full((3, 3, 20, 30), 0.5), identity


def test_a_thing_has_one_colour_and_nobody_is_grey():
    images, identity = pages()
    first, last = (paint_things(images[i], identity[i]) for i in (0, 2))
    np.testing.assert_allclose(first[6, 6], last[6, 6])
    np.testing.assert_allclose(first[18, 1], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(last[12, 20], 0.6 * np.array(thing_colour(3)) + 0.2)
    assert len({thing_colour(i) for i in range(60)}) == 60
    nobody = paint_things(images[0], np.full((20, 30), -1))
    np.testing.assert_allclose(nobody, np.full((20, 30, 3), 0.5))


def test_when_each_was_seen_and_where_its_number_goes():
    _, identity = pages()
    assert seen_table(identity).tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert set(middles(identity[2])) == {0, 3}
    y, x = middles(identity[0])[0]
    assert 2 < y < 12
    assert 2 < x < 12


def test_the_figure_has_each_frame_and_the_lines():
    images, identity = pages()
    figure = draw_things(images, identity, frames=["a", "b", "c"], name="film $x$", note="n")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["a", "b", "c", "When each thing was seen"]
    assert len(figure.axes[-1].patches) == 5
    blank = draw_things(images[:1], np.full((1, 20, 30), -1), frames=["a"])
    assert len(blank.axes[-1].patches) == 0
