"""A memory carried along: moved by whole pixels it is the same picture, elsewhere; in doubt it is less sharp."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.eye.carrying import carried
from ciliary.cortex.eye.mosaic import Mosaic

SIZE, SCALE = (12, 16), 4.0


def mosaic(batch=1):
    rng = torch.Generator().manual_seed(0)
    spacing = 0.1 + torch.rand(batch, 1, *SIZE, generator=rng)
    spacing[..., :3] = math.inf
    image = torch.rand(batch, 3, *SIZE, generator=rng) * torch.isfinite(spacing)
    count = torch.ones(batch, dtype=torch.int64)
    return Mosaic(image, spacing, count * 2592, count, SCALE)


def drift(y_px, x_px, batch=1):
    return torch.tensor([y_px, x_px], dtype=torch.float32).view(1, 2, 1, 1).expand(batch, 2, 3, 4) / SCALE


def test_what_neither_moves_nor_is_in_doubt_is_what_it_was():
    before = mosaic()
    after = carried(before, drift(0, 0), torch.zeros(1, 1, 3, 4))
    assert torch.equal(after.image, before.image)
    assert torch.equal(after.spacing_deg, before.spacing_deg)
    assert (after.n_samples, after.n_glances) == (before.n_samples, before.n_glances)


def test_whole_pixels_are_moved_as_they_are_and_what_comes_in_was_not_seen():
    before = mosaic()
    after = carried(before, drift(2, -3), torch.zeros(1, 1, 3, 4))
    torch.testing.assert_close(after.spacing_deg[..., 2:, :13], before.spacing_deg[..., :10, 3:])
    torch.testing.assert_close(after.image[..., 2:, :13], before.image[..., :10, 3:], atol=1e-5, rtol=0)
    assert not bool(after.is_seen[..., :2, :].any())
    assert not bool(after.is_seen[..., 13:].any())
    assert not bool(after.image[..., :2, :].any())


def test_doubt_adds_to_the_spacing_as_the_root_of_squares():
    before = mosaic()
    after = carried(before, drift(0, 0), torch.full((1, 1, 3, 4), 0.3))
    seen = before.is_seen
    torch.testing.assert_close(after.spacing_deg[seen], (before.spacing_deg[seen] ** 2 + 0.09).sqrt())
    assert torch.equal(after.is_seen, seen)
    assert torch.equal(after.image, before.image)


def test_rows_do_not_mix():
    before = mosaic(2)
    moves = torch.cat([drift(1, 1), drift(0, 0)])
    after = carried(before, moves, torch.zeros(2, 1, 3, 4))
    assert torch.equal(after.image[1], before.image[1])
    assert not torch.equal(after.image[0], before.image[0])


@pytest.mark.parametrize("doubt", [0.0, 0.2])
def test_gradients_are_finite(doubt):
    before = mosaic()
    moves = drift(0.4, 0.3).clone().requires_grad_()
    after = carried(before, moves, torch.full((1, 1, 3, 4), doubt))
    after.image.sum().backward()
    assert torch.isfinite(moves.grad).all()
    assert bool((moves.grad != 0).any())
