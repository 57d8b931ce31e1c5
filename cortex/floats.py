"""Single precision inside, whatever a user's program has made torch's default or casts to: that is theirs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")
_CASTING = ("cpu", "cuda", "mps")


def single_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function, in which new tensors are float32 and autocast is off; afterwards they are as before."""

    @wraps(function)
    def inside(*args: P.args, **words: P.kwargs) -> R:
        if any(map(torch.is_autocast_enabled, _CASTING)):
            with ExitStack() as off:
                for kind in filter(torch.is_autocast_enabled, _CASTING):
                    off.enter_context(torch.autocast(kind, enabled=False))
                return inside(*args, **words)
        before = torch.get_default_dtype()
        if before is torch.float32:
            return function(*args, **words)
        torch.set_default_dtype(torch.float32)
        try:
            return function(*args, **words)
        finally:
            torch.set_default_dtype(before)

    return inside
