"""What goes back through a rectifier: the gradient, or what guided backpropagation and deconvnets let through.

Applied to every ReLU that is called while the mode is on, ``torch.relu`` and ``nn.ReLU`` alike: hooks on modules would
miss those that are called as functions. The rule is read when going back: one pass forward serves all rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

#: Rule -> what of a gradient goes back to an input x: (gradient, x) to (gradient), all of one shape.
RULES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradient": lambda g, x: g * (x > 0),
    "guided": lambda g, x: g * (x > 0) * (g > 0),  # Springenberg et al. 2015
    "deconvnet": lambda g, x: g * (g > 0),  # Zeiler & Fergus 2014
}
_RELUS = frozenset({F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_})


class RectifierRule(TorchFunctionMode):
    """A context in which ReLUs go back by :attr:`rule`, one of :data:`RULES`, which may be changed in between."""

    def __init__(self, rule: str = "gradient") -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Ours in place of a ReLU."""
        if func in _RELUS:
            return _Rectified.apply(args[0], self)
        return func(*args, **(kwargs or {}))


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mode: RectifierRule) -> Tensor:
        ctx.save_for_backward(x)
        ctx.mode = mode
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return RULES[ctx.mode.rule](gradients[0], x), None
