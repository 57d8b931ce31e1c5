"""Where tensors lie: the one place that decides on a device, and that finds it out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from ciliary.cortex.options import DEVICES

P = ParamSpec("P")
R = TypeVar("R")
#: Devices whose longest number is float32.
WITHOUT_DOUBLE = frozenset({"mps"})


def choose_device(asked: str = "auto", among: Collection[str] = DEVICES) -> torch.device:
    """The device of a name of :data:`~ciliary.cortex.options.DEVICES`.

    Args:
        asked: ``auto`` is ``cuda`` where there is one, else ``cpu``; ``mps``, which nobody has tried, when asked only.
        among: what is open to choice.

    Raises:
        ValueError: an unknown name, or there is no such device here.
    """
    if asked not in among:
        raise ValueError(f"unknown device {asked!r}; choose from {', '.join(among)}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device("cuda" if there["cuda"] and "cuda" in among else "cpu")
    if not there[asked]:
        raise ValueError(f"torch {torch.__version__} sees no {asked} device here; use the device cpu or auto")
    return torch.device(asked)


def device_of(perceiver: object) -> torch.device:
    """Where a perceiver wants its images: its own ``device``, that of a module's first tensor, else the CPU."""
    own = getattr(perceiver, "device", None)
    if own is not None:
        return torch.device(own)
    tensors = (*perceiver.parameters(), *perceiver.buffers()) if isinstance(perceiver, nn.Module) else ()
    return tensors[0].device if tensors else torch.device("cpu")


def widest(device: torch.device) -> torch.dtype:
    """Double precision, where a device has it: Apple's have not."""
    return torch.float32 if device.type in WITHOUT_DOUBLE else torch.float64


def has_numbers(tensor: Tensor) -> bool:
    """Whether values can be read: not of tensors that are a shape only (``meta``, torch's fake ones), nor in compiling.

    Checks of values are left out where there are none; what is computed is the same.
    """
    return not (torch.compiler.is_compiling() or tensor.is_meta or hasattr(tensor, "fake_mode"))


def kept(max_size: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Tensors that hang on numbers and a device alone, made once: a ``lru_cache`` that keeps no shapes.

    A tensor without numbers (:func:`has_numbers`) would be met again where there are some. A compiler takes them as
    constants.
    """

    def decorate(make: Callable[P, R]) -> Callable[P, R]:
        found: dict[Any, R] = {}

        @wraps(make)
        def keep(*args: P.args, **words: P.kwargs) -> R:
            key = (args, tuple(words.items()))
            if key in found:
                return found[key]
            made = make(*args, **words)
            if all(map(has_numbers, made if isinstance(made, tuple) else (made,))):
                if len(found) >= max_size:
                    found.pop(next(iter(found)), None)
                found[key] = made
            return made

        constant: Callable[P, R] = torch.compiler.assume_constant_result(keep)
        return constant

    return decorate


def to_device(value: Any, device: torch.device | str) -> Any:
    """``value`` with every tensor in it on ``device``: percepts and cues, dataclasses, mappings and tuples, nested.

    What lies there already is returned as it is, with all that was drawn of it.
    """
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: to_device(one, device) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(to_device(one, device) for one in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    old = {f.name: getattr(value, f.name) for f in fields(value)}
    new = {name: to_device(one, device) for name, one in old.items()}
    return value if all(_is_same(new[name], one) for name, one in old.items()) else replace(value, **new)


def _is_same(new: Any, old: Any) -> bool:
    if isinstance(new, tuple):
        return all(map(_is_same, new, old))
    if isinstance(new, dict):
        return all(_is_same(one, old[key]) for key, one in new.items())
    return new is old
