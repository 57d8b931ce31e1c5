"""What moves otherwise than the whole: affine flow taken off, and priority's winner."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.dorsal.motion import ResidualSettings, residual_motion, whole_field_flow
from ciliary.cortex.dorsal.priority import Dorsal
from ciliary.cortex.motion.flow import FlowOut
from ciliary.cortex.motion.perceive import see_motion
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.active.drifting import patch_frames


def affine(h: int = 30, w: int = 40) -> torch.Tensor:
    """(1, 2, h, w): a turn and an approach about the middle, and a pan."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    return torch.stack([0.5 + 0.8 * y - 0.6 * x, -1.0 + 0.6 * y + 0.8 * x])[None]


def test_an_affine_flow_is_taken_off_whatever_a_fifth_of_the_field_does():
    truth = affine()
    moved = truth.clone()
    moved[..., 5:17, 8:28] += torch.tensor([3.0, -2.0]).view(1, 2, 1, 1)
    flow = FlowOut(moved, torch.ones(1, 1, 30, 40))
    whole, spread = whole_field_flow(flow)
    torch.testing.assert_close(whole, truth, atol=0.05, rtol=0)
    assert float(spread) < 0.1
    left = residual_motion(flow)
    assert left.shape == (1, 1, 30, 40)
    is_patch = torch.zeros(30, 40, dtype=torch.bool)
    is_patch[5:17, 8:28] = True
    assert float(left[0, 0][is_patch].min()) > 3
    assert not bool(left[0, 0][~is_patch].any())


def test_what_is_not_known_neither_says_nor_draws():
    field, trust = affine(), torch.ones(1, 1, 30, 40)
    field[..., :18, :] = 9.0  # more than half of it, but nobody knows
    trust[..., :18, :] = 0.0
    whole, _ = whole_field_flow(FlowOut(field, trust))
    torch.testing.assert_close(whole, affine(), atol=0.05, rtol=0)
    assert not bool(residual_motion(FlowOut(field, trust)).any())


def test_at_rest_nothing_draws_and_rows_do_not_mix():
    still = FlowOut(torch.zeros(2, 2, 12, 16), torch.ones(2, 1, 12, 16))
    assert not bool(residual_motion(still).any())
    field = torch.cat([affine(12, 16), torch.zeros(1, 2, 12, 16)])
    field[0, :, 4:7, 4:7] += 2.0
    both = residual_motion(FlowOut(field, torch.ones(2, 1, 12, 16)))
    assert float(both[0].max()) > 2
    assert not bool(both[1].any())


def test_a_gradient_and_its_finiteness_at_rest():
    for whole in (affine(12, 16), torch.zeros(1, 2, 12, 16)):
        field = whole.clone()
        field[..., 4:6, 4:6] += 2.0
        field.requires_grad_()
        residual_motion(FlowOut(field, torch.ones(1, 1, 12, 16))).sum().backward()
        assert torch.isfinite(field.grad).all()


@pytest.mark.parametrize(
    ("background_px", "patch_px", "centre_px", "seed"),
    [
        ((0.0, 2.0), (0.0, 0.0), (45.0, 60.0), 0),  # it stands still before a background that pans
        ((0.0, 1.5), (1.0, 0.0), (70.0, 100.0), 2),
        ((1.0, 2.0), (-1.0, 1.0), (60.0, 40.0), 4),
        ((0.0, 0.0), (0.0, 1.0), (50.0, 110.0), 6),
    ],
)
def test_priority_s_winner_is_what_moves_otherwise(background_px, patch_px, centre_px, seed):
    frames, square = patch_frames(
        background_px=background_px, patch_px=patch_px, n_frames=7, seed=seed, centre_px=centre_px
    )
    with torch.no_grad():
        moving = see_motion(frames[None], is_last_only=True)[0].flow
        seen = retina(frames[-1:], default_theta(1))
        dorsal = Dorsal(px_per_deg=9.6)
        still, found = dorsal(seen), dorsal(seen, motion=moving)
    cell = frames.shape[-1] // found.shape[-1]

    def is_on_the_patch(field: torch.Tensor) -> bool:
        y, x = divmod(int(field.flatten().argmax()), field.shape[-1])
        return bool(square[-1, y * cell + cell // 2, x * cell + cell // 2])

    assert is_on_the_patch(found)
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert not torch.equal(found, still)


def test_what_is_wrong_is_said():
    for wrong in ({"n_passes": 0}, {"least_px": -1.0}, {"deviations": -0.1}):
        with pytest.raises(ValueError, match="n_passes"):
            ResidualSettings(**wrong)
