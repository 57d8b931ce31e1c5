"""What a cortex does inside: time, memory and the statistics of every output field, per stage, on request only.

Nothing is measured, and nothing is registered on the cortex, outside a call of :func:`profile` or :func:`watch`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ciliary.cortex.ops.gini import gini
from ciliary.cortex.options import STAGES
from ciliary.cortex.parameters import Theta

if TYPE_CHECKING:
    from ciliary.cortex.model import Cortex


#: Of each stage, what later ones read most of.
GRADIENT_FIELDS: Mapping[str, str] = {
    "retina": "opponent",
    "m1": "features",
    "m2": "barrier",
    "m3": "assignment",
    "m4": "assignment",
}


@dataclass(frozen=True)
class FieldReport:
    """Statistics of one output field, over its finite values."""

    name: str
    shape: tuple[int, ...]
    mean: float
    spread: float  # standard deviation (population)
    min: float
    max: float
    gini: float  # sparsity of the magnitudes, mean over the samples; rectified normal noise has 0.71
    n_nan: int
    n_infinite: int


@dataclass(frozen=True)
class StageReport:
    """One stage: its time, the memory its output holds, its fields."""

    stage: str  # "cues", "retina", "m1" ...
    time_ms: float  # median over the repeats, whole batch
    memory_bytes: int  # of the output's storages, shared ones counted once
    fields: tuple[FieldReport, ...]

    @property
    def n_nan(self) -> int:
        """NaN count over all fields."""
        return sum(f.n_nan for f in self.fields)


@dataclass
class StageTimer:
    """Times and last outputs of the stages that ran while it watched."""

    times_ms: dict[str, list[float]] = field(default_factory=dict)
    outputs: dict[str, object] = field(default_factory=dict)
    keep_outputs: bool = True


@contextmanager
def watch(cortex: nn.Module, *, keep_outputs: bool = True) -> Iterator[StageTimer]:
    """Time the stages of a cortex while the context is open, by hooks that are removed at its end.

    Raises:
        ValueError: if the cortex has none of the modules ``retina``, ``m1`` ... ``m4``.
    """
    stages = {name: module for name, module in cortex.named_children() if name in STAGES}
    if not stages:
        children = [name for name, _ in cortex.named_children()]
        raise ValueError(
            f"expected a cortex with stage modules {', '.join(STAGES)}, got {type(cortex).__name__} with "
            f"children {children}; register each stage as a module under its name"
        )
    timer = StageTimer(keep_outputs=keep_outputs)
    started: dict[str, float] = {}
    handles = []

    def start(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, args: Any) -> None:
            _synchronise()
            started[name] = time.perf_counter()

        return hook

    def stop(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            _synchronise()
            timer.times_ms.setdefault(name, []).append(1000 * (time.perf_counter() - started.pop(name)))
            if timer.keep_outputs:
                timer.outputs[name] = output

        return hook

    try:
        for name, module in stages.items():
            handles.append(module.register_forward_pre_hook(start(name)))
            handles.append(module.register_forward_hook(stop(name)))
        yield timer
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def profile(
    cortex: Cortex, image: Tensor, theta: Theta | None = None, *, n_repeats: int = 3, n_warmup: int = 1
) -> list[StageReport]:
    """Look inside a cortex while it perceives.

    Args:
        cortex: with stage modules ``retina``, ``m1`` ... ``m4``, each returning a dataclass of tensors.
        image: (B, 3, H, W) sRGB in [0, 1].
        theta: settings per sample; the defaults when None.
        n_repeats: forward passes whose median time is reported (>= 1).
        n_warmup: passes before them that do not count.

    Returns:
        One report for the cues (depth, backbone) and one per stage, in the order they ran.
    """
    if n_repeats < 1:
        raise ValueError(f"expected n_repeats >= 1, got {n_repeats}")
    theta = cortex.table.default_theta(image.shape[0], image.device) if theta is None else theta
    for _ in range(n_warmup):
        cortex(image, theta, cortex.cues(image))
    cue_times = []
    with watch(cortex) as timer:
        for _ in range(n_repeats):
            _synchronise()
            start = time.perf_counter()
            cues = cortex.cues(image)
            _synchronise()
            cue_times.append(1000 * (time.perf_counter() - start))
            cortex(image, theta, cues)
    reports = [_report("cues", cue_times, cues)]
    return reports + [_report(name, timer.times_ms[name], output) for name, output in timer.outputs.items()]


def gradient_sizes(
    cortex: Cortex, image: Tensor, theta: Theta | None = None, *, fields: Mapping[str, str] | None = None
) -> dict[str, float]:
    """How much the proto-objects hang on what each stage answers: ||x|| ||dL/dx||, by stage.

    L is how undecided the masks are, the mean over pixels of minus the log share of the mask that wins. Times the
    field's own size the number has no unit: of a field that is k times as large, and read k times less, it is the same.

    Args:
        cortex: whose stages.
        image: (B, 3, H, W) sRGB in [0, 1].
        theta: settings per sample; the defaults when None.
        fields: the field of each stage that is looked at; :data:`GRADIENT_FIELDS` when None.

    Returns:
        stage -> number, nan where the stage has no such field or no gradient reaches it (a choice lies between).
    """
    fields = GRADIENT_FIELDS if fields is None else fields
    theta = cortex.table.default_theta(len(image), image.device) if theta is None else theta
    theta = {name: value.detach().clone().requires_grad_(True) for name, value in theta.items()}
    with torch.enable_grad(), watch(cortex, keep_outputs=True) as timer:
        percept = cortex(image, theta)
        share = percept.masks.amax(1).clamp_min(1e-6)
        undecided = -torch.log(share).mean()
        found = {stage: getattr(timer.outputs.get(stage), name, None) for stage, name in fields.items()}
        asked = {stage: x for stage, x in found.items() if isinstance(x, Tensor) and x.requires_grad}
        gradients = torch.autograd.grad(undecided, list(asked.values()), allow_unused=True) if asked else ()
    sizes = dict.fromkeys(fields, math.nan)
    for (stage, x), gradient in zip(asked.items(), gradients, strict=True):
        if gradient is not None:
            sizes[stage] = float(x.detach().norm() * gradient.norm())
    return sizes


def describe(name: str, x: Tensor) -> FieldReport:
    """Statistics of one tensor with a leading batch axis; NaN and infinite values are counted and left out."""
    x = x.detach().float()
    finite = torch.isfinite(x)
    values = x[finite]
    if values.numel() == 0:
        mean = spread = low = high = sparsity = float("nan")
    else:
        mean, spread = float(values.mean()), float(values.std(correction=0))
        low, high = float(values.min()), float(values.max())
        # A value that is not finite counts as silent: the count beside it says so.
        sparsity = float(gini(torch.where(finite, x, 0).flatten(1) if x.ndim > 1 else x.where(finite, 0)).mean())
    n_nan, n_infinite = int(torch.isnan(x).sum()), int(torch.isinf(x).sum())
    return FieldReport(name, tuple(x.shape), mean, spread, low, high, sparsity, n_nan, n_infinite)


def render(reports: list[StageReport]) -> str:
    """The reports as a plain text table, one line per stage and one per field."""
    width = 4 + max((len(f.name) for report in reports for f in report.fields), default=10)
    head = f"{'field':<{width}}{'shape':<20}{'mean':>10}{'spread':>10}{'min':>10}{'max':>10}"
    head += f"{'gini':>7}{'nan':>6}{'inf':>6}"
    lines = [head, "-" * len(head)]
    for report in reports:
        lines.append(f"{report.stage}: {report.time_ms:.1f} ms, {report.memory_bytes / 2**20:.2f} MiB")
        for f in report.fields:
            shape = "x".join(map(str, f.shape))
            numbers = "".join(f"{value:>10.3g}" for value in (f.mean, f.spread, f.min, f.max))
            lines.append(f"  {f.name:<{width - 2}}{shape:<20}{numbers}{f.gini:>7.3f}{f.n_nan:>6}{f.n_infinite:>6}")
    total_ms = sum(report.time_ms for report in reports)
    total = sum(report.memory_bytes for report in reports) / 2**20
    lines += ["-" * len(head), f"all: {total_ms:.1f} ms, {total:.2f} MiB"]
    return "\n".join(lines)


def _report(stage: str, times_ms: list[float], output: Any) -> StageReport:
    tensors = _tensors(output)
    storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in tensors.values()}
    described = tuple(describe(name, value) for name, value in tensors.items())
    return StageReport(stage, median(times_ms), sum(storages.values()), described)


def _tensors(output: Any, prefix: str = "") -> dict[str, Tensor]:
    """Every tensor field by name, also those of dataclasses inside."""
    found: dict[str, Tensor] = {}
    for f in fields(output):
        value = getattr(output, f.name)
        if is_dataclass(value) and not isinstance(value, type):
            found |= _tensors(value, f"{prefix}{f.name}.")
        elif isinstance(value, Tensor):
            found[prefix + f.name] = value
    return found


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
