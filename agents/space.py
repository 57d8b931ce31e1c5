"""The search space: names of the columns of u, and their physical values.

Built from :data:`ciliary.cortex.parameters.PARAMETERS` alone. An environment with other parameters (the toy world) is searched
in u itself. Everything is float64 numpy here: the controllers do not need gradients, and a value stored in a study must
come back as the same setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.cortex.parameters import BY_NAME


@dataclass(frozen=True)
class Axis:
    """One parameter: ``low`` and ``high`` in physical units; ``is_log`` when equal steps of u are equal ratios."""

    name: str
    low: float
    high: float
    is_log: bool


@dataclass(frozen=True)
class Space:
    """P axes. Counts are searched as floats: a fractional count is legal, its last unit is then partly present."""

    axes: tuple[Axis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """P names."""
        return tuple(axis.name for axis in self.axes)

    def to_physical(self, u: np.ndarray) -> np.ndarray:
        """Settings u (N, P), clipped to [-1, 1], to physical values (N, P)."""
        t = (np.clip(np.asarray(u, dtype=np.float64), -1, 1) + 1) / 2
        low, high, is_log = self._columns()
        ratio = np.where(is_log, high / np.where(is_log, low, 1), 1)
        values = np.where(is_log, low * ratio**t, low + t * (high - low))
        return np.clip(values, low, high)

    def to_unit(self, values: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`to_physical`, (N, P) -> (N, P) in [-1, 1]."""
        low, high, is_log = self._columns()
        values = np.clip(np.asarray(values, dtype=np.float64), low, high)
        base, top, x = (np.log(np.where(is_log, a, 1)) for a in (low, high, values))
        t_log = (x - base) / np.where(is_log, top - base, 1)
        t = np.where(is_log, t_log, (values - low) / (high - low))
        return np.clip(2 * t - 1, -1, 1)

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        low, high, is_log = zip(*((a.low, a.high, a.is_log) for a in self.axes), strict=True)
        return np.array(low), np.array(high), np.array(is_log)


def space_for(names: Sequence[str]) -> Space:
    """The space of these columns of u.

    If every name is in the cortex's parameter table, the axes are physical; otherwise all are u itself in [-1, 1].

    Raises:
        ValueError: if there is no name.
    """
    if not names:
        raise ValueError("expected at least one parameter name, got none; give the environment `parameter_names`")
    if all(name in BY_NAME for name in names):
        rows = [BY_NAME[name] for name in names]
        return Space(tuple(Axis(p.name, p.low, p.high, p.scale == "log") for p in rows))
    return Space(tuple(Axis(name, -1.0, 1.0, False) for name in names))
