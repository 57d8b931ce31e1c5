"""What perceiving one image costs, in operations: counted by torch where it can, worked out where it cannot.

Matrix products and convolutions are counted by ``torch.utils.flop_counter``. Fourier transforms, which it does not
know, are given 5 N log2 N operations (Cooley & Tukey's; half of it for real signals). What is done number by number
(adding, exponentials, ...) is counted as one operation a number and kept apart, for it is of another kind. Sorting,
gathering and copying are not counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.cortex.model import Cortex
from ciliary.cortex.options import STAGES
from ciliary.cortex.stages.m5_learned import N_CODE, N_HIDDEN

CUE_MODULES = ("depth", "backbone", "deep")


@dataclass(frozen=True)
class StageCost:
    """Operations of one stage on one image.

    Attributes:
        stage: ``deep``, ``retina``, ``m1`` ...
        multiply_adds: of matrix products and convolutions, counted by torch.
        fourier: multiply-adds of Fourier transforms, worked out.
        elementwise: numbers that were computed one by one.
    """

    stage: str
    multiply_adds: int
    fourier: int
    elementwise: int


@torch.no_grad()
def stage_costs(cortex: Cortex, image: Tensor) -> list[StageCost]:
    """Cost of each provider and stage on one image (1, 3, H, W), in the order they run.

    Providers that do nothing are left out.
    """
    if len(image) != 1:
        raise ValueError(f"expected one image, got {len(image)}")
    stages = [name for name in (*CUE_MODULES, *STAGES) if isinstance(getattr(cortex, name, None), nn.Module)]
    cortex(image)  # filters are made once, not for each image
    elements = _Elementwise(cortex, stages)
    try:
        with FlopCounterMode(display=False, custom_mapping=_FOURIER) as products, elements:
            cortex(image)
    finally:
        elements.detach()
    by_stage = {path.split(".")[1]: own for path, own in products.get_flop_counts().items() if path.count(".") == 1}
    costs = []
    for name in stages:
        own = by_stage.get(name, {})
        fourier = sum(n for operation, n in own.items() if operation in _FOURIER)
        # Torch counts a multiply-add as two.
        costs.append(StageCost(name, (sum(own.values()) - fourier) // 2, fourier // 2, elements.counts[name]))
    return [one for one in costs if one.stage in STAGES or one.multiply_adds + one.elementwise]


@torch.no_grad()
def multiply_adds_of(cortex: Cortex, image: Tensor, *paths: str) -> list[int]:
    """Multiply-adds of modules such as ``m1.v1`` on one image (1, 3, H, W), Fourier transforms among them."""
    cortex(image)  # filters are made once, not for each image
    with FlopCounterMode(display=False, custom_mapping=_FOURIER) as products:
        cortex(image)
    counts = products.get_flop_counts()
    return [sum(counts.get(f"{type(cortex).__name__}.{path}", {}).values()) // 2 for path in paths]


def expert_multiply_adds(n_experts: int, n_active: int) -> int:
    """Multiply-adds of the learned M5 for one proto-object when ``n_active`` of its experts answer.

    Router, experts and decoder as :class:`~ciliary.cortex.stages.m5_learned.ExpertBank` has them; their joining is left
    out (one multiplication a number of the code).
    """
    n_in = N_DESCRIPTION + len(PARTS)
    router = n_in * n_experts
    expert = n_in * N_HIDDEN + N_HIDDEN * N_CODE
    decoder = N_CODE * N_DESCRIPTION
    return router + n_active * expert + decoder


class _Elementwise(TorchDispatchMode):
    """Counts what is computed number by number in each stage; hooks on the stages say which is at work."""

    def __init__(self, cortex: nn.Module, stages: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
        self.counts: Counter[str] = Counter()
        self._now: str | None = None
        self._handles = []
        for name in stages:
            module = getattr(cortex, name)
            self._handles += [
                module.register_forward_pre_hook(partial(self._set, name)),
                module.register_forward_hook(partial(self._set, None)),
            ]

    def detach(self) -> None:
        """Take the hooks off again."""
        for handle in self._handles:
            handle.remove()

    def _set(self, name: str | None, *_: Any) -> None:
        self._now = name

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._now is not None and torch.Tag.pointwise in func.tags and isinstance(result, Tensor):
            self.counts[self._now] += result.numel()
        return result


def _transform(share: float, shape: Sequence[int], dims: Sequence[int]) -> int:
    """5 N log2 N operations for each transform of N numbers over ``dims``."""
    n = math.prod(shape[d] for d in dims)
    return round(share * 5 * math.prod(shape) * math.log2(n)) if n > 1 else 0


def _complex(shape: Sequence[int], dims: Sequence[int], *_: Any, **__: Any) -> int:
    return _transform(1.0, shape, dims)


def _to_complex(shape: Sequence[int], dims: Sequence[int], *_: Any, **__: Any) -> int:
    return _transform(0.5, shape, dims)


def _to_real(shape: Sequence[int], dims: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
    return _transform(0.5, out_shape, dims)


_FOURIER: dict[Any, Any] = {
    torch.ops.aten._fft_c2c: _complex,  # noqa: SLF001 -- torch names them so
    torch.ops.aten._fft_r2c: _to_complex,  # noqa: SLF001 -- torch names them so
    torch.ops.aten._fft_c2r: _to_real,  # noqa: SLF001 -- torch names them so
}
