"""Single precision inside, whatever a user's program has made torch's default: their setting is theirs, not ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def single_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function, in which new tensors are float32; the default is as it was afterwards, also after an error."""

    @wraps(function)
    def inside(*args: P.args, **words: P.kwargs) -> R:
        before = torch.get_default_dtype()
        if before is torch.float32:
            return function(*args, **words)
        torch.set_default_dtype(torch.float32)
        try:
            return function(*args, **words)
        finally:
            torch.set_default_dtype(before)

    return inside
