"""Likeness of partitions: by hand, and beside the covering that it lies between."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.integration.similarity import likeness
from ciliary.envs.metrics.regions import People, region_scores


def test_a_half_beside_quarters_by_hand():
    halves = (torch.arange(8) >= 4).long().expand(8, 8)
    quarters = 2 * halves + (torch.arange(8) >= 4).long()[:, None]
    assert likeness(halves[None], quarters[None]).item() == pytest.approx(0.5)  # 16 of 32 px, wherever one looks
    whole = torch.zeros_like(halves)
    assert likeness(halves[None], whole[None]).item() == pytest.approx(0.5)
    assert likeness(quarters[None], whole[None]).item() == pytest.approx(0.25)
    assert likeness(quarters[None], 7 - quarters[None]).item() == pytest.approx(1)


def test_it_is_symmetric_and_no_more_than_either_covering():
    maps = torch.randint(0, 4, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    maps = maps.repeat_interleave(4, 1).repeat_interleave(4, 2)
    there, back = likeness(maps[:1], maps[1:]).item(), likeness(maps[1:], maps[:1]).item()
    assert there == pytest.approx(back)
    for one, other in ((0, 1), (1, 0)):
        covering = region_scores(maps[one].numpy(), People.of([maps[other].numpy()]))["covering"]
        assert there <= covering + 1e-6
