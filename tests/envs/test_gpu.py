"""On a real CUDA device: what is perceived and judged there is what is perceived and judged on the CPU.

Soft quantities agree to the rounding of float32 through the whole chain. What is chosen among near equals (labels,
merges) may be chosen otherwise, and takes a little of the soft masks along: there the share of pixels counts.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import to_device
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.integration.similarity import likeness
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.data.sources import bundled
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.looks import look_at
from ciliary.envs.objective.panel import draw_panel
from ciliary.envs.single import AccommodationEnv
from ciliary.testing.stage import tensors

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; torch sees none")

SOFT = 1e-3  # of values of about 1; measured differences are some 1e-5, less one choice among equals
ALIKE = 0.98  # mean intersection over union of the segments that a pixel lies in


@pytest.fixture(scope="module", autouse=True)
def _exact_products():
    """Products in whole float32: TensorFloat-32 keeps ten bits."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def photographs():
    return bundled(192, ["chelsea", "coffee", "rocket", "astronaut"])


@pytest.fixture(scope="module")
def images(photographs):
    """(4, 3, 96, 128)."""
    return torch.stack([one.image[:, :96, :128] for one in photographs])


def make(inherited: str) -> Cortex:
    try:
        return Cortex(inherited=inherited).eval().requires_grad_(False)
    except ProviderUnavailable as error:
        pytest.skip(str(error))


def typical_difference(there: torch.Tensor, here: torch.Tensor) -> float:
    """The 99th percentile of the differences."""
    return float(torch.quantile((there.cpu() - here).abs().flatten()[:1_000_000], 0.99))


@pytest.mark.parametrize("inherited", ["none", "contours", "all"])
def test_percepts_agree(inherited, images):
    cortex = make(inherited)
    u = (cortex.table.default_unit(4) + 0.1 * torch.randn(4, len(cortex.table))).clamp(-1, 1)
    here = cortex(images, cortex.table.from_unit(u))
    there = cortex.to("cuda")(images.cuda(), cortex.table.from_unit(u))  # theta lies on the CPU
    assert there.masks.device.type == there.labels().device.type == "cuda"
    for stage, field in (("retina", "opponent"), ("m1", "energy"), ("m1", "boundary"), ("m2", "contour")):
        one, other = (getattr(getattr(percept, stage), field) for percept in (there, here))
        assert typical_difference(one, other) < SOFT, f"{stage}.{field}"
    alike = likeness(there.labels().cpu(), here.labels())
    assert float(alike.mean()) >= ALIKE, alike


@pytest.mark.parametrize("inherited", ["none", "contours"])
def test_gradients_agree(inherited, images):
    cortex = make(inherited)

    def gradient(device: str) -> torch.Tensor:
        u = cortex.table.default_unit(4, torch.device(device)).requires_grad_()
        percept = cortex.to(device)(images.to(device), cortex.table.from_unit(u))
        total = percept.boundary.mean() + percept.m1.regions.square().mean() + percept.m2.barrier.mean()
        return torch.autograd.grad(total, u)[0].cpu()

    here, there = gradient("cpu"), gradient("cuda")
    assert torch.allclose(there, here, atol=1e-5, rtol=1e-2), (there - here).abs().max()


@pytest.mark.parametrize("objective", ["raw", "agreement"])
def test_an_environment_judges_alike(objective, photographs):
    found = {}
    for device in ("cpu", "cuda"):
        env = AccommodationEnv(
            cortex={"inherited": "contours"}, device=device, objective=objective, source=photographs[:1], size_px=96
        )
        env.reset(seed=0)
        u = np.stack([env.default_u, np.clip(env.default_u + 0.1, -1, 1).astype(np.float32)])
        found[device] = env.evaluate(u).terms, env.step(np.zeros(env.n_parameters, np.float32))[0]
    for name, value in found["cpu"][0].items():
        assert np.allclose(found["cuda"][0][name], value, atol=0.02), name
    assert np.allclose(found["cuda"][1]["statistics"], found["cpu"][1]["statistics"], atol=0.02)


def test_looks_come_to_the_same(images):
    eye = GlancingPerceiver([make("contours")])
    u = torch.as_tensor(draw_panel(eye, 8))
    looks = look_at(eye, images[:1], u, None)
    here, there = integrate(looks), integrate(to_device(looks, "cuda"))  # the same looks
    assert there.segments.device.type == "cuda"
    assert torch.allclose(there.boundary.cpu(), here.boundary, atol=1e-5)
    assert float(likeness(there.segments.cpu(), here.segments)) >= ALIKE
    eye.perceivers[0].to("cuda")  # and looks taken there
    seen = look_at(eye, images[:1].cuda(), u, None)
    assert float(likeness(integrate(seen).segments.cpu(), here.segments)) >= 0.9


def test_every_stage_of_a_small_percept_agrees(images):
    """All soft fields, those of M3 and M4 too, where the merges came out alike; tolerances as above."""
    cortex = make("none")
    here = cortex(images)
    there = to_device(cortex.to("cuda")(images.cuda()), "cpu")
    for stage in ("retina", "m1", "m2", "m3", "m4"):
        one, other = tensors(getattr(there, stage)), tensors(getattr(here, stage))
        for name in one:
            if one[name].is_floating_point():
                assert typical_difference(*(x[name].nan_to_num(posinf=0.0) for x in (one, other))) < SOFT, name


def test_a_glance_agrees():
    scenes = planes_scene((0.5, 2.0), size_px=(64, 96), px_per_deg=8.0)
    found = {}
    for device in ("cpu", "cuda"):
        env = EyeEnv(scenes=scenes, device=device, size_px=None, window_px=32, n_layers=3, patience=0)
        first, _ = env.reset(seed=3)
        second, reward, _, _, info = env.step(np.full(env.action_space.shape, 0.2, np.float32))
        found[device] = ([*first.values(), *second.values(), *info["terms"].values()], reward)
    for one, other in zip(found["cuda"][0], found["cpu"][0], strict=True):
        assert np.allclose(one, other, atol=SOFT)
    assert found["cuda"][1] == pytest.approx(found["cpu"][1], abs=SOFT)
