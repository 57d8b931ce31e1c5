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
    name = row.name
    for unit in ("px", "px2", "octaves"):
        name = name.removesuffix(f"_{unit}")
    return name.replace("_", " ")


def unit_of(row: Parameter) -> str:
    """Such as ``px²``; empty where there is none."""
    return "" if row.unit == "1" else row.unit.replace("^2", "²")


def hint(row: Parameter) -> str:
    """What the parameter is, where its range is from, its default and its range."""
    source = f" {row.source}." if row.source else ""
    return f"{row.doc}{source} Default {row.default:g} ({row.low:g} to {row.high:g})".strip()


def n_steps(row: Parameter) -> int:
    """Into how many steps a slider is divided."""
    return max(1, round(row.high - row.low)) if row.scale == "int" else N_STEPS


def step_of(row: Parameter, value: float) -> int:
    """The step of its slider, 0 .. :func:`n_steps`, that is nearest to a physical value."""
    u = float(_column(row).to_u(np.array([[value]]))[0, 0])
    return round((u + 1) / 2 * n_steps(row))


def value_at(row: Parameter, step: int) -> float:
    """The physical value at a step of its slider, to four digits, in range."""
    u = 2 * step / n_steps(row) - 1
    value = float(_column(row).to_physical(np.array([[u]]))[0, 0])
    value = round(value) if row.scale == "int" else float(f"{value:.4g}")
    return min(max(value, row.low), row.high)


def n_decimals(row: Parameter) -> int:
    """Digits behind the point that tell neighbouring steps of a slider apart."""
    if row.scale == "int":
        return 0
    least = row.low if row.scale == "log" else (row.high - row.low) / 10
    return min(max(2 - math.floor(math.log10(least)), 0), 4)


def _column(row: Parameter) -> ParameterTable:
    return ParameterTable((row,))
