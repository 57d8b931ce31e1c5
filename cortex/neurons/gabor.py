"""Gabor functions fitted to receptive fields, and the shape of them by which simple cells are compared.

Jones & Palmer 1987; Ringach 2002: n_x and n_y are the envelope's standard deviations across and along the stripes, in
periods of the grating: near 0 a blob, some .25 an edge or bar of two or three subfields, more, more subfields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from torch import Tensor

from ciliary.cortex.neurons.tuning import Tuning, centre_px


@dataclass(frozen=True)
class Gabor:
    """A field amplitude * exp(-(across / sx)^2 / 2 - (along / sy)^2 / 2) cos(2 pi f across + phase).

    Attributes:
        y_px, x_px: centre.
        sigma_x_px, sigma_y_px: envelope, across and along the stripes.
        frequency_cpp: of the stripes.
        tangent_rad: of the stripes; x right, y down.
        phase_rad: at the centre.
        amplitude: of the whole.
        r2: share of the field's variance, in [0, 1] (0 where it does no better than nothing).
    """

    y_px: float
    x_px: float
    sigma_x_px: float
    sigma_y_px: float
    frequency_cpp: float
    tangent_rad: float
    phase_rad: float
    amplitude: float
    r2: float = math.nan

    @property
    def n_x(self) -> float:
        """Width across the stripes, in periods."""
        return self.sigma_x_px * self.frequency_cpp

    @property
    def n_y(self) -> float:
        """Length along the stripes, in periods."""
        return self.sigma_y_px * self.frequency_cpp

    def draw(self, size: tuple[int, int]) -> np.ndarray:
        """(P, Q) the field."""
        parameters = (self.y_px, self.x_px, math.log(self.sigma_x_px), math.log(self.sigma_y_px))
        basis = _basis(np.array([*parameters, self.frequency_cpp, self.tangent_rad]), size)
        even, odd = self.amplitude * math.cos(self.phase_rad), -self.amplitude * math.sin(self.phase_rad)
        field: np.ndarray = (basis @ np.array([even, odd])).reshape(size)
        return field


def fit_gabors(fields: Tensor, preferred: Tuning) -> list[Gabor]:
    """The Gabor function nearest to each of fields (N, P, Q), in least squares, begun at what gratings tell."""
    centres = centre_px(fields).cpu().double().numpy()
    tangents, frequencies = preferred.orientation_rad.cpu().numpy(), preferred.frequency_cpp.cpu().numpy()
    return [
        _fit(field, (*centre, tangent, frequency))
        for field, centre, tangent, frequency in zip(
            fields.cpu().double().numpy(), centres, tangents, frequencies, strict=True
        )
    ]


def _fit(field: np.ndarray, start: Sequence[float]) -> Gabor:
    y, x, tangent, frequency = start
    size, flat = (field.shape[0], field.shape[1]), field.ravel()
    reach = max(size)
    low = np.array([-1, -1, math.log(0.4), math.log(0.4), 0.0, -math.inf])
    high = np.array([size[0], size[1], math.log(2 * reach), math.log(2 * reach), 0.5, math.inf])
    best = None
    for sigma in (0.3, 0.6):  # in periods; from the narrow one alone, fields of many stripes end in a blob
        width = math.log(min(max(sigma / frequency, 0.5), reach))
        begin = np.clip(np.array([y, x, width, width, frequency, tangent]), low + 1e-6, high - 1e-6)
        # Variable projection: the two amplitudes follow from the rest by linear least squares.
        found = least_squares(lambda p: _rest(p, flat, size), begin, bounds=(low, high), max_nfev=40, ftol=1e-5)
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    p = best.x
    even, odd = _solve(_basis(p, size), flat)
    r2 = max(0.0, 1 - 2 * best.cost / max(float(flat @ flat), 1e-30))
    sx, sy = math.exp(p[2]), math.exp(p[3])
    return Gabor(p[0], p[1], sx, sy, p[4], p[5] % math.pi, math.atan2(-odd, even), math.hypot(even, odd), r2)


def _basis(p: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(P Q, 2): the even and the odd field of amplitude 1."""
    y, x = np.mgrid[: size[0], : size[1]].reshape(2, -1) - p[:2, None]
    across, along = y * math.cos(p[5]) - x * math.sin(p[5]), y * math.sin(p[5]) + x * math.cos(p[5])
    envelope = np.exp(-0.5 * ((across / math.exp(p[2])) ** 2 + (along / math.exp(p[3])) ** 2))
    phase = 2 * math.pi * p[4] * across
    return np.stack([envelope * np.cos(phase), envelope * np.sin(phase)], 1)


def _rest(p: np.ndarray, flat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    basis = _basis(p, size)
    rest: np.ndarray = basis @ _solve(basis, flat) - flat
    return rest


def _solve(basis: np.ndarray, flat: np.ndarray) -> np.ndarray:
    gram = basis.T @ basis + 1e-9 * np.eye(2)
    amplitudes: np.ndarray = np.linalg.solve(gram, basis.T @ flat)
    return amplitudes
