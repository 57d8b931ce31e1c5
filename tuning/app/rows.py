"""A parameter as a slider: its name in words, its place in equal steps of u, its digits. Of no toolkit."""

from __future__ import annotations

import math

import numpy as np

from ciliary.cortex.table import Parameter, ParameterTable

STAGES = {
    "retina": "Retina",
    "M1": "M1 · perception",
    "M2": "M2 · grouping",
    "M3": "M3 · invariance",
    "M4": "M4 · proto-objects",
    "glance": "Glance · how it is looked at",
    "": "Parameters",
}
FOLDED = ("retina", "M2", "M3", "glance")  # at first; what changes the percept most is not
N_STEPS = 200  # of a slider; one of a count is a whole number


def called(row: Parameter) -> str:
    """A parameter's name in words, without the unit that stands beside its value."""
    name = row.name.removeprefix("n_")
    for unit in ("px", "px2", "octaves"):
        name = name.removesuffix(f"_{unit}")
    return name.replace("_", " ")


def unit_of(row: Parameter) -> str:
    """Such as ``px²``; empty where there is none, or where the name says it."""
    return "" if row.unit in ("1", called(row)) else row.unit.replace("^2", "²")


def with_unit(row: Parameter, value: float) -> str:
    """A value with three digits and its unit."""
    return f"{value:.3g} {unit_of(row)}".strip()


def hint(row: Parameter) -> str:
    """What a parameter does, its range with its unit and its default, and where they are from; a line each."""
    unit = "" if row.unit == "1" else f" {row.unit.replace('^2', '²')}"
    span = f"{row.low:g} to {row.high:g}{unit}, default {row.default:g}"
    source = f"source: {row.source}" if row.source else ""
    return "\n".join(line for line in (row.doc, span, source, f"--set {row.name}=…") if line)


def n_steps(row: Parameter) -> int:
    """Into how many steps a slider is divided."""
    return max(1, round(row.high - row.low)) if row.scale == "int" else N_STEPS


def position(row: Parameter, value: float) -> float:
    """Where on its slider a physical value is, u in [-1, 1]."""
    return float(_column(row).to_u(np.array([[value]]))[0, 0])


def physical(row: Parameter, u: float) -> float:
    """The physical value at a place of its slider, to four digits, in range."""
    value = float(_column(row).to_physical(np.array([[u]]))[0, 0])
    value = round(value) if row.scale == "int" else float(f"{value:.4g}")
    return min(max(value, row.low), row.high)


def step_of(row: Parameter, value: float) -> int:
    """The step of its slider, 0 .. :func:`n_steps`, that is nearest to a physical value."""
    return round((position(row, value) + 1) / 2 * n_steps(row))


def value_at(row: Parameter, step: int) -> float:
    """The physical value at a step of its slider."""
    return physical(row, 2 * step / n_steps(row) - 1)


def n_decimals(row: Parameter) -> int:
    """Digits behind the point that tell neighbouring steps of a slider apart."""
    if row.scale == "int":
        return 0
    least = row.low if row.scale == "log" else (row.high - row.low) / 10
    return min(max(2 - math.floor(math.log10(least)), 0), 4)


def _column(row: Parameter) -> ParameterTable:
    return ParameterTable((row,))
