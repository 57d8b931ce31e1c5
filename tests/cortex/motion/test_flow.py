"""Flow: speeds of gratings, plaids and noise within five per cent, nothing where nothing moves."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.motion.flow import FlowOut, FlowSettings
from ciliary.cortex.motion.perceive import Motion, MotionSettings, motion_step, see_motion
from ciliary.cortex.motion.temporal import TemporalSettings
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.active.drifting import grating_frames, noise_frames, plaid_velocity

WITHIN = 0.05


def flow_of(frames, settings=None) -> FlowOut:
    with torch.no_grad():
        return see_motion(frames, settings, is_last_only=True)[0].flow


def middle(flow: FlowOut, margin: int = 8) -> torch.Tensor:
    """(B, 2) mean velocity away from the border."""
    return flow.flow_px_per_frame[..., margin:-margin, margin:-margin].mean((2, 3))


@pytest.mark.parametrize(("wavelength_px", "speeds"), [(12.0, (0.25, 1.0, 3.0)), (24.0, (0.5, 2.0, 5.0))])
@pytest.mark.parametrize("direction_deg", [0.0, 30.0, 200.0])
def test_speed_of_gratings(wavelength_px, speeds, direction_deg):
    """Along its own direction: of the other a grating tells nothing."""
    frames = [
        grating_frames(direction_deg=direction_deg, wavelength_px=wavelength_px, speed_px=speed, n_frames=7)
        for speed in speeds
    ]
    found = middle(flow_of(torch.stack(frames)))
    angle = math.radians(direction_deg)
    along = found @ torch.tensor([math.sin(angle), math.cos(angle)])
    torch.testing.assert_close(along, torch.tensor(speeds), rtol=WITHIN, atol=0)


def test_a_plaid_moves_as_its_lines_of_constraint_say():
    directions = (-30.0, 60.0)
    frames = grating_frames(direction_deg=directions, wavelength_px=12.0, speed_px=1.0, n_frames=7)
    truth = torch.tensor(plaid_velocity(directions, 1.0))
    assert (middle(flow_of(frames[None]))[0] - truth).norm() < WITHIN * truth.norm()


@pytest.mark.parametrize("velocity_px", [(0.0, 0.25), (0.3, -0.4), (1.0, 1.0), (-2.0, 0.0), (3.0, -2.0), (0.0, 4.0)])
def test_speed_of_noise(velocity_px):
    frames = torch.stack([noise_frames(velocity_px=velocity_px, n_frames=7, seed=seed) for seed in range(2)])
    flow = flow_of(frames)
    truth = torch.tensor(velocity_px)
    assert bool(((middle(flow) - truth).norm(dim=1) < WITHIN * truth.norm()).all())
    assert float(flow.confidence[..., 8:-8, 8:-8].median()) > 0.8


def test_at_rest_the_flow_is_nothing_and_that_is_known(chelsea):
    flow = flow_of(chelsea[:, None].expand(-1, 3, -1, -1, -1))
    assert not bool(flow.flow_px_per_frame.any())
    assert float(flow.confidence.median()) > 0.5


def test_a_blank_and_a_single_edge_are_not_known():
    blank = flow_of(torch.full((1, 4, 3, 64, 64), 0.5))
    assert float(blank.confidence.max()) < 1e-3
    edge = flow_of(grating_frames(direction_deg=0, wavelength_px=24, speed_px=1, n_frames=7)[None])
    noise = flow_of(noise_frames(velocity_px=(0, 1), n_frames=7)[None])
    assert float(edge.confidence[..., 10:-10, 10:-10].mean()) < 0.5 * float(
        noise.confidence[..., 10:-10, 10:-10].mean()
    )


def test_only_the_past_is_read():
    frames = noise_frames(velocity_px=(0, 1), n_frames=8, size_px=(64, 64))[None]
    other = frames.clone()
    other[:, 5:] = 0.2
    for a, b in zip(see_motion(frames)[:5], see_motion(other)[:5], strict=True):
        assert torch.equal(a.flow.flow_px_per_frame, b.flow.flow_px_per_frame)
        assert torch.equal(a.pattern.response, b.pattern.response)


def test_step_by_step_is_the_sequence_and_rows_do_not_mix():
    frames = torch.stack([noise_frames(velocity_px=v, n_frames=6, size_px=(64, 80)) for v in ((0, 1), (1, -1))])
    together = see_motion(frames)[-1]
    module, state = Motion(), None
    for frame in frames[1].unbind(0):
        alone, state = module(retina(frame[None], default_theta(1)), state)
    torch.testing.assert_close(together.flow.flow_px_per_frame[1:], alone.flow.flow_px_per_frame, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.component.energy[1:], alone.component.energy, atol=1e-5, rtol=1e-4)
    last = see_motion(frames, is_last_only=True)[0]
    assert torch.equal(last.flow.flow_px_per_frame, together.flow.flow_px_per_frame)
    assert together.component.direction.shape == together.pattern.response.shape == (2, 8, 16, 20)
    assert together.flow.confidence.shape == (2, 1, 16, 20)


def test_a_gradient_reaches_the_frames():
    frames = noise_frames(velocity_px=(0, 1), n_frames=4, size_px=(48, 48))[None].clone().requires_grad_()
    out = see_motion(frames, is_last_only=True)[0]
    (out.flow.flow_px_per_frame.sum() + out.pattern.response.sum() + out.flow.confidence.sum()).backward()
    assert torch.isfinite(frames.grad).all()
    assert frames.grad[:, :3].abs().sum() > 0
    still = torch.full((1, 2, 3, 48, 48), 0.5, requires_grad=True)
    out = see_motion(still, is_last_only=True)[0]
    (out.flow.flow_px_per_frame.sum() + out.flow.confidence.sum()).backward()
    assert torch.isfinite(still.grad).all()


def test_units():
    flow = FlowOut(torch.full((1, 2, 2, 2), 3.0), torch.ones(1, 1, 2, 2))
    assert float(flow.deg_per_s(px_per_deg=10.0, frame_ms=20.0)[0, 0, 0, 0]) == pytest.approx(15.0)


def test_the_biphasic_partner_tells_speeds_too():
    settings = MotionSettings(temporal=TemporalSettings(partner="biphasic"))
    found = middle(flow_of(noise_frames(velocity_px=(0, 2), n_frames=8)[None], settings))
    assert float(found[0, 1]) == pytest.approx(2.0, rel=WITHIN)


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="expected frames"):
        see_motion(torch.zeros(4, 3, 32, 32))
    for wrong in ({"pool_cells": 0.0}, {"noise": 0.0}, {"n_passes": 0}):
        with pytest.raises(ValueError, match="expected"):
            FlowSettings(**wrong)
    _, state = motion_step(retina(torch.rand(1, 3, 64, 64), default_theta(1)))
    with pytest.raises(ValueError, match="start anew"):
        motion_step(retina(torch.rand(1, 3, 48, 64), default_theta(1)), state)
