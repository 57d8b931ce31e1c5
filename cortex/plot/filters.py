"""The log-Gabor filters of V1 that a setting uses, in space and in frequency: made by the code that filters images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ciliary.cortex.ops.loggabor import log_gabor
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_perception import N_SCALES

_SIDE_PX = 256  # of the patch they are drawn on: the frequency grid then has steps of 1/256 cycles/px


@dataclass(frozen=True, eq=False)
class Filters:
    """Filters by scale (finest first) and orientation; the middle of each picture is at index side // 2."""

    even: np.ndarray  # (A, O, N, N) real part of the impulse response
    gain: np.ndarray  # (A, O, N, N) frequency response, 1 at most; rows fy, columns fx, in cycles/px
    wavelength_px: tuple[float, ...]
    frequency_cpp: np.ndarray  # (N,) of rows and columns of ``gain``, cycles per pixel, rising


def filters_in_use(theta: Theta) -> Filters:
    """The filters at a setting (1,) each: the response to a single bright pixel, at full resolution.

    M1 brings coarse scales back at a lower resolution, which cuts the tail of their spectrum only; that is not shown.
    """
    impulse = torch.ones(1, 1, _SIDE_PX, _SIDE_PX, dtype=torch.complex64)  # its spectrum is flat
    wavelengths = [theta["wavelength_px"] * 2**scale for scale in range(N_SCALES)]
    with torch.no_grad():
        response = torch.cat([
            log_gabor(impulse, wavelength, theta["bandwidth_octaves"], n_orientations=N_ORIENTATIONS)[0]
            for wavelength in wavelengths
        ])  # fmt: skip
        gain = torch.fft.fftshift(torch.fft.fft2(response).real, (-2, -1))
        even = torch.fft.fftshift(response.real, (-2, -1))
    frequency = np.fft.fftshift(np.fft.fftfreq(_SIDE_PX))
    return Filters(even.numpy(), gain.numpy(), tuple(float(w) for w in wavelengths), frequency)
