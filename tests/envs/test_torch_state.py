"""Default type, autocast, inference mode: a user's own setting changes nothing here, and is theirs afterwards."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

import ciliary.envs  # noqa: F401 -- registers
from ciliary.cortex import Cortex, default_theta, default_unit
from ciliary.envs.config import EnvConfig
from ciliary.envs.evaluator import Evaluator


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_cortex_sees_the_same(double):
    image = torch.rand(1, 3, 40, 40, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    seen = Cortex()(image)
    assert torch.get_default_dtype() is torch.float64
    torch.set_default_dtype(torch.float32)
    plain = Cortex()(image, default_theta(1))
    assert seen.boundary.dtype is torch.float32
    torch.testing.assert_close(seen.boundary, plain.boundary)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_around_it_changes_nothing(dtype, small_image):
    cortex = Cortex().eval().requires_grad_(False)
    plain = cortex(small_image)
    with torch.autocast("cpu", dtype=dtype):
        seen = cortex(small_image)
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(seen.masks, plain.masks)


@pytest.mark.parametrize("change", [Cortex.half, Cortex.bfloat16, Cortex.double, lambda c: c.to("cpu", torch.float16)])
def test_another_precision_is_refused_in_one_line(change):
    with pytest.raises(ValueError, match=r"perceives in float32 alone, got torch\.[a-z0-9]+"):
        change(Cortex())


@pytest.mark.parametrize("name", ["Gaze", "Focus"])
def test_environments_play(double, name):
    env = gym.make(f"Ciliary/{name}-v0")
    env.reset(seed=0)
    _, reward, *_ = env.step(np.zeros(env.action_space.shape, env.action_space.dtype))
    assert np.isfinite(reward)
    assert torch.get_default_dtype() is torch.float64


def totals(image):
    """With a gradient, and without."""
    evaluator = Evaluator.of(EnvConfig(objective="raw"))
    batch, u = evaluator.look(image, [0]), default_unit().numpy()
    told, slope = evaluator.evaluate_with_gradient(batch, [0], u)
    return told.terms["total"], evaluator.evaluate(batch, [0], u).terms["total"], slope


@pytest.mark.parametrize("state", ["inference", "no_grad", "bfloat16"])
def test_a_batch_is_judged_alike_in_any_state(state):
    image = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    expected = totals(image)
    states = {
        "inference": torch.inference_mode,
        "no_grad": torch.no_grad,
        "bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
    }
    with states[state]():
        before = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()
        found = totals(image)
        after = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert before == after


def test_in_inference_mode_a_percept_is_not_recorded():
    image = torch.rand(1, 3, 40, 40)
    theta = {name: value.requires_grad_() for name, value in default_theta(1).items()}
    with torch.inference_mode():
        assert not Cortex()(image, theta).boundary.requires_grad
    assert Cortex()(image, theta).boundary.requires_grad
