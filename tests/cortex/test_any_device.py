"""The percept on any device, without one: what is made on the way lies where the image does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import PARAMETERS, Cortex, SegmenterPerceiver, default_unit, from_unit, make_perceiver
from ciliary.cortex.device import choose_device, device_of, to_device
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.integration.similarity import likeness
from ciliary_tests.learned import write_untrained
from ciliary_tests.other_device import ELSEWHERE, Elsewhere, OtherDevice, lying_here, numbers

KINDS = (
    {},
    {"inherited": "contours"},
    pytest.param({"inherited": "all", "depth": "learned", "deep": "efficientnet_lite0"}, marks=pytest.mark.slow),
    pytest.param({"depth": "pictorial", "curvature": True}, marks=pytest.mark.slow),
)


@pytest.fixture
def images(chelsea, small_image):
    return torch.cat([chelsea[..., :48, :64], small_image])


@pytest.fixture
def elsewhere():
    """Fails, in the end, if tensors of two devices met; says on which lines."""
    with OtherDevice() as watched:
        yield watched
    assert list(dict.fromkeys(watched.mixed)) == []


def spread_u(n: int) -> torch.Tensor:
    return (default_unit(n) + 0.1 * torch.randn(n, len(PARAMETERS))).clamp(-1, 1)


def slope(cortex, image, u) -> tuple:
    """A percept and the gradient of a number of it with respect to u."""
    percept = cortex(image, from_unit(u))
    total = percept.masks_coarse.square().mean() + percept.boundary.mean() + percept.m4.objectness.mean()
    return percept, torch.autograd.grad(total, u)[0]


@pytest.mark.parametrize("options", KINDS, ids=["none", "contours", "all", "recognises"])
def test_percept_and_gradient_are_the_same_there(options, images, elsewhere):
    u = spread_u(2)
    here, gradient = slope(Cortex(**options), images, u.clone().requires_grad_())
    cortex = Cortex(**options).to(ELSEWHERE)
    there, there_gradient = slope(cortex, images.to(ELSEWHERE), u.to(ELSEWHERE).requires_grad_())
    assert cortex.device == device_of(cortex) == ELSEWHERE
    assert lying_here(there) == []
    assert torch.equal(numbers(there.masks), here.masks)
    assert torch.equal(numbers(there_gradient), gradient)
    for size in (None, (90, 70)):
        assert torch.equal(numbers(there.labels(size)), here.labels(size))
    for drawn in (there.m1.regions, there.m1.orientation, there.m2.regions, there.m3.slots, there.m3.texture):
        assert isinstance(drawn, Elsewhere)


@pytest.mark.slow
def test_learned_stages(images, elsewhere, tmp_path):
    options = {"learned": True, "weights": write_untrained(tmp_path / "weights.safetensors"), "recognise": True}
    u = spread_u(2)
    here, gradient = slope(Cortex(**options), images, u.clone().requires_grad_())
    there, there_gradient = slope(
        Cortex(**options).to(ELSEWHERE), images.to(ELSEWHERE), u.to(ELSEWHERE).requires_grad_()
    )
    assert lying_here(there) == []
    assert torch.equal(numbers(there.m5.code), here.m5.code.detach())
    assert torch.equal(numbers(there_gradient), gradient)


def test_theta_may_lie_anywhere_or_be_left_out(images, elsewhere):
    cortex = Cortex().to(ELSEWHERE)
    there = images.to(ELSEWHERE)
    found = [cortex(there, theta).labels() for theta in (None, PARAMETERS.default_theta(2))]
    assert all(torch.equal(numbers(one), Cortex()(images).labels()) for one in found)
    assert isinstance(PARAMETERS.default_unit(1, ELSEWHERE), Elsewhere)
    assert isinstance(PARAMETERS.to_unit(from_unit(default_unit().to(ELSEWHERE))), Elsewhere)


def test_a_users_own_cues_are_brought_there(images, elsewhere):
    def from_numpy(image):
        return torch.as_tensor(np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(1, 1, 48, 64)).repeat(
            len(image), 1, 1, 1
        )

    cortex = Cortex(contours=from_numpy).to(ELSEWHERE)
    assert lying_here(cortex(images.to(ELSEWHERE))) == []


def some_looks(perceiver, image, table) -> Looks:
    """Plain looks, in other light, blurred and at another size."""
    theta = table.default_theta(4, glance_gamma=1.0)
    theta["glance_gamma"] = torch.tensor([1.0, 0.6, 1.0, 1.3])
    theta["glance_scale"] = torch.tensor([1.0, 1.0, 0.75, 1.0])
    theta["glance_blur_px"] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    theta["glance_stretch"] = torch.tensor([0.0, 0.0, 0.0, 0.5])
    return Looks.of(perceiver(image.expand(4, -1, -1, -1), theta)).flat()


@pytest.mark.parametrize("with_trust", [False, True])
@pytest.mark.slow
def test_looks_are_put_together_there(with_trust, chelsea, elsewhere):
    def put_together(perceiver, image):
        looks = some_looks(perceiver, image, perceiver.table)
        if with_trust:
            looks = join_looks([looks, Looks.of_masks(perceiver.perceivers[0](image).masks[:, None])])
        together = integrate(looks)
        alike = likeness(looks.segments[0], together.segments.expand(len(looks), -1, -1))
        return together, (together.masks, together.labels((50, 40)), together.agreement, alike)

    here, values = put_together(GlancingPerceiver([Cortex()]), chelsea)
    there, there_values = put_together(GlancingPerceiver([Cortex().to(ELSEWHERE)]), chelsea.to(ELSEWHERE))
    assert lying_here(there) == []
    assert torch.equal(numbers(there.separation), here.separation)
    assert all(torch.equal(numbers(one), other) for one, other in zip(there_values, values, strict=True))


def test_a_segmenter_works_on_the_cpu_and_answers_there(images, elsewhere):
    def quantised(image, *, n=12.0):
        return (image.mean(-1) * n).astype(int) * image.shape[1] + np.arange(image.shape[1])  # far more than masks

    perceiver = SegmenterPerceiver(quantised, {"n": (2.0, 40.0, 12.0)})
    here, there = perceiver(images), perceiver(images.to(ELSEWHERE))
    assert perceiver.table.names == ("n",)
    for name in ("masks", "masks_coarse", "boundary"):
        assert torch.equal(numbers(getattr(there, name)), getattr(here, name))
    assert torch.equal(numbers(there.labels((30, 31))), here.labels((30, 31)))


def test_what_lies_there_already_is_not_made_anew(images):
    percept = Cortex()(images)
    assert to_device(percept, "cpu") is percept
    assert to_device(None, "cpu") is None


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"inherited": "contours"}, marks=pytest.mark.slow)], ids=["none", "contours"]
)
def test_a_device_without_double_precision_is_asked_for_none(options, images, monkeypatch):
    monkeypatch.setattr("ciliary.cortex.device.WITHOUT_DOUBLE", {ELSEWHERE.type})
    here = Cortex(**options)(images)
    with OtherDevice(has_double=False) as watched:
        there = Cortex(**options).to(ELSEWHERE)(images.to(ELSEWHERE))
        labels = there.labels((90, 70))
    assert list(dict.fromkeys(watched.mixed)) == []
    torch.testing.assert_close(numbers(there.masks), here.masks)
    assert torch.equal(numbers(labels), here.labels((90, 70)))


def test_devices_by_name(monkeypatch):
    assert make_perceiver(device="cpu").device == torch.device("cpu")
    assert device_of(object()) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cpu")  # nobody has tried mps: when asked only
    assert choose_device("mps") == torch.device("mps")
    with pytest.raises(ValueError, match=r"sees no cuda device here; use the device cpu or auto$"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    with pytest.raises(ValueError, match="choose from auto, cpu, cuda, mps"):
        choose_device("tpu")


# --- the watch itself


def test_the_watch_sees_what_meets():
    with OtherDevice() as watched:
        there = torch.ones(3).to(ELSEWHERE)
        assert there.new_zeros(2).device == torch.zeros(2, device=there.device).device == ELSEWHERE
        _ = there + 1, there * torch.tensor(2.0), torch.where(there > 0, there, 0.0), there.cpu() + torch.ones(3)
        assert watched.mixed == []
        _ = there + torch.ones(3)
        _ = torch.arange(3)[there.long()]
        _ = torch.stack([there.sum(), torch.tensor(1.0)])
        assert [line.split()[1].split(".")[1] for line in watched.mixed] == ["add", "index", "stack"]
        with pytest.raises(TypeError, match="cpu"):
            there.numpy()
        with pytest.raises(TypeError, match="cpu"):
            np.asarray(there)
