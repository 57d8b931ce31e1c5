"""Deletion and insertion: closed forms of a linear number and maps made by hand."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.explain.faithfulness import deletion_insertion, rank_pixels


def test_ranks_by_hand_and_equals_by_lot():
    rank = rank_pixels(torch.tensor([[[0.1, 0.9], [0.5, 0.2]], [[4.0, 3.0], [2.0, 1.0]]]))
    assert rank.tolist() == [[[3, 0], [1, 2]], [[0, 1], [2, 3]]]
    lots = [rank_pixels(torch.zeros(1, 4, 4), seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(lots[0], lots[1])
    assert not torch.equal(lots[0], lots[2])
    assert sorted(lots[0].flatten().tolist()) == list(range(16))


@pytest.fixture
def linear():
    """The sum of weights 4, 3, 2, 1 of what is lit: an image of ones, a fill of zeros."""
    weight = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    image, fill = torch.ones(3, 2, 2), torch.zeros(3, 2, 2)
    return lambda x: (x[:, 0] * weight).sum((1, 2))[:, None], image, fill, weight


def test_the_areas_of_a_linear_number(linear):
    of, image, fill, weight = linear
    maps = torch.stack([weight, -weight])  # the best map there is, and the worst
    curves = deletion_insertion(of, image, fill, maps, torch.tensor([0, 0]), n_steps=4)
    best = torch.tensor([10.0, 6.0, 3.0, 1.0, 0.0])
    torch.testing.assert_close(curves.deletion[0], best)
    torch.testing.assert_close(curves.insertion[0], 10 - best)
    torch.testing.assert_close(curves.deletion[1], torch.tensor([10.0, 9.0, 7.0, 4.0, 0.0]))
    area = 0.25 * (10 / 2 + 6 + 3 + 1)
    assert curves.deletion_area.tolist() == pytest.approx([area, 10 - area])
    assert curves.insertion_area.tolist() == pytest.approx([10 - area, area])


def test_each_map_is_about_its_own_number(linear):
    of, image, fill, weight = linear

    def both(x):
        return torch.cat([of(x), 7 - 2 * (x[:, 1] * weight.flip(0, 1)).sum((1, 2))[:, None]], 1)

    maps = torch.stack([weight, weight.flip(0, 1)])
    ticks = []
    curves = deletion_insertion(
        both, image, fill, maps, torch.tensor([0, 1]), n_steps=4, n_at_once=2, tick=lambda *n: ticks.append(n)
    )
    torch.testing.assert_close(curves.deletion[1], 7 - 2 * curves.deletion[0])
    assert ticks[-1] == (12, 12)
