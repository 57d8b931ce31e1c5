"""Motion by what a glance catches: none at rest, a field's velocity, and what moves otherwise."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.dorsal.fixation import see_fixation
from ciliary.cortex.dorsal.priority import drawn_by_motion, normalised
from ciliary.cortex.eye.fovea import Glance, take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.active.drifting import noise_frames, patch_frames

PX_PER_DEG, COARSE = 9.6, 2
FRAME_MS = 1000 / 30


def fixate(frames, gaze=(0.0, 0.0)):
    """Frames (T, 3, H, W), sRGB, looked at from one place."""
    light = F.avg_pool2d(srgb_to_linear(frames), COARSE)
    gaze_deg = torch.tensor([gaze], dtype=torch.float64)
    each = take_glance(light, FoveatedLattice(), gaze_deg.expand(len(light), 2), PX_PER_DEG / COARSE)
    return Glance(each.samples[:, 0][None], each.is_inside[:1], gaze_deg, each.lattice)


def seen(frames, gaze=(0.0, 0.0)):
    height, width = frames.shape[-2:]
    return see_fixation(
        fixate(frames, gaze),
        size_px=(height // COARSE, width // COARSE),
        px_per_deg=PX_PER_DEG / COARSE,
        frame_ms=FRAME_MS,
    )


def test_a_scene_at_rest_has_exactly_none():
    still = noise_frames(velocity_px=(0, 0), n_frames=1, size_px=(120, 160)).expand(6, -1, -1, -1)
    motion = seen(still, (3.0, -2.0))
    assert not bool(motion.whole.any())
    assert not bool(motion.residual.any())


@pytest.mark.parametrize("velocity_px", [(0.0, 1.5), (-1.0, 1.0)])
def test_the_field_s_velocity_is_told_in_degrees_a_second(velocity_px):
    motion = seen(noise_frames(velocity_px=velocity_px, n_frames=8, size_px=(180, 240), seed=2))
    expected = torch.tensor(velocity_px) * 30 / PX_PER_DEG
    found = motion.whole.mean((0, 2, 3))
    assert float((found - expected).norm() / expected.norm()) < 0.08
    assert float(motion.residual.max()) < 0.1 * float(expected.norm())


@pytest.mark.parametrize("background_px", [(0.0, 0.0), (0.0, 1.5)])
def test_what_moves_otherwise_is_found_beside_the_gaze(background_px):
    frames, square = patch_frames(
        background_px=background_px,
        patch_px=(1.0, 0.0),
        n_frames=8,
        seed=4,
        size_px=(180, 240),
        side_px=48,
        centre_px=(110.0, 90.0),
    )
    motion = seen(frames, (0.0, -1.0))
    y, x = divmod(int(motion.residual.flatten().argmax()), motion.residual.shape[-1])
    cell = 180 // motion.residual.shape[-2]
    assert bool(square[-1, y * cell + cell // 2, x * cell + cell // 2])
    assert bool(motion.whole.any()) == any(background_px)


def test_one_frame_is_no_fixation():
    with pytest.raises(ValueError, match="two frames"):
        seen(noise_frames(velocity_px=(0, 0), n_frames=1, size_px=(64, 80)))


def test_motion_draws_as_its_speed_and_none_leaves_priority_as_it_is():
    density = normalised(torch.rand(3, 1, 6, 8, generator=torch.Generator().manual_seed(1)))
    motion = torch.zeros(3, 1, 12, 16)
    motion[1, :, 4:6, 4:6], motion[2, :, 4:6, 4:6] = 2.0, 0.02
    drawn = drawn_by_motion(density, motion)
    assert torch.equal(drawn[0], density[0])
    torch.testing.assert_close(drawn.sum((1, 2, 3)), torch.ones(3))
    at = [float(one[0, 2, 2]) for one in drawn]
    assert at[1] > 0.5  # it pops out
    assert at[1] > at[2]
    assert float(drawn[2, 0, 2, 2] / drawn[2, 0, 5, 5]) > float(density[2, 0, 2, 2] / density[2, 0, 5, 5])
