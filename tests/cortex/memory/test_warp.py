"""Masks carried along: whole cells exactly, by a movement and by a flow."""

from __future__ import annotations

import torch

from ciliary.cortex.memory.warp import flow_at, mean_flow, shifted, splatted


def some_masks():
    return torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def moved_by_hand(mask, down, right):
    """Whole cells, 0 from outside; down and right >= 0."""
    out = torch.zeros_like(mask)
    out[..., down:, right:] = mask[..., : mask.shape[-2] - down, : mask.shape[-1] - right]
    return out


def test_whole_cells_are_moved_exactly():
    mask = some_masks()
    by = torch.tensor([2.0, 1.0]).expand(2, 3, 2)
    torch.testing.assert_close(shifted(mask, by), moved_by_hand(mask, 2, 1), atol=1e-5, rtol=0)
    flow = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(2, 2, 6, 8)
    torch.testing.assert_close(splatted(mask, flow), moved_by_hand(mask, 2, 1), atol=1e-5, rtol=0)


def test_each_mask_has_its_own_movement():
    mask = some_masks()
    by = torch.zeros(2, 3, 2)
    by[0, 1] = torch.tensor([0.0, 3.0])
    found = shifted(mask, by)
    torch.testing.assert_close(found[1], mask[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[0, 1], moved_by_hand(mask[0, 1], 0, 3), atol=1e-5, rtol=0)


def test_what_falls_on_one_cell_has_its_mean_and_a_simplex_stays_one():
    mask = torch.softmax(some_masks(), 1)
    flow = torch.zeros(2, 2, 6, 8)
    flow[:, 1, :, 0] = 1.0  # the first column falls on the second
    found = splatted(mask, flow)
    torch.testing.assert_close(found[..., 1], (mask[..., 0] + mask[..., 1]) / 2)
    torch.testing.assert_close(found[..., 0], torch.zeros_like(found[..., 0]))
    torch.testing.assert_close(found.sum(1)[..., 1:], torch.ones(2, 6, 7))


def test_flow_in_cells_and_its_mean_over_a_mask():
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0, :, :4], flow[:, 1, :, 4:] = 6.0, -2.0
    cells = flow_at(flow, (4, 4), 2.0)
    mask = torch.zeros(1, 3, 4, 4)
    mask[0, 0, :, 0], mask[0, 1, :, 3] = 1.0, 1.0
    torch.testing.assert_close(mean_flow(mask, cells)[0], torch.tensor([[3.0, 0.0], [0.0, -1.0], [0.0, 0.0]]))
