"""Torch's own tensors without numbers, on a device that need not be there: what would run on it, by torch's own rules.

Where :mod:`ciliary_tests.other_device` computes and compares numbers, this one only asks torch where each operator's
answer would lie; a meeting of two devices is its own error. A loop whose length hangs on values cannot run so: the few
such operators are named ``ciliary::...`` and answer with a shape.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: A name of a device whose backward pass needs no such device: autograd asks CUDA itself for a stream.
BACKWARD = "cuda" if torch.cuda.is_available() else "lazy:0"
_aten = torch.ops.aten
#: What hands a tensor on without computing: numbers and constants on their way to the device; and draws by a seed,
#: which are the host's, so that a seed means the same everywhere.
_HANDS_ON = {
    _aten.lift_fresh.default,
    _aten.detach.default,
    _aten.alias.default,
    _aten._to_copy.default,
    _aten.copy_.default,
    _aten.randn.generator,
}


class Watch(TorchDispatchMode):
    """Counts the operators of one device, and names those whose answer lies on another.

    Attributes:
        there: how often each operator answered on the device.
        here: ``file:line operator`` of every answer of one dimension or more that lies elsewhere.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = torch.device(device).type
        self.there: Counter[str] = Counter()
        self.here: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        answer = self.answer(func, args, kwargs or {})
        lies = [x for x in tree_leaves(answer) if isinstance(x, Tensor)]
        if any(x.device.type == self.device for x in lies):
            self.there[str(func)] += 1
        elif any(x.ndim for x in lies) and func not in _HANDS_ON:
            self.here[f"{place()} {func}"] += 1
        return answer

    def answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What the operator answers."""
        return func(*args, **kwargs)

    def check(self, host: Sequence[str] = ()) -> None:
        """Fails if anything lay elsewhere, but for what the files that begin so do on the host."""
        here = {one: n for one, n in self.here.items() if not one.startswith(tuple(host))}
        assert not here, f"made on another device than {self.device}: {here}"
        assert self.there, f"nothing ran on {self.device}"


@contextmanager
def fake_device(name: str = "cuda") -> Iterator[Watch]:
    """Tensors of the device ``name`` have shapes and no numbers within; fails at the end if anything lay elsewhere."""
    with FakeTensorMode(allow_non_fake_inputs=True), Watch(name) as watch:
        yield watch
    watch.check()


def place(depth: int = 2) -> str:
    """The line of Ciliary that asks, innermost."""
    frame = sys._getframe(depth)
    while frame is not None:
        room, _, module = frame.f_globals.get("__name__", "").partition(".")
        if room == "ciliary":  # by its name: the folder of a checkout may be called anything
            return f"{module.replace('.', '/')}.py:{frame.f_lineno}"
        frame = frame.f_back
    return "outside"


def devices_of(value: Any) -> set[str]:
    """Devices of all tensors in dataclasses, mappings, sequences."""
    return {x.device.type for x in flat(value)}


def flat(value: Any) -> list[Tensor]:
    """All tensors in dataclasses (their fields, not what was drawn of them), mappings, sequences."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        value = [getattr(value, f.name) for f in fields(value)]
    elif isinstance(value, dict):
        value = list(value.values())
    return [x for part in value for x in flat(part)] if isinstance(value, (list, tuple)) else []
