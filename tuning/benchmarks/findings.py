"""What an exam found: tables, curves, notes and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.runs.tables import NONE, Table


@dataclass(frozen=True, eq=False)
class Findings:
    """All of an exam.

    Attributes:
        tables: for page and screen.
        figures: title -> figure, for the page.
        numbers: what the tables were made from, and more, for JSON.
        about: what was done, in words.
        notes: what was left out, and why.
    """

    tables: tuple[Table, ...]
    figures: Mapping[str, Figure]
    numbers: Mapping[str, Any]
    about: Mapping[str, str]
    notes: tuple[str, ...] = ()


def percent(value: Interval | float) -> str:
    """A share in percent, with its interval where there is one."""
    if not isinstance(value, Interval):
        return NONE if math.isnan(value) else f"{round(100 * value, 1) + 0.0:.1f}"  # no minus before nothing
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return percent(value.mean)  # too few to say how sure
    return f"{percent(value.mean)} [{percent(value.low)}, {percent(value.high)}]"


def rounded(value: float, digits: int = 2) -> str:
    """A number, or "–" for NaN."""
    return NONE if math.isnan(value) else f"{value:.{digits}f}"


def millions(count: float) -> str:
    """A count of operations in millions."""
    return f"{count / 1e6:.2f}"


def numbers_of(value: Interval) -> dict[str, float | None]:
    """An interval for JSON, which knows no infinity."""
    values = {"mean": value.mean, "low": value.low, "high": value.high}
    return {name: number if math.isfinite(number) else None for name, number in values.items()}
