"""A stage on a device that is not there, between tensors that are: what sits the exam of its stage, as any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ciliary_tests.fake_device import flat
from ciliary_tests.fake_numbers import NumberedDevice, numbers


class StageThere(nn.Module):
    """The stage on torch's fake tensors of the device; what it is given and answers, and its gradients, are the CPU's.

    Args:
        stage: any; it stays there.
        device: whose backward pass runs without it.
    """

    def __init__(self, stage: nn.Module, device: str) -> None:
        super().__init__()
        self.there = NumberedDevice(device)
        with self.there:
            self.stage = stage.to(device)

    def forward(self, *given: Any) -> Any:
        """As the stage."""
        crossing = _Crossing(self, given)
        found = _Cross.apply(crossing, *flat(given))
        return _rebuilt(crossing.answer, iter(found).__next__)


class _Crossing:
    """One call: what goes there and comes back, and the same way round with gradients."""

    def __init__(self, owner: StageThere, given: Any) -> None:
        self.owner, self.given = owner, given

    def go(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        there = self.owner.there
        with there, torch.enable_grad():
            self.inputs = [x.to(there.name).detach().requires_grad_(x.requires_grad) for x in tensors]
            self.answer = self.owner.stage(*_rebuilt(self.given, iter(self.inputs).__next__))
            self.outputs = flat(self.answer)
            assert {x.device.type for x in self.outputs} == {there.watch.device}
        there.watch.check()
        return tuple(numbers(x) for x in self.outputs)

    def go_back(self, slopes: tuple[Tensor | None, ...]) -> list[Tensor | None]:
        there = self.owner.there
        ends = [
            (x, slope) for x, slope in zip(self.outputs, slopes, strict=True) if x.requires_grad and slope is not None
        ]
        wanted = [x for x in self.inputs if x.requires_grad]
        with there:
            brought = [slope.to(there.name) for _, slope in ends]
            found = iter(torch.autograd.grad([x for x, _ in ends], wanted, brought, allow_unused=True))
        there.watch.check()
        at = [next(found) if x.requires_grad else None for x in self.inputs]
        return [None if x is None else numbers(x) for x in at]


class _Cross(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, crossing: _Crossing, *tensors: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        ctx.crossing = crossing
        ctx.set_materialize_grads(False)
        found = crossing.go(tensors)
        still = [x for x, there in zip(found, crossing.outputs, strict=True) if not there.requires_grad]
        ctx.mark_non_differentiable(*still)
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> Any:
        return None, *ctx.crossing.go_back(slopes)


def _rebuilt(value: Any, following: Callable[[], Tensor]) -> Any:
    """The same dataclasses, mappings and sequences, of other tensors, in the order of ``flat``."""
    if isinstance(value, Tensor):
        return following()
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _rebuilt(getattr(value, f.name), following) for f in fields(value)})
    if isinstance(value, dict):
        return {key: _rebuilt(one, following) for key, one in value.items()}
    return type(value)(_rebuilt(one, following) for one in value) if isinstance(value, (tuple, list)) else value
