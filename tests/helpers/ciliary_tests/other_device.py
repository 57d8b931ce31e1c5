"""A device that is not there: tensors that say they lie on it, and what would fail if they really did.

The numbers are computed on the CPU, by the same operations, so that everything runs: loops over merges, shapes that
depend on data, backward passes. What is watched is where tensors lie. Not seen by it: what an accelerator's kernels
cannot do (a dtype, a layout), and other rounding or other order there.
"""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

#: A device that torch knows the name of, and that nothing here lies on otherwise.
ELSEWHERE = torch.device("lazy")
_CPU = torch.device("cpu")
_aten = torch.ops.aten
#: What copies from one device to another, or reads a number out of a tensor.
_MAY_CROSS = (_aten.copy_.default, _aten._to_copy.default, _aten._local_scalar_dense.default)
#: What takes an index or a value of the CPU beside tensors of an accelerator.
_MAY_INDEX = (_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default, _aten._index_put_impl_.default)


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


class _Made(TorchFunctionMode):
    """Tensors of Python's numbers; torch makes them where no mode for operations can see it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        del types
        kwargs = dict(kwargs or {})
        goes = kwargs.get("device")
        if func in (torch.tensor, torch.as_tensor) and goes is not None and torch.device(goes).type == ELSEWHERE.type:
            del kwargs["device"]
            return func(*args, **kwargs).to(ELSEWHERE)
        return func(*args, **kwargs)


class OtherDevice(TorchDispatchMode):
    """Within it, ``.to(ELSEWHERE)`` and ``device=ELSEWHERE`` do what they say.

    Attributes:
        mixed: every place where tensors of both devices met, as ``file:line operation``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mixed: list[str] = []
        self._made = _Made()

    def __enter__(self) -> OtherDevice:
        self._made.__enter__()
        return super().__enter__()

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        self._made.__exit__(*why)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        del types
        return _run(func, args, kwargs or {}, self.mixed)


def _run(func: Any, args: Any, kwargs: Any, mixed: list[str] | None) -> Any:
    """The operation on the numbers; its answer lies where a real one would."""
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    is_there = any(isinstance(x, Elsewhere) for x in tensors)
    if is_there and mixed is not None and func not in _MAY_CROSS and (what := _meeting(func, args, tensors)):
        mixed.append(f"{_place()} {func}: {what}")
    goes = kwargs.get("device")
    lies_there = is_there if goes is None else torch.device(goes).type == ELSEWHERE.type
    if func is _aten.copy_.default:
        lies_there = isinstance(args[0], Elsewhere)
    plain_args, plain_kwargs = tree_map_only(Elsewhere, lambda x: x.inner, (args, kwargs))
    if goes is not None and lies_there:
        plain_kwargs = {**plain_kwargs, "device": _CPU}
    out = func(*plain_args, **plain_kwargs)
    if not lies_there or func is _aten._local_scalar_dense.default:
        return args[0] if func is _aten.copy_.default else out
    wrapped = tree_map_only(torch.Tensor, Elsewhere, out)
    return wrapped if goes is not None else return_and_correct_aliasing(func, args, kwargs, wrapped)


def _meeting(func: Any, args: Any, tensors: list[torch.Tensor]) -> str:
    """What is wrong with these operands, if anything is."""
    here = [x for x in tensors if not isinstance(x, Elsewhere)]
    leads = isinstance(args[0], Elsewhere) if args and isinstance(args[0], torch.Tensor) else True
    if func in _MAY_INDEX and leads:
        return ""
    if torch.Tag.pointwise in func.tags and (leads or not func.name().split(".")[0].endswith("_")):
        here = [x for x in here if x.ndim]  # a number that lies on the CPU may join any tensor
    return ", ".join(f"{tuple(x.shape)} {x.dtype} on the CPU" for x in here)


def _place() -> str:
    """The line of Ciliary that asks, innermost."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "site-packages" not in name and frame.f_globals.get("__name__", "").startswith("ciliary."):
            return f"{'/'.join(name.split('/')[-3:])}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside"


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
