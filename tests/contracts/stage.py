"""The exam that every stage of the cortex sits: subclass it as ``Test...``, name the stage, give the fixture ``stage``.

    class TestMyM2(StageContract):
        name = "m2"
        ignored = frozenset({"endstop_gain"})  # of the table's parameters for M2, those it has no use for

        @pytest.fixture
        def stage(self):
            return MyM2()

The stages before it are the cortex's own; cues with a depth map and a backbone's maps are given, so that the weights of
both have something to weigh, and deep maps for M5. M5 takes no theta: settings act on it through all the stages before,
which therefore keep their gradients.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor, nn

from ciliary.cortex import Cortex, Cues
from ciliary.cortex.parameters import PARAMETERS, Theta, default_theta, from_unit, to_unit
from ciliary.cortex.stages.table import TABLE

ANSWERS = {name: row.answer for name, row in TABLE.items()}
UNIT = (0.0, 1.0)
#: Lowest and highest value of each field that has bounds.
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "retina": {"cones": UNIT, "on_off": (0.0, torch.inf)},
    "m1": {"energy": (0.0, torch.inf), "affinity": UNIT, "boundary": UNIT, "regions_coarse": UNIT, "depth": UNIT},
    "m2": dict.fromkeys(("end_points", "contour", "barrier", "regions_coarse"), UNIT),
    "m3": {"assignment": UNIT, "patch_distance": (0.0, torch.inf), "size": (0.0, torch.inf)},
    "m4": {"assignment": UNIT, "objectness": UNIT, "merge_height": (0.0, torch.inf)},
    "m5": {"code": (-1.0, 1.0), "gate": UNIT, "weight": UNIT},
}
#: Fields on the simplex, and along which axis; the drawn ones too.
SIMPLEX: dict[str, dict[str, int]] = {
    "retina": {},
    "m1": {"regions_coarse": 1, "regions": 1},
    "m2": {"regions_coarse": 1, "regions": 1},
    "m3": {"assignment": 2, "slots": 1},
    "m4": {"assignment": 2, "masks": 1, "masks_coarse": 1},
    "m5": {"gate": 2, "weight": 1},
}
#: M5 has no parameter of its own: one of each stage must reach it.
REACHING_M5 = ["blur_sigma_px", "wavelength_px", "barrier_gain", "inhibition_gain", "merge_threshold"]
#: Infinity is an answer here: nothing left to merge.
MAY_BE_INFINITE = frozenset({"merge_height"})


@lru_cache(maxsize=8)
def photograph(name: str = "astronaut", size: tuple[int, int] = (64, 96)) -> Tensor:
    """(1, 3, H, W): a photograph that comes with scikit-image, its upper part, made small."""
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(image[:, :, : image.shape[3] * 2 // 3], size=size, mode="area")


def with_cues(image: Tensor, n_channels: int = 6) -> Cues:
    """A depth map that falls off from the top, and smooth random feature maps of total variance 1."""
    b, _, h, w = image.shape
    depth = torch.linspace(1, 0, h).view(1, 1, h, 1).expand(b, 1, h, w).contiguous()
    coarse = torch.randn(1, n_channels, 4, 6, generator=torch.Generator().manual_seed(0))
    maps = F.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=False)
    maps = (maps - maps.mean((2, 3), keepdim=True)) / maps.std((2, 3), keepdim=True) / n_channels**0.5
    deep = torch.rand(1, 5, math.ceil(h / 32), math.ceil(w / 32), generator=torch.Generator().manual_seed(1))
    return Cues(depth, maps.expand(b, -1, -1, -1).contiguous(), deep.expand(b, -1, -1, -1).contiguous())


def settings_of(rows: list[list[float]] | Tensor) -> Theta:
    """Settings from rows of u."""
    return from_unit(torch.as_tensor(rows, dtype=torch.float32))


def moved(theta: Theta, name: str, step: float = 0.5) -> Theta:
    """``theta`` with one parameter a quarter of its range away, to the side where there is room."""
    u = to_unit(theta)[:, PARAMETERS.names.index(name)]
    p, target = PARAMETERS[name], torch.where(u <= 0, u + step, u - step)
    rows = torch.zeros(len(u), len(PARAMETERS))
    rows[:, PARAMETERS.names.index(p.name)] = target
    return {**theta, name: from_unit(rows)[name]}


def tensors(value: Any, prefix: str = "") -> dict[str, Tensor]:
    """Every tensor of a stage's answer by name, through nested dataclasses."""
    out: dict[str, Tensor] = {}
    for field in fields(value):
        entry = getattr(value, field.name)
        if is_dataclass(entry):
            out |= tensors(entry, f"{prefix}{field.name}.")
        elif isinstance(entry, Tensor):
            out[prefix + field.name] = entry
    return out


def arguments(cortex: Cortex, name: str, image: Tensor, theta: Theta, cues: Cues) -> tuple[Any, ...]:
    """What the cortex would call the stage ``name`` with."""
    if name == "retina":
        return image, theta
    retina = cortex.retina(image, theta)
    if name == "m1":
        return retina, cues, theta
    m1 = cortex.m1(retina, cues, theta)
    if name == "m2":
        return m1, theta
    m2 = cortex.m2(m1, theta)
    if name == "m3":
        return m1, m2, theta
    m3 = cortex.m3(m1, m2, theta)
    return (m3, theta) if name == "m4" else (retina, m1, cortex.m4(m3, theta), cues)


def largest_change(one: object, other: object) -> float:
    """The largest difference in any field, in units of the field's own size (at least 1)."""
    a, b = tensors(one), tensors(other)
    changes = []
    for name in a:
        x, y = (t.double().nan_to_num(posinf=0.0) for t in (a[name], b[name]))
        changes.append(float((x - y).abs().max() / x.abs().max().clamp_min(1.0)))
    return max(changes)


def projection(answer: object) -> Tensor:
    """One number per sample that hangs on every entry of the answer: a fixed random projection."""
    total = torch.zeros(())
    for i, x in enumerate(tensors(answer).values()):
        if x.is_floating_point() and x.requires_grad:
            weight = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(i))
            total = total + (torch.where(torch.isfinite(x), x, 0.0) * weight).flatten(1).mean(1)
    return total


class StageContract:
    """Answer, ranges, determinism, samples on their own, liveness, gradients, blanks, extremes and odd sizes."""

    name: ClassVar[str]
    #: The table's parameters for this stage which it has no use for.
    ignored: ClassVar[frozenset[str]] = frozenset()
    #: Parameters which act by choosing only, so that the stage's own answer has no gradient in them.
    choosing: ClassVar[frozenset[str]] = frozenset()
    #: How far a batch may be from its samples one by one, in units of each field.
    batch_tolerance: ClassVar[float] = 2e-5
    #: Where liveness is looked at: nothing saturated. Other parameters are at their defaults.
    soft_settings: ClassVar[dict[str, float]] = {"slot_temperature": 0.3, "backbone_weight": 0.1}

    @pytest.fixture
    def stage(self) -> nn.Module:
        raise NotImplementedError("give the contract a fixture `stage`")

    def cues(self, image: Tensor) -> Cues:
        """What is known of the image beside itself."""
        return with_cues(image)

    def run(self, stage: nn.Module, image: Tensor, theta: Theta, cues: Cues | None = None) -> Any:
        """The stage's answer where the cortex would call it."""
        cues = self.cues(image) if cues is None else cues
        if self.name == "m5":  # takes no theta: settings act on it through all the stages before
            return stage(*arguments(Cortex(), self.name, image, theta, cues))
        with torch.no_grad():
            given = arguments(Cortex(), self.name, image, theta, cues)
        return stage(*given[:-1], theta)

    def check(self, answer: Any, image: Tensor) -> None:
        """Finite, within its ranges, and on the simplex where it should be."""
        b = len(image)
        for name, x in tensors(answer).items():
            assert len(x) == b, name
            is_fine = ~torch.isnan(x) if name in MAY_BE_INFINITE else torch.isfinite(x)
            assert is_fine.all(), f"{name}: {int((~is_fine).sum())} of {x.numel()} values are not finite"
        for name, (low, high) in RANGES[self.name].items():
            x = getattr(answer, name)
            assert low - 1e-5 <= x.min() <= x.max() <= high + 1e-5, name
        for name, dim in SIMPLEX[self.name].items():
            total = getattr(answer, name).sum(dim)
            assert (total - 1).abs().max() <= 1e-4, f"{name}: expected sums of 1, got {total.min()} to {total.max()}"

    def own(self) -> list[str]:
        """Parameters that must act on the answer."""
        if self.name == "m5":
            return REACHING_M5
        return [p.name for p in PARAMETERS if p.stage.lower() == self.name and p.name not in self.ignored]

    def test_answers_with_its_dataclass_of_float32(self, stage: nn.Module) -> None:
        image = photograph()
        answer = self.run(stage, image, default_theta(1))
        assert isinstance(answer, ANSWERS[self.name])
        assert {x.dtype for x in tensors(answer).values()} <= {torch.float32, torch.int64}
        self.check(answer, image)

    def test_same_call_same_answer_to_the_last_bit(self, stage: nn.Module) -> None:
        theta, before = default_theta(1), torch.get_rng_state()
        one, other = (tensors(self.run(stage, photograph(), theta)) for _ in range(2))
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert torch.equal(torch.get_rng_state(), before)  # no random numbers were drawn

    def test_what_it_is_given_is_left_alone(self, stage: nn.Module) -> None:
        theta, image = default_theta(1), photograph()
        with torch.no_grad():
            given = arguments(Cortex(), self.name, image, theta, self.cues(image))
            rest = [entry for entry in given if not isinstance(entry, dict)]
            parts = [x for entry in rest for x in (tensors(entry).values() if is_dataclass(entry) else [entry])]
            before = [x.clone() for x in [*parts, *theta.values()]]
            stage(*given)
        assert all(torch.equal(a, b) for a, b in zip(before, [*parts, *theta.values()], strict=True))

    def test_each_sample_has_its_own_setting(self, stage: nn.Module) -> None:
        image = torch.cat([photograph(), photograph("coffee"), photograph("chelsea"), photograph()])
        u = torch.rand(4, len(PARAMETERS), generator=torch.Generator().manual_seed(1)) - 0.5
        theta, cues = from_unit(u), self.cues(image)
        together = self.run(stage, image, theta, cues)
        for i in range(4):
            one = slice(i, i + 1)
            alone = self.run(stage, image[one], {name: value[one] for name, value in theta.items()}, cues[one])
            for name, x in tensors(alone).items():
                batch, scale = (
                    tensors(together)[name][one],
                    x.double().nan_to_num(posinf=0.0).abs().max().clamp_min(1.0),
                )
                # Atoms are padded to the most that any sample of the batch has.
                batch = batch[tuple(slice(n) for n in x.shape)]
                change = (x.double() - batch.double()).nan_to_num().abs().max() / scale
                assert change < self.batch_tolerance, f"sample {i}, {name}: {change:.1e}"

    def test_each_parameter_is_alive_and_has_a_gradient(self, stage: nn.Module) -> None:
        image, base = photograph(), default_theta(1, **self.soft_settings)
        still = self.run(stage, image, base)
        for name in self.own():
            change = largest_change(still, self.run(stage, image, moved(base, name)))
            assert change > 1e-5, f"{name}: half its range from the default the answer is the same ({change:.1e})"
            value = base[name].clone().requires_grad_()
            total = projection(self.run(stage, image, {**base, name: value}))
            (slope,) = torch.autograd.grad(total.sum(), value, allow_unused=True) if total.requires_grad else (None,)
            if slope is None or slope == 0:
                assert name in self.choosing or not PARAMETERS[name].grad, f"{name}: no gradient"
            else:
                assert torch.isfinite(slope).all(), f"{name}: gradient {slope}"

    @pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
    def test_blank_images_are_survived_with_finite_gradients(self, stage: nn.Module, value: float) -> None:
        image = torch.full((3, 3, 33, 47), value)
        theta = {
            name: x.requires_grad_() for name, x in settings_of([[x] * len(PARAMETERS) for x in (-1, 0, 1)]).items()
        }
        answer = self.run(stage, image, theta)
        self.check(answer, image)
        total = projection(answer)
        if not total.requires_grad:
            return
        slopes = torch.autograd.grad(total.sum(), list(theta.values()), allow_unused=True)
        for name, slope in zip(theta, slopes, strict=True):
            assert slope is None or torch.isfinite(slope).all(), f"{name}: gradient {slope}"

    @pytest.mark.parametrize("size", [(64, 96), (33, 47), (32, 32)])
    def test_all_low_all_high_and_random_settings(self, stage: nn.Module, size: tuple[int, int]) -> None:
        u = torch.rand(6, len(PARAMETERS), generator=torch.Generator().manual_seed(0)) * 2 - 1
        u[0], u[1] = -1, 1
        u[2:4] = u[2:4].sign()
        noise = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(2))
        image = torch.cat([photograph(size=size).expand(3, -1, -1, -1), noise])
        self.check(self.run(stage, image, from_unit(u)), image)
