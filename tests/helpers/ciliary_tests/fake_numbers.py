"""Torch's fake tensors with their numbers beside them: what reads values to go on runs on a device that is not there.

Each operator is done twice: by torch's fake tensors, which say where its answer lies and refuse two devices that meet,
and on the CPU, which says what it is. A number that is read, and a size that hangs on one (:data:`NEEDS_NUMBERS`), is
the CPU's; all other shapes must be the same in both. Operators of our own (``ciliary::...``) are taken apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._pytree import tree_leaves

from ciliary.cortex.ops.agglomerate import agglomerate_tables
from ciliary.cortex.ops.geodesic import relaxed
from ciliary_tests.fake_device import Watch, place

_aten = torch.ops.aten
#: The CPU's operator for one that CUDA alone has.
_ON_CPU = {_aten.cudnn_batch_norm.default: _aten.native_batch_norm.default}
#: Whose further answers, for the way back, have sizes of each device's own.
_OF_OWN_SIZE = {
    *_ON_CPU,
    _aten.native_batch_norm.default,
    _aten._embedding_bag.default,
    _aten._embedding_bag_forward_only.default,
}
NEEDS_NUMBERS = (DataDependentOutputException, DynamicOutputShapeException)
_BODIES = {getattr(torch.ops.ciliary, op._name).default: op._init_fn for op in (relaxed, agglomerate_tables)}


class NumberedWatch(Watch):
    """A :class:`Watch` whose tensors have numbers.

    Attributes:
        reads: how often which operator, asked at which ``file:line``, needed numbers.
    """

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.reads: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        body = _BODIES.get(func)
        if body is None:
            return super().__torch_dispatch__(func, types, args, kwargs)
        with self:
            return body(*args, **(kwargs or {}))

    def answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The fake answer, its numbers beside it; on the host, where there are numbers, those."""
        plain, words = _plain(args), _plain(kwargs)
        goes = kwargs.get("device")
        if goes is not None and torch.device(goes).type == self.device:
            words["device"] = torch.device("cpu")
        with torch._C._DisableTorchDispatch():
            found = _ON_CPU.get(func, func)(*plain, **words)
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if words.get("device") is goes and not any(isinstance(x, FakeTensor) for x in given):
            return found
        try:
            fake = func(*args, **kwargs)
        except NEEDS_NUMBERS:
            self.reads[f"{place(4)} {func}"] += 1
            fake = _like(found, next(x.device for x in given if isinstance(x, FakeTensor)))
        return _joined(fake, found, has_own_sizes=func in _OF_OWN_SIZE, func=func)


class NumberedDevice:
    """Within it, tensors of the device ``name`` are torch's fake ones, with numbers; may be entered again and again."""

    def __init__(self, name: str = "cuda") -> None:
        self.name, self.watch = name, NumberedWatch(name)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._open = ExitStack()

    def __enter__(self) -> NumberedWatch:
        patched = self._open.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(FakeTensor, "numpy", _no_numpy)
        patched.setattr(FakeTensor, "tolist", lambda tensor: tensor.cpu().tolist())
        self._open.enter_context(self._mode)
        return self._open.enter_context(self.watch)

    def __exit__(self, *why: Any) -> None:
        self._open.close()


@contextmanager
def numbered_device(name: str = "cuda", *, host: Sequence[str] = ()) -> Iterator[NumberedWatch]:
    """As :func:`~ciliary_tests.fake_device.fake_device`, with numbers; ``host`` names files that work on the CPU."""
    with NumberedDevice(name) as watch:
        yield watch
    watch.check(host)


def numbers(value: Tensor) -> Tensor:
    """The tensor's numbers, on the CPU, without gradient."""
    with torch._C._DisableTorchDispatch():
        return (value.numbers if isinstance(value, FakeTensor) else value).detach()


def _plain(value: Any) -> Any:
    if isinstance(value, FakeTensor):
        return value.numbers
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def _like(found: Any, device: torch.device) -> Any:
    """Fake tensors of these shapes; a number as it is."""
    if isinstance(found, Tensor):
        return torch.empty_strided(found.shape, found.stride(), dtype=found.dtype, device=device)
    return tuple(_like(one, device) for one in found) if isinstance(found, (tuple, list)) else found


def _joined(fake: Any, found: Any, *, has_own_sizes: bool, func: Any) -> Any:
    """Each fake answer with its numbers beside it; what lies on the host is the numbers."""
    if isinstance(fake, (tuple, list)):
        both = zip(fake, found, strict=not has_own_sizes)
        parts = [_joined(one, own, has_own_sizes=has_own_sizes, func=func) for one, own in both]
        return type(fake)([*parts, *fake[len(parts) :]])
    if not isinstance(fake, FakeTensor):
        return fake
    is_same = fake.dtype is found.dtype and (has_own_sizes or fake.shape == found.shape)
    assert is_same, f"{func}: {fake.dtype} {tuple(fake.shape)}, with numbers {found.dtype} {tuple(found.shape)}"
    if fake.device.type == "cpu":
        return found
    fake.numbers = found
    return fake


def _no_numpy(tensor: Tensor) -> Any:
    """What torch says of an accelerator's."""
    raise TypeError(f"can't convert a tensor of {tensor.device} to numpy; use Tensor.cpu() first")
