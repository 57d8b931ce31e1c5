"""What each stage costs and how sparsely it answers, for the table of a page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ciliary.cortex.plot.look import Look
from ciliary.cortex.profile import StageReport, gradient_sizes, profile

#: The field by which the activity of a stage is judged.
ACTIVITY = {
    "retina": "on_off",
    "m1": "energy",
    "m2": "contour",
    "m3": "assignment",
    "m4": "assignment",
    "m5": "gate",
}
#: A unit is active if it answers at least this part of what the strongest one does.
ACTIVE_FROM = 0.1


@dataclass(frozen=True)
class StageNumbers:
    """One stage, looking at one image."""

    stage: str
    time_ms: float
    memory_mib: float
    field: str  # whose activity: of :data:`ACTIVITY`, empty for the cues
    share_active: float | None
    gini: float | None
    gradient: float | None  # see :func:`ciliary.cortex.profile.gradient_sizes`
    n_not_finite: int


def measure(look: Look, *, n_repeats: int = 3) -> tuple[list[StageNumbers], list[StageReport]]:
    """Time, activity and gradient of each stage at the setting of a look, and the reports of all fields behind them.

    Looks ``n_repeats`` + 1 times more: times are medians, the first pass does not count.
    """
    reports = profile(look.cortex, look.image[None].to(look.cortex.device), look.theta, n_repeats=n_repeats)
    gradients = gradient_sizes(look.cortex, look.image[None].to(look.cortex.device), look.theta)
    rows = []
    for report in reports:
        gradient = gradients.get(report.stage, math.nan)
        name = ACTIVITY.get(report.stage, "")
        field = next((f for f in report.fields if f.name == name), None)
        active = None if field is None else share_active(getattr(getattr(look.percept, report.stage), name))
        rows.append(
            StageNumbers(
                report.stage,
                report.time_ms,
                report.memory_bytes / 2**20,
                name,
                active,
                None if field is None else field.gini,
                None if math.isnan(gradient) else gradient,
                sum(f.n_nan for f in report.fields) + _n_infinite(report),
            )
        )
    return rows, reports


def _n_infinite(report: StageReport) -> int:
    """Infinite values where none may be: a merge that cannot happen costs infinity, and says so."""
    return sum(f.n_infinite for f in report.fields if f.name != "merge_height")


def share_active(field: Tensor) -> float:
    """Share of a field's entries of at least :data:`ACTIVE_FROM` times its largest magnitude; 0 of a blank field."""
    magnitude = field.detach().abs()
    top = magnitude.max()
    return float((magnitude >= ACTIVE_FROM * top).float().mean()) if top > 0 else 0.0
