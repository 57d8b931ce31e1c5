"""Lattices of samples: where they lie about the gaze, how far apart, and which of them are nearest to a place.

A lattice is a sheet of rows and columns; :meth:`locate` maps a place to fractional row and column of it. The sheet is
what a controller is shown, places are what the world is made of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

#: Eccentricity at which the spacing has doubled: cortical magnification (Schwartz 1980), and for grating acuity
#: (Geisler & Perry 1998).
E2_CORTEX_DEG, E2_GRATING_DEG = 0.75, 2.3


class Lattice(Protocol):
    """What samples an image. Positions are (y, x) in degrees from the gaze; from the centre if it does not move."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the sheet."""

    @property
    def moves(self) -> bool:
        """Whether it goes where the eye looks."""

    @property
    def wraps(self) -> bool:
        """Whether the last column is beside the first."""

    @property
    def position_deg(self) -> Tensor:
        """(rows, columns, 2) float64."""

    @property
    def spacing_deg(self) -> Tensor:
        """(rows, columns) float64: side of the area that a sample averages."""

    def locate(self, offset_deg: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fractional row and column of places (..., 2), and the spacing there (inf where the sheet does not reach)."""


def n_samples(lattice: Lattice) -> int:
    """Samples of one glance."""
    return lattice.shape[0] * lattice.shape[1]


@dataclass(frozen=True)
class FoveatedLattice:
    """Rings about the gaze whose distance grows with eccentricity E: spacing = foveal spacing x (1 + E / E2).

    With eccentricities E2 (exp(k s / E2) - 1) the spacing of rings is that exactly. With as many samples on every ring,
    cells are squares far out when s / E2 = 2 pi / n_angles, the default; within E2 they are narrower along the ring
    than across it (the map of Schwartz 1980 without its tear along the vertical meridian). 36 rings of 72 then reach
    exp(pi) - 1 = 22.1 times E2: 16.6 degrees, half of a 33 degree field.

    Attributes:
        n_rings: rows, from the gaze outwards.
        n_angles: columns, clockwise from the right (y is down).
        e2_deg: eccentricity where the spacing has doubled.
        foveal_spacing_deg: spacing at the gaze; None for square cells.
    """

    n_rings: int = 36
    n_angles: int = 72
    e2_deg: float = E2_CORTEX_DEG
    foveal_spacing_deg: float | None = None

    def __post_init__(self) -> None:
        if self.n_rings < 2 or self.n_angles < 3:
            raise ValueError(f"expected 2 rings of 3 samples or more, got {self.n_rings} of {self.n_angles}")
        if self.e2_deg <= 0 or (self.foveal_spacing_deg is not None and self.foveal_spacing_deg <= 0):
            raise ValueError(
                f"expected e2_deg and foveal_spacing_deg > 0, got {self.e2_deg} and {self.foveal_spacing_deg}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(rings, angles)."""
        return self.n_rings, self.n_angles

    @property
    def moves(self) -> bool:
        """True."""
        return True

    @property
    def wraps(self) -> bool:
        """True: angles go round."""
        return True

    @property
    def finest_deg(self) -> float:
        """Spacing at the gaze."""
        square = 2 * math.pi / self.n_angles * self.e2_deg
        return square if self.foveal_spacing_deg is None else self.foveal_spacing_deg

    @property
    def reach_deg(self) -> float:
        """Eccentricity of the outermost ring's outer border."""
        return self.e2_deg * math.expm1(self.n_rings * self.finest_deg / self.e2_deg)

    @cached_property
    def position_deg(self) -> Tensor:
        """(rings, angles, 2)."""
        angle = torch.arange(self.n_angles, dtype=torch.float64) * (2 * math.pi / self.n_angles)
        return self._eccentricity_deg[:, None, None] * torch.stack([angle.sin(), angle.cos()], -1)

    @cached_property
    def spacing_deg(self) -> Tensor:
        """(rings, angles)."""
        return (self.finest_deg * (1 + self._eccentricity_deg / self.e2_deg))[:, None].expand(self.shape)

    @property
    def _eccentricity_deg(self) -> Tensor:
        ring = torch.arange(self.n_rings, dtype=torch.float64) + 0.5
        return self.e2_deg * torch.expm1(ring * self.finest_deg / self.e2_deg)

    def locate(self, offset_deg: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Lattice`."""
        squared = (offset_deg**2).sum(-1)
        eccentricity = squared.clamp_min(1e-12).sqrt()  # the root has no gradient at 0
        row = torch.log1p(eccentricity / self.e2_deg) * (self.e2_deg / self.finest_deg) - 0.5
        # Nor has the angle: at the gaze itself it is that of the first column.
        is_gaze = squared < 1e-12
        y = torch.where(is_gaze, torch.zeros_like(squared), offset_deg[..., 0])
        angle = torch.atan2(y, torch.where(is_gaze, torch.ones_like(squared), offset_deg[..., 1]))
        spacing = self.finest_deg * (1 + eccentricity / self.e2_deg)
        far = torch.full_like(spacing, math.inf)
        return row, angle * (self.n_angles / (2 * math.pi)), torch.where(row <= self.n_rings - 0.5, spacing, far)


@dataclass(frozen=True)
class UniformLattice:
    """A camera: rows and columns of equal spacing, fixed to the scene or carried by the gaze.

    Attributes:
        n_rows: rows.
        n_columns: columns.
        spacing: of neighbours both ways, in degrees.
        moves: whether it is centred on the gaze; else on the scene.
    """

    n_rows: int
    n_columns: int
    spacing: float
    moves: bool = False

    def __post_init__(self) -> None:
        if min(self.n_rows, self.n_columns) < 1 or not self.spacing > 0:
            raise ValueError(
                f"expected rows and columns >= 1 and a spacing > 0, got {self.n_rows}, {self.n_columns}, {self.spacing}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.n_rows, self.n_columns

    @property
    def wraps(self) -> bool:
        """False."""
        return False

    @cached_property
    def position_deg(self) -> Tensor:
        """(rows, columns, 2)."""
        y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in self.shape)
        return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1) * self.spacing

    @cached_property
    def spacing_deg(self) -> Tensor:
        """(rows, columns)."""
        return torch.full(self.shape, self.spacing, dtype=torch.float64)

    def locate(self, offset_deg: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Lattice`."""
        row = offset_deg[..., 0] / self.spacing + (self.n_rows - 1) / 2
        column = offset_deg[..., 1] / self.spacing + (self.n_columns - 1) / 2
        # A thousandth of a sample is rounding: a camera that covers a scene covers its outermost pixels.
        inside = (
            (row >= -0.501) & (row <= self.n_rows - 0.499) & (column >= -0.501) & (column <= self.n_columns - 0.499)
        )
        spacing = torch.full_like(row, self.spacing)
        return row, column, torch.where(inside, spacing, torch.full_like(row, math.inf))


def pixel_lattice(size_px: tuple[int, int], px_per_deg: float) -> UniformLattice:
    """One sample a pixel of an image (height, width)."""
    return UniformLattice(*size_px, 1 / px_per_deg)


def uniform_camera(samples: int, field_deg: tuple[float, float]) -> UniformLattice:
    """The control of a fovea: square cells over the whole field (height, width), at most as many ``samples``.

    With the samples of one glance it is the same-samples camera, with those of n glances the camera that has them all
    at once. It covers the field; its outermost cells may reach over the border.

    Raises:
        ValueError: unless there is at least one sample and a field.
    """
    if samples < 1 or not min(field_deg) > 0:
        raise ValueError(f"expected samples >= 1 and a field > 0 degrees, got {samples} and {field_deg}")
    height, width = field_deg
    # Every number of rows has a finest spacing that still covers the field; the best of them all is taken.
    best = min(
        (
            (max(height / rows, width / (samples // rows)), rows)
            for rows in range(1, min(samples, 4 * math.ceil(math.sqrt(samples * height / width)) + 4) + 1)
        ),
        key=lambda pair: pair[0],
    )
    spacing, rows = best
    columns = min(samples // rows, math.ceil(width / spacing - 1e-9))
    return UniformLattice(rows, columns, spacing)
