"""Tables of perceptual parameters, and the one map between their two forms.

Two names, never mixed: ``theta`` is the physical values (a dict of tensors of shape (B,)), ``u`` is the same settings
as a matrix (B, P) in [-1, 1]. Every perceiver has a table; all that needs ranges, defaults, units or names (action
space, search space, command line, tracking, pages) reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Theta = dict[str, Tensor]


@dataclass(frozen=True)
class Parameter:
    """One perceptual parameter.

    ``scale`` says how u in [-1, 1] maps to the range: ``linear``, ``log`` (equal ratios) or ``int`` (a count; linear,
    and fractional values are legal: the last unit is then partly present, which is what keeps the gradient).
    ``source`` is a paper, or "measured" when the default was chosen, or kept after a look, by region covering on
    BSDS500 training photographs (never the validation ones). ``stage`` is the part of the perceiver it acts in.
    """

    name: str
    stage: str
    low: float
    high: float
    default: float
    unit: str
    scale: Literal["linear", "log", "int"]
    source: str
    doc: str
    grad: bool = True

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(
                f"{self.name}: low <= default <= high must hold, got {self.low=}, {self.default=}, {self.high=}"
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale needs low > 0, got {self.low=}")


@dataclass(frozen=True)
class ParameterTable:
    """P parameters in the order of the columns of u. ``table["name"]`` is a row, ``len(table)`` is P."""

    rows: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("expected at least one parameter, got none")
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        if doubled:
            raise ValueError(f"expected each parameter once, got {doubled} twice")

    @classmethod
    def generic(cls, names: Sequence[str]) -> ParameterTable:
        """Parameters nobody described: each is its own u, in [-1, 1], with default 0."""
        return cls(tuple(Parameter(name, "", -1.0, 1.0, 0.0, "1", "linear", "", "") for name in names))

    def with_defaults(self, **values: float) -> ParameterTable:
        """The same parameters with other defaults: settings of one table are settings of the other.

        Raises:
            KeyError, ValueError: an unknown name, or a value out of its range.
        """
        for name, value in values.items():
            self.check_value(name, value)
        return ParameterTable(tuple(replace(p, default=float(values.get(p.name, p.default))) for p in self.rows))

    # --- rows and names
    @cached_property
    def names(self) -> tuple[str, ...]:
        """P names."""
        return tuple(row.name for row in self.rows)

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {row.name: row for row in self.rows}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.rows)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str | int) -> Parameter:
        """The row of a name or of a column; ``KeyError`` listing the legal names."""
        if isinstance(name, int):
            return self.rows[name]
        self.check_names([name])
        return self._by_name[name]

    def _repr_html_(self) -> str:
        from ciliary.cortex.notebook import parameters_html  # not before a notebook asks

        return parameters_html(self)

    # --- checks
    def check_names(self, names: Iterable[str]) -> None:
        """Raise ``KeyError`` listing the legal names if any of ``names`` is not in the table."""
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise KeyError(f"unknown parameter(s) {unknown}; choose from {', '.join(self.names)}")

    def check_value(self, name: str, value: float) -> float:
        """The value, if it lies in the parameter's range; else ``ValueError`` with the range."""
        row = self[name]
        if not row.low <= value <= row.high:
            raise ValueError(f"{name} must lie in {row.low:g}..{row.high:g}, got {value:g}")
        return float(value)

    def check_theta(self, theta: Mapping[str, Tensor], batch: int) -> None:
        """Raise ``KeyError`` on unknown or missing names, ``ValueError`` unless each value has the shape (batch,)."""
        self._check_whole(theta)
        for name, value in theta.items():
            if tuple(value.shape) != (batch,):
                raise ValueError(
                    f"theta[{name!r}]: expected shape ({batch},), one value per image, got {tuple(value.shape)}"
                )

    def _check_whole(self, theta: Mapping[str, object]) -> None:
        self.check_names(theta)
        missing = [name for name in self.names if name not in theta]
        if missing:
            raise KeyError(f"theta lacks {missing}; start from default_theta() and change what you want")

    # --- theta and u, in float32 and differentiable
    def from_unit(self, u: Tensor) -> Theta:
        """Physical values of unit settings.

        Args:
            u: (B, P), clipped to [-1, 1].

        Returns:
            theta: one tensor (B,) per parameter; differentiable in ``u``.

        Raises:
            ValueError: if ``u`` is not (B, P).
        """
        if u.ndim != 2 or u.shape[1] != len(self):
            raise ValueError(f"expected u of shape (B, {len(self)}), got {tuple(u.shape)}")
        # Not clamp, which has no gradient at its bounds in recent versions of torch: a setting at u = 1 could never
        # return.
        u = torch.where(u < -1, -1.0, torch.where(u > 1, 1.0, u))
        theta: Theta = {}
        for i, p in enumerate(self.rows):
            t = (u[:, i] + 1) / 2
            if p.scale == "log":
                theta[p.name] = p.low * torch.exp(t * math.log(p.high / p.low))
            else:
                theta[p.name] = p.low + t * (p.high - p.low)
        return theta

    def to_unit(self, theta: Mapping[str, Tensor]) -> Tensor:
        """Inverse of :meth:`from_unit`: theta (each (B,)) to u (B, P). ``KeyError`` on unknown or missing names."""
        self._check_whole(theta)
        columns = [_unit_column(p, torch.as_tensor(theta[p.name], dtype=torch.float32)) for p in self.rows]
        return torch.stack(columns, dim=1)

    def default_theta(self, batch: int = 1, device: torch.device | None = None, /, **changes: float) -> Theta:
        """The defaults for a batch; keyword arguments replace single values. ``KeyError`` on an unknown name."""
        self.check_names(changes)
        return {p.name: torch.full((batch,), float(changes.get(p.name, p.default)), device=device) for p in self.rows}

    def default_unit(self, batch: int = 1, device: torch.device | None = None, /, **changes: float) -> Tensor:
        """The defaults as u, (B, P); keyword arguments replace single physical values."""
        return self.to_unit(self.default_theta(batch, device, **changes))

    # --- the same in float64, for searches and records: what is stored must come back as the same setting
    def to_physical(self, u: np.ndarray) -> np.ndarray:
        """Settings u (N, P), clipped to [-1, 1], to physical values (N, P)."""
        t = (np.clip(np.asarray(u, dtype=np.float64), -1, 1) + 1) / 2
        low, high, is_log = self._columns
        ratio = np.where(is_log, high / np.where(is_log, low, 1), 1)
        values = np.where(is_log, low * ratio**t, low + t * (high - low))
        return np.clip(values, low, high)

    def to_u(self, values: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`to_physical`, (N, P) -> (N, P) in [-1, 1]; values out of range are clipped."""
        low, high, is_log = self._columns
        values = np.clip(np.asarray(values, dtype=np.float64), low, high)
        base, top, x = (np.log(np.where(is_log, a, 1)) for a in (low, high, values))
        t_log = (x - base) / np.where(is_log, top - base, 1)
        t = np.where(is_log, t_log, (values - low) / (high - low))
        return np.asarray(np.clip(2 * t - 1, -1, 1))

    def by_name(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Physical values of settings u (N, P) by parameter name, each (N,) float64."""
        return dict(zip(self.names, self.to_physical(u).T, strict=True))

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        low, high, is_log = zip(*((p.low, p.high, p.scale == "log") for p in self.rows), strict=True)
        return np.array(low), np.array(high), np.array(is_log)

    # --- settings stored under the names of their columns
    def align(self, names: Sequence[str], u: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Settings stored with other columns, brought to this table's.

        Args:
            names: of the columns of ``u``.
            u: (N, len(names)) in [-1, 1].

        Returns:
            (N, P) of the same dtype, where a parameter that was not stored has its default and one that is no more is
            dropped; and a line for each of both kinds.

        Raises:
            ValueError: names and columns do not fit.
        """
        u = np.asarray(u)
        if u.ndim != 2 or u.shape[1] != len(names) or len(set(names)) != len(names):
            raise ValueError(f"expected a column for each of {len(names)} names, got settings of shape {u.shape}")
        if tuple(names) == self.names:
            return u, []
        default = self.default_unit()[0].numpy()
        stored = {name: u[:, i] for i, name in enumerate(names)}
        columns = [stored.get(p.name, np.full(len(u), default[i], u.dtype)) for i, p in enumerate(self.rows)]
        new = [name for name in self.names if name not in stored]
        gone = [name for name in names if name not in self]
        notes = [f"{', '.join(new)} was not stored and has its default"] if new else []
        notes += [f"{', '.join(gone)} was stored and is no parameter here; dropped"] if gone else []
        return np.stack(columns, 1).astype(u.dtype), notes


def _unit_column(p: Parameter, x: Tensor) -> Tensor:
    """Physical value(s) of one parameter -> u."""
    if p.scale == "log":
        span = math.log(p.high / p.low)
        return 2 * torch.log(x / p.low) / span - 1
    return 2 * (x - p.low) / (p.high - p.low) - 1


def repeat_theta(theta: Theta, n: int) -> Theta:
    """Each sample's setting ``n`` times in a row: (B,) -> (B*n,), sample-major."""
    return {name: value.repeat_interleave(n) for name, value in theta.items()}
