"""The exam that every perceiver sits: subclass it as ``Test...`` and give the fixture ``perceiver``.

    from ciliary.cortex import SegmenterPerceiver
    from ciliary.testing.perceiver import PerceiverContract

    class TestMine(PerceiverContract):
        @pytest.fixture
        def perceiver(self):
            return SegmenterPerceiver(segment, {"threshold": (0.2, 0.8, 0.5)})

What it declares in ``answers`` (:data:`ciliary.cortex.perceiver.ANSWERS`) is looked at too, and nothing else is asked.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from ciliary.cortex.perceiver import AbstractPercept, Perceiver, check_perceiver
from ciliary.cortex.table import ParameterTable, Theta


def photographs(size: tuple[int, int]) -> Tensor:
    """(2, 3, H, W): two photographs that come with scikit-image, made small."""
    pixels = [torch.from_numpy(getattr(data, name)()[:400, :600]).permute(2, 0, 1) for name in ("coffee", "rocket")]
    return F.interpolate(torch.stack(pixels).float() / 255, size=size, mode="area")


def settings_between(table: ParameterTable, batch: int, *, seed: int = 0) -> Theta:
    """Settings in the middle half of every range, another for each image."""
    u = torch.rand(batch, len(table), generator=torch.Generator().manual_seed(seed)) - 0.5
    return table.from_unit(u)


def joined(parts: list[Any]) -> Any:
    """Dataclasses of tensors (nested) joined along the batch; what is no tensor is the same in all."""
    first = parts[0]
    if is_dataclass(first) and not isinstance(first, type):
        return replace(first, **{f.name: joined([getattr(part, f.name) for part in parts]) for f in fields(first)})
    return torch.cat(parts) if isinstance(first, Tensor) else first


def assert_same_percept(one: AbstractPercept, other: AbstractPercept, *, atol: float = 0.0, what: str = "") -> None:
    """Masks are alike; their numbers may differ by masks of nothing."""
    masks = [one.masks, other.masks]
    n = max(x.shape[1] for x in masks)
    first, second = (F.pad(x, (0, 0, 0, 0, 0, n - x.shape[1])) for x in masks)
    torch.testing.assert_close(first, second, atol=atol, rtol=0, msg=lambda text: f"{what}: {text}")


class PerceiverContract:
    """Table, masks, labels, boundary, joining, determinism, images on their own, and what is declared."""

    #: (height, width) of the photographs it is shown.
    size: ClassVar[tuple[int, int]] = (48, 64)
    #: How far a percept in a batch may be from the same image's alone, in shares of a mask.
    batch_tolerance: ClassVar[float] = 1e-4

    @pytest.fixture
    def perceiver(self) -> Perceiver:
        raise NotImplementedError("give the contract a fixture `perceiver`")

    def perceive(self, perceiver: Perceiver, image: Tensor, theta: Theta | None = None) -> AbstractPercept:
        theta = perceiver.table.default_theta(len(image)) if theta is None else theta
        with torch.no_grad():
            return perceiver(image, theta, perceiver.cues(image))

    def test_has_all_that_a_perceiver_must_have(self, perceiver: Perceiver) -> None:
        assert check_perceiver(perceiver) is perceiver
        assert perceiver.name
        assert isinstance(perceiver.answers, frozenset)
        assert isinstance(perceiver.inert, frozenset)
        assert set(perceiver.inert) < set(perceiver.table.names), "nothing is left to set"

    def test_every_parameter_has_a_range_and_a_default_in_it(self, perceiver: Perceiver) -> None:
        for row in perceiver.table:
            assert row.name.isidentifier()
            assert row.low < row.high, row.name
            assert row.low <= row.default <= row.high, row.name
        u = perceiver.table.default_unit()
        assert u.abs().max() <= 1

    def test_masks_are_a_partition_at_both_sizes(self, perceiver: Perceiver) -> None:
        image = photographs(self.size)
        percept = self.perceive(perceiver, image, settings_between(perceiver.table, 2))
        height, width = self.size
        n = percept.masks.shape[1]
        assert percept.masks.shape == (2, n, height, width)
        assert percept.masks_coarse.shape == (2, n, height // 2, width // 2)
        for masks in (percept.masks, percept.masks_coarse):
            assert masks.dtype == torch.float32
            assert masks.min() >= -1e-5
            torch.testing.assert_close(masks.sum(1), torch.ones_like(masks[:, 0]), atol=1e-4, rtol=0)
        averaged = F.avg_pool2d(percept.masks, 2)
        torch.testing.assert_close(percept.masks_coarse, averaged, atol=1e-4, rtol=0)

    def test_labels_are_numbered_without_gaps_and_agree_with_masks(self, perceiver: Perceiver) -> None:
        image = photographs(self.size)
        percept = self.perceive(perceiver, image, settings_between(perceiver.table, 2))
        labels = percept.labels()
        assert labels.dtype == torch.int64
        assert labels.shape == (2, *self.size)
        winner = percept.masks.max(1).indices
        for i in range(2):
            numbers = labels[i].unique()
            assert numbers.tolist() == list(range(len(numbers)))
            pairs = torch.stack([labels[i].flatten(), winner[i].flatten()]).unique(dim=1)
            assert pairs.shape[1] == len(numbers), "a segment lies in two masks"
            # There may be more segments than masks, if the perceiver says so by giving fewer masks than segments.
            assert len(numbers) >= len(winner[i].unique())

    @pytest.mark.parametrize("scale", [0.5, 1.7])
    def test_labels_come_at_any_size(self, perceiver: Perceiver, scale: float) -> None:
        percept = self.perceive(perceiver, photographs(self.size))
        size = (int(self.size[0] * scale), int(self.size[1] * scale))
        labels = percept.labels(size)
        assert labels.shape == (2, *size)
        for one, own in zip(labels, percept.labels(), strict=True):
            assert one.unique().tolist() == list(range(int(one.max()) + 1))
            assert one.max() <= own.max(), "a segment came out of nothing"

    def test_the_boundary_lies_in_0_to_1(self, perceiver: Perceiver) -> None:
        boundary = self.perceive(perceiver, photographs(self.size)).boundary
        assert boundary.shape == (2, 1, *self.size)
        assert boundary.min() >= 0
        assert boundary.max() <= 1 + 1e-5

    def test_the_same_image_and_setting_give_the_same(self, perceiver: Perceiver) -> None:
        image, theta = photographs(self.size), settings_between(perceiver.table, 2)
        kept = image.clone()
        one, other = self.perceive(perceiver, image, theta), self.perceive(perceiver, image, theta)
        assert torch.equal(one.masks, other.masks)
        assert torch.equal(one.labels(), other.labels())
        assert torch.equal(image, kept), "it writes into its image"

    def test_each_image_has_its_own_setting(self, perceiver: Perceiver) -> None:
        image, theta = photographs(self.size), settings_between(perceiver.table, 2)
        together = self.perceive(perceiver, image, theta)
        for i in range(2):
            alone = self.perceive(perceiver, image[i : i + 1], {name: x[i : i + 1] for name, x in theta.items()})
            assert_same_percept(together[i], alone, atol=self.batch_tolerance, what=f"image {i} alone")

    def test_percepts_are_taken_apart_and_joined(self, perceiver: Perceiver) -> None:
        percept = self.perceive(perceiver, photographs(self.size), settings_between(perceiver.table, 2))
        assert is_dataclass(percept)
        swapped = percept[torch.tensor([1, 0])]
        assert torch.equal(swapped.labels(), percept.labels().flip(0))
        assert_same_percept(percept[-1], percept[1:], what="the last")
        apart = [self.perceive(perceiver, one[None]) for one in photographs(self.size)]
        both = joined(apart)
        assert torch.equal(both.labels(), torch.cat([one.labels() for one in apart]))
        assert_same_percept(both[0], apart[0], what="joined")

    def test_cues_are_shared_by_settings(self, perceiver: Perceiver) -> None:
        image = photographs(self.size)
        cues: Any = perceiver.cues(image)
        if cues is None:
            return
        assert is_dataclass(cues)
        taken: Any = cues
        rows = torch.tensor([0, 0, 1])
        theta = settings_between(perceiver.table, 3)
        with torch.no_grad():
            shared = perceiver(image[rows], theta, taken[rows])
        own = self.perceive(perceiver, image[rows], theta)
        assert_same_percept(shared, own, atol=self.batch_tolerance, what="with cues computed beforehand")

    def test_the_ends_of_all_ranges_are_survived(self, perceiver: Perceiver) -> None:
        image = photographs(self.size)
        for end in (-1.0, 1.0):
            percept = self.perceive(
                perceiver, image, perceiver.table.from_unit(torch.full((2, len(perceiver.table)), end))
            )
            assert torch.isfinite(percept.masks).all()
            torch.testing.assert_close(percept.masks.sum(1), torch.ones(2, *self.size), atol=1e-4, rtol=0)

    def test_odd_sides_and_blank_images_are_survived(self, perceiver: Perceiver) -> None:
        height, width = self.size[0] - 1, self.size[1] - 1
        for image in (photographs((height, width)), torch.full((1, 3, height, width), 0.5)):
            percept = self.perceive(perceiver, image)
            assert percept.labels().shape == (len(image), height, width)
            assert percept.masks_coarse.shape[-2:] == (height // 2, width // 2)

    def test_settings_matter_and_those_called_inert_do_not(self, perceiver: Perceiver) -> None:
        image = photographs(self.size)[:1]
        table = perceiver.table
        default = self.perceive(perceiver, image)
        changed = set()
        for row in table:
            ends = table.default_theta(2) | {row.name: torch.tensor([row.low, row.high])}
            percept = self.perceive(perceiver, image.repeat(2, 1, 1, 1), ends)
            n = max(percept.masks.shape[1], default.masks.shape[1])
            before, after = (F.pad(x, (0, 0, 0, 0, 0, n - x.shape[1])) for x in (default.masks, percept.masks))
            if (after - before).abs().max() > 1e-3:
                changed.add(row.name)
        assert not changed & perceiver.inert, f"called inert, and changes the percept: {changed & perceiver.inert}"
        assert changed, "no parameter changes anything"

    def test_the_gradient_reaches_parameters_if_it_is_declared(self, perceiver: Perceiver) -> None:
        image, table = photographs(self.size)[:1], perceiver.table
        u = table.default_unit().requires_grad_(True)
        masks = perceiver(image, table.from_unit(u), perceiver.cues(image)).masks
        if "gradient" not in perceiver.answers:
            assert not masks.requires_grad, "masks have a gradient that is not declared"
            return
        weight = torch.randn(masks.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((masks * weight).mean(), u)
        assert torch.isfinite(gradient).all()
        is_inert = torch.tensor([name in perceiver.inert for name in table.names])
        assert (gradient[0] != 0).sum() >= max(1, int((~is_inert).sum()) // 2), "most parameters have none"

    def test_energy_recognition_and_stages_are_there_if_declared(self, perceiver: Perceiver) -> None:
        percept: Any = self.perceive(perceiver, photographs(self.size))
        if "energy" in perceiver.answers:
            assert percept.energy.ndim == 4
            assert percept.energy.shape[0] == 2
            assert percept.energy.min() >= 0
        if "recognition" in perceiver.answers:
            assert percept.m5 is not None
        if "stages" in perceiver.answers:
            for name in ("retina", "m1", "m2", "m3", "m4"):
                assert is_dataclass(getattr(percept, name))
