"""Torch's state inside is our own, whatever a user's program has made of it: their settings are theirs, not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_AUTOCAST = ("cpu", "cuda", "mps") if torch.backends.mps.is_available() else ("cpu", "cuda")


def single_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function, within which tensors are float32, stay so, and may have a gradient.

    Neither torch's default type, nor autocast, nor inference mode reaches into it: totals would change in silence, or
    a gradient be refused. All is as it was afterwards, also after an error. In inference mode nothing is recorded for
    a gradient, unless the function itself asks for one.
    """

    @wraps(function)
    def inside(*args: P.args, **words: P.kwargs) -> R:
        if _is_ours():
            return function(*args, **words)
        with _own_state():
            return function(*args, **words)

    return inside


def _is_ours() -> bool:
    is_cast = any(torch.is_autocast_enabled(kind) for kind in _AUTOCAST)
    return torch.get_default_dtype() is torch.float32 and not is_cast and not torch.is_inference_mode_enabled()


@contextmanager
def _own_state() -> Iterator[None]:
    before = torch.get_default_dtype()
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())  # to leave inference mode is to record again
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
