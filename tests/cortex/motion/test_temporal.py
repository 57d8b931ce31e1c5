"""The filters in time: their closed forms against numerical integration, and frames that are held."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate

from ciliary.cortex.motion.temporal import (
    FAST,
    SLOW,
    TemporalSettings,
    biphasic,
    change_kernel,
    gain,
    pending_kernel,
    step_response,
)

RATE = 110.0


def published(t_s: float, n: int, k: float = RATE) -> float:
    """Adelson and Bergen 1985, as printed, without our gain."""
    kt = k * t_s
    return kt**n * math.exp(-kt) * (1 / math.factorial(n) - kt**2 / math.factorial(n + 2))


@pytest.mark.parametrize("order", [FAST, SLOW])
def test_the_filter_is_the_published_one_up_to_its_gain(order):
    t_ms = torch.linspace(0, 200, 101, dtype=torch.float64)
    ours = biphasic(t_ms, order, rate_per_s=RATE)
    theirs = torch.tensor([published(t / 1000, order) for t in t_ms.tolist()], dtype=torch.float64)
    scale = float(ours.abs().max() / theirs.abs().max())
    torch.testing.assert_close(ours, scale * theirs, atol=1e-9, rtol=1e-9)
    assert float(ours.max()) > 0 > float(ours.min())
    assert float(biphasic(torch.tensor([-5.0]), order, rate_per_s=RATE)) == 0


@pytest.mark.parametrize("order", [FAST, SLOW])
def test_step_response_is_its_integral_and_comes_to_nothing(order):
    for t in (10.0, 35.0, 90.0):
        area, _ = integrate.quad(
            lambda x: float(biphasic(torch.tensor(x, dtype=torch.float64), order, rate_per_s=RATE)), 0, t
        )
        at = float(step_response(torch.tensor(t, dtype=torch.float64), order, rate_per_s=RATE))
        assert at == pytest.approx(area, rel=1e-6)
    assert float(step_response(torch.tensor(400.0), order, rate_per_s=RATE)) < 1e-6


@pytest.mark.parametrize("order", [FAST, SLOW])
def test_gain_is_the_transform_and_at_most_one(order):
    t = torch.linspace(0, 600, 60001, dtype=torch.float64)
    f = biphasic(t, order, rate_per_s=RATE)
    for hz in (2.0, 8.0, 20.0):
        phase = 2 * math.pi * hz * t / 1000
        found = math.hypot(
            float(torch.trapezoid(f * torch.cos(phase), t)), float(torch.trapezoid(f * torch.sin(phase), t))
        )
        assert found == pytest.approx(float(gain(torch.tensor(hz), order, rate_per_s=RATE)), rel=1e-4)
    hz = torch.linspace(0.1, 40, 4000)
    all_of_it = gain(hz, order, rate_per_s=RATE)
    assert float(all_of_it.max()) == pytest.approx(1, abs=1e-5)
    if order == FAST:
        assert float(hz[all_of_it.argmax()]) == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("frame_ms", [1000 / 60, 1000 / 30])
def test_held_frames_are_answered_without_sampling_error(frame_ms):
    settings = TemporalSettings(frame_ms=frame_ms)
    n = 2 * settings.n_taps
    frames = torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    changes = frames.diff(prepend=frames[:1])[-settings.n_taps :]
    # Light as it is held, fold with the filter by fine steps.
    n_fine = 400
    held = frames.repeat_interleave(n_fine)
    ages = torch.arange(len(held) - 1, -1, -1, dtype=torch.float64) + 0.5
    ages = ages * frame_ms / n_fine
    fast = float((biphasic(ages, FAST, rate_per_s=settings.rate_per_s) * held).sum() * frame_ms / n_fine)
    assert float((change_kernel(FAST, settings).double() * changes).sum()) == pytest.approx(fast, abs=2e-3)
    slow = step_response(ages, FAST, rate_per_s=settings.rate_per_s)
    mean = float((slow * held).sum() / slow.sum())
    ours = float(frames[-1] - (pending_kernel(FAST, settings).double() * changes).sum())
    assert ours == pytest.approx(mean, abs=2e-3)


def test_what_is_wrong_is_said():
    for wrong in ({"frame_ms": 0.0}, {"rate_per_s": -1.0}):
        with pytest.raises(ValueError, match="frame_ms > 0"):
            TemporalSettings(**wrong)
    with pytest.raises(ValueError, match="partner"):
        TemporalSettings(partner="triphasic")
