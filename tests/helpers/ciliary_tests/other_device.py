"""A device that is not there, with numbers: tensors that say they lie on it, and what would fail if they really did.

The numbers are computed on the CPU, by the same operations, so that everything runs: loops over merges, shapes that
depend on data, backward passes. What is watched is where tensors lie. Not seen by it: what an accelerator's kernels
cannot do (a dtype, a layout), and other rounding or other order there. Where torch itself is asked, without numbers:
:mod:`ciliary_tests.fake_device`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ciliary_tests.fake_device import place

#: A device that torch knows the name of, and that nothing here lies on otherwise.
ELSEWHERE = torch.device("lazy")
_CPU = torch.device("cpu")
_aten = torch.ops.aten
#: What copies from one device to another, or reads a number out of a tensor.
_MAY_CROSS = (_aten.copy_.default, _aten._to_copy.default, _aten._local_scalar_dense.default)
#: What takes an index or a value of the CPU beside tensors of an accelerator.
_MAY_INDEX = (_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default, _aten._index_put_impl_.default)
#: What only marks a tensor, and the mark would be lost: done at once.
_LAZY = {_aten._conj.default: _aten._conj_physical.default, _aten._neg_view.default: _aten.neg.default}


class Elsewhere(torch.Tensor):
    """A tensor that says it lies on :data:`ELSEWHERE`; its numbers are in ``inner``."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Elsewhere:
        """Around a tensor of the CPU."""
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=ELSEWHERE,
        )
        tensor.inner = inner
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        del types
        return _run(func, args, kwargs or {}, None)

    def __getitem__(self, index: Any) -> Any:
        """Lists of Python's numbers first made tensors, of which an index may lie on the CPU."""
        parts = index if isinstance(index, tuple) else (index,)
        whole = tuple(torch.as_tensor(one) if isinstance(one, list) else one for one in parts)
        return super().__getitem__(whole)

    def new_tensor(self, data: Any, **options: Any) -> Elsewhere:
        """Of a tensor on this device; torch makes it where no mode can see it."""
        return Elsewhere(self.inner.new_tensor(data, **options))

    def numpy(self, **unread: Any) -> Any:
        """What torch says of an accelerator's."""
        del unread
        raise TypeError("can't convert a tensor of another device to numpy; use Tensor.cpu() first")

    def __array__(self, *unread: Any, **also_unread: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        """Of any device."""
        return self.inner.tolist()


class OtherDevice(TorchDispatchMode):
    """Within it, ``.to(ELSEWHERE)`` and ``device=ELSEWHERE`` do what they say.

    Attributes:
        mixed: every place where tensors of both devices met, as ``file:line operation``; on a device without double
            precision also where a number of it was made there.
    """

    def __init__(self, *, has_double: bool = True) -> None:
        super().__init__()
        self.mixed: list[str] = []
        self.has_double = has_double
        self._patched = pytest.MonkeyPatch()

    def __enter__(self) -> OtherDevice:
        for name in ("tensor", "as_tensor"):  # torch makes these where no mode can see it
            self._patched.setattr(torch, name, _made_there(getattr(torch, name)))
        return super().__enter__()

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        self._patched.undo()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        del types
        answer = _run(func, args, kwargs or {}, self.mixed)
        if not self.has_double and any(
            x.dtype is torch.float64 for x in tree_leaves(answer) if isinstance(x, Elsewhere)
        ):
            self.mixed.append(f"{place()} {func}: double precision")
        return answer


def _made_there(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def made(data: Any, *, device: Any = None, **options: Any) -> torch.Tensor:
        goes = device is not None and torch.device(device).type == ELSEWHERE.type
        return make(data, **options).to(ELSEWHERE) if goes else make(data, device=device, **options)

    return made


def _run(func: Any, args: Any, kwargs: Any, mixed: list[str] | None) -> Any:
    """The operation on the numbers; its answer lies where a real one would."""
    tensors: list[torch.Tensor] = []
    plain_args, plain_kwargs = _plain(args, tensors), _plain(kwargs, tensors)
    is_there = any(isinstance(x, Elsewhere) for x in tensors)
    if is_there and mixed is not None and func not in _MAY_CROSS and (what := _meeting(func, args, tensors)):
        mixed.append(f"{place(3)} {func}: {what}")
    goes = kwargs.get("device")
    lies_there = is_there if goes is None else torch.device(goes).type == ELSEWHERE.type
    if func is _aten.copy_.default:
        lies_there = isinstance(args[0], Elsewhere)
    if goes is not None and lies_there:
        plain_kwargs["device"] = _CPU
    out = _LAZY.get(func, func)(*plain_args, **plain_kwargs)
    if not lies_there or func is _aten._local_scalar_dense.default:
        return out
    return _wrapped(out, {id(x.inner): x for x in tensors if isinstance(x, Elsewhere)})


def _plain(value: Any, found: list[torch.Tensor]) -> Any:
    """Operands with the numbers in place of tensors elsewhere; all tensors go to ``found``."""
    if isinstance(value, torch.Tensor):
        found.append(value)
        return value.inner if isinstance(value, Elsewhere) else value
    if isinstance(value, (tuple, list)):
        return [_plain(one, found) for one in value]
    return {key: _plain(one, found) for key, one in value.items()} if isinstance(value, dict) else value


def _wrapped(out: Any, known: dict[int, Elsewhere]) -> Any:
    """Tensors of an answer; what an operation changed in place is the tensor that it was."""
    if isinstance(out, torch.Tensor):
        return known.get(id(out)) if id(out) in known else Elsewhere(out)
    return type(out)(_wrapped(one, known) for one in out) if isinstance(out, (tuple, list)) else out


def _meeting(func: Any, args: Any, tensors: list[torch.Tensor]) -> str:
    """What is wrong with these operands, if anything is."""
    here = [x for x in tensors if not isinstance(x, Elsewhere)]
    leads = isinstance(args[0], Elsewhere) if args and isinstance(args[0], torch.Tensor) else True
    if func in _MAY_INDEX and leads:
        return ""
    if torch.Tag.pointwise in func.tags and (leads or not func.name().split(".")[0].endswith("_")):
        here = [x for x in here if x.ndim]  # a number that lies on the CPU may join any tensor
    return ", ".join(f"{tuple(x.shape)} {x.dtype} on the CPU" for x in here)


def lying_here(value: Any, name: str = "") -> list[str]:
    """Names of the tensors in dataclasses, mappings and sequences that do not lie on :data:`ELSEWHERE`."""
    if isinstance(value, torch.Tensor):
        return [] if isinstance(value, Elsewhere) else [name]
    if is_dataclass(value):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
    elif isinstance(value, dict):
        parts = value
    elif isinstance(value, (tuple, list)):
        parts = dict(enumerate(value))
    else:
        return []
    return [one for key, part in parts.items() for one in lying_here(part, f"{name}.{key}")]


def numbers(value: torch.Tensor) -> torch.Tensor:
    """The tensor's numbers on the CPU, without gradient."""
    value = value.detach()
    return value.inner if isinstance(value, Elsewhere) else value


def assert_same_weights(one: torch.nn.Module, other: torch.nn.Module) -> None:
    """Two modules hold the same numbers, up to rounding, wherever they lie."""
    values = one.state_dict()
    for name, value in other.state_dict().items():
        torch.testing.assert_close(numbers(values[name]), numbers(value), msg=lambda text, name=name: f"{name}: {text}")
