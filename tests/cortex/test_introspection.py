"""Introspection: its numbers on a cortex whose outputs are known, and that it leaves nothing behind."""

import math
from dataclasses import dataclass, fields, is_dataclass

import pytest
import torch
from torch import Tensor, nn

from ciliary.cortex import Cortex
from ciliary.cortex.options import STAGES
from ciliary.cortex.parameters import PARAMETERS, default_theta
from ciliary.cortex.profile import GRADIENT_FIELDS, describe, gradient_sizes, profile, render, watch


@dataclass(frozen=True)
class KnownOut:
    flat: Tensor
    one: Tensor
    twice: Tensor  # the storage of `one` again


class Known(nn.Module):
    """One half everywhere; one pixel alone."""

    def __init__(self, n_nan=0):
        super().__init__()
        self.n_nan = n_nan
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        one = torch.zeros(x.shape[0], 1, *x.shape[-2:])
        one[:, :, 0, 0] = 8.0
        flat = torch.full_like(one, 0.5)
        flat.view(-1)[: self.n_nan] = math.nan
        return KnownOut(flat, one, one.view_as(one))


@dataclass(frozen=True)
class KnownCues:
    depth: Tensor
    backbone: None = None


class FakeCortex(nn.Module):
    table = PARAMETERS

    def __init__(self):
        super().__init__()
        for name in STAGES:
            setattr(self, name, Known(n_nan=3 if name == "m2" else 0))

    def cues(self, image):
        return KnownCues(torch.zeros(image.shape[0], 1, *image.shape[-2:]))

    def forward(self, image, theta=None, cues=None):
        assert theta["n_slots"].shape == (image.shape[0],)
        for name in STAGES:
            out = getattr(self, name)(image)
        return out


@pytest.fixture
def reports():
    return profile(FakeCortex(), torch.rand(2, 3, 4, 8), n_repeats=2)


def test_one_report_per_stage_in_order(reports):
    assert [r.stage for r in reports] == ["cues", *STAGES]
    assert [f.name for f in reports[0].fields] == ["depth"]  # a missing backbone has no field
    assert [f.name for f in reports[1].fields] == ["flat", "one", "twice"]
    assert all(r.time_ms > 0 for r in reports)


def test_numbers_by_hand(reports):
    flat, one, _ = reports[1].fields
    assert (flat.mean, flat.spread, flat.min, flat.max, flat.n_nan) == (0.5, 0, 0.5, 0.5, 0)
    assert flat.gini == pytest.approx(0, abs=1e-6)
    assert one.shape == (2, 1, 4, 8)
    assert one.mean == pytest.approx(8 / 32)
    assert one.spread == pytest.approx(math.sqrt(64 / 32 - (8 / 32) ** 2))
    assert (one.min, one.max) == (0, 8)
    assert one.gini == pytest.approx(1 - 1 / 32)


def test_shared_memory_is_counted_once(reports):
    assert reports[1].memory_bytes == 2 * (2 * 4 * 8 * 4)
    assert reports[0].memory_bytes == 2 * 4 * 8 * 4


def test_nan_is_counted_and_left_out_of_the_rest(reports):
    m2 = next(r for r in reports if r.stage == "m2")
    assert [f.n_nan for f in m2.fields] == [3, 0, 0]
    assert m2.n_nan == 3
    assert m2.fields[0].mean == 0.5
    assert sum(r.n_nan for r in reports) == 3


def test_infinite_and_empty_fields():
    report = describe("x", torch.tensor([[1.0, math.inf], [3.0, -math.inf]]))
    assert (report.n_infinite, report.n_nan, report.mean, report.max) == (2, 0, 2.0, 3.0)
    nothing = describe("x", torch.full((1, 2), math.nan))
    assert nothing.n_nan == 2
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.gini)


def test_nothing_is_left_behind():
    cortex = FakeCortex()
    profile(cortex, torch.rand(1, 3, 4, 8), n_repeats=2, n_warmup=1)
    assert cortex.m1.n_calls == 3
    for name in STAGES:
        stage = getattr(cortex, name)
        assert not stage._forward_hooks
        assert not stage._forward_pre_hooks


def test_hooks_go_even_after_an_error():
    cortex = FakeCortex()
    with pytest.raises(TypeError), watch(cortex):
        cortex.m3(None, "nonsense")
    assert not cortex.m3._forward_hooks
    assert not cortex.m3._forward_pre_hooks


def test_watch_can_forget_outputs_and_sees_each_call():
    cortex = FakeCortex()
    with watch(cortex, keep_outputs=False) as timer:
        for _ in range(3):
            cortex(torch.rand(1, 3, 4, 8), default_theta(1))
    assert not timer.outputs
    assert {name: len(times) for name, times in timer.times_ms.items()} == dict.fromkeys(STAGES, 3)


def test_no_gradient_is_kept():
    image = torch.rand(1, 3, 4, 8, requires_grad=True)
    profile(FakeCortex(), image)
    assert image.grad is None


def test_errors():
    with pytest.raises(ValueError, match=r"expected a cortex with stage modules retina.* got Linear"):
        watch(nn.Linear(2, 2)).__enter__()
    with pytest.raises(ValueError, match="n_repeats >= 1"):
        profile(FakeCortex(), torch.rand(1, 3, 4, 8), n_repeats=0)


def test_the_table_names_every_stage_and_field(reports):
    text = render(reports)
    for report in reports:
        assert f"{report.stage}: " in text
    assert text.count("  flat") == len(STAGES)
    widths = {len(line) for line in text.splitlines() if line.startswith("  ")}
    assert len(widths) == 1
    assert "2x1x4x8" in text


def test_the_real_cortex_field_by_field_and_inside_its_patches():
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    reports = profile(Cortex(recognise=True), image, n_repeats=1)
    assert [r.stage for r in reports] == ["cues", *STAGES]
    assert sum(r.n_nan for r in reports) == 0
    by_name = {f.name: f for r in reports for f in r.fields}
    patches = by_name["patches.share"]
    assert patches.shape[0] == 2
    assert patches.mean == pytest.approx(1 / 9)
    m3 = next(r for r in reports if r.stage == "m3")
    assert m3.memory_bytes > 4 * math.prod(patches.shape)
    assert len({len(line) for line in render(reports).splitlines() if line.startswith("  ")}) == 1


def test_a_gradient_has_no_unit():
    """Of a stage that answers k times as much, and is read k times less, the number stays."""
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    cortex = Cortex().eval()
    sizes = gradient_sizes(cortex, image)
    assert sizes.keys() == set(GRADIENT_FIELDS)
    assert all(size > 0 for size in sizes.values())
    assert gradient_sizes(cortex, image) == sizes
    assert not any(p.requires_grad for p in cortex.table.default_theta(1).values())


def test_a_gradient_that_does_not_arrive_is_none():
    assert math.isnan(gradient_sizes(Cortex().eval(), torch.rand(1, 3, 32, 48), fields={"m3": "patches"})["m3"])


@pytest.mark.parametrize("inherited", ["none", "contours"])
def test_a_lean_percept_is_the_same_objects_in_less_memory(inherited):
    image = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    cortex = Cortex(inherited=inherited).eval()
    with torch.no_grad():
        whole, lean = cortex(image), cortex(image, store_intermediate=False)
    assert torch.equal(lean.labels(), whole.labels())
    assert torch.equal(lean.labels((80, 112)), whole.labels((80, 112)))
    assert torch.equal(lean.masks_coarse, whole.masks_coarse)
    assert torch.equal(lean[1].boundary, whole[1].boundary)
    assert held(lean) < 0.5 * held(whole)


def held(percept):
    """Bytes of a percept's storages, shared ones counted once."""
    storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in walk(percept)}
    return sum(storages.values())


def walk(value):
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from walk(one)
    elif is_dataclass(value):
        for f in fields(value):
            yield from walk(getattr(value, f.name))
