"""Longitudinal chromatic aberration: the eye is stronger for blue than for red, which tells too near from too far."""

from __future__ import annotations

import torch
from torch import Tensor

#: Wavelengths that stand for R, G, B: the peaks of a display's primaries.
CHANNELS_NM = (610.0, 550.0, 465.0)
_P_DPT, _Q_DPT_NM, _C_NM = 1.68524, 633.46, 214.102  # Thibos et al. 1992, chromatic eye; 0 at 589 nm


def refraction_dpt(wavelength_nm: float | Tensor) -> float | Tensor:
    """Refractive error of the eye at a wavelength, against 589 nm: 1.68524 - 633.46 / (nm - 214.102).

    Thibos, Ye, Zhang & Bradley 1992. Positive for red (the eye is too weak and lacks so much), negative for blue.
    """
    return _P_DPT - _Q_DPT_NM / (wavelength_nm - _C_NM)


def channel_shift_dpt() -> tuple[float, float, float]:
    """Refractive error of R, G, B against green: +0.286, 0, -0.639 dpt."""
    green = refraction_dpt(CHANNELS_NM[1])
    red, _, blue = (float(refraction_dpt(nm) - green) for nm in CHANNELS_NM)
    return red, 0.0, blue


def channel_focus_dpt(focus_dpt: Tensor) -> Tensor:
    """Nearness in focus for R, G, B, (B, 3), when green is focused at ``focus_dpt`` (B,).

    Red is in focus farther away (focus - 0.286), blue nearer (focus + 0.639). A surface is therefore sharpest in red
    when the lens is set 0.286 dpt nearer than it, in blue 0.639 dpt farther: the two peaks are 0.925 dpt apart.
    """
    shift = torch.tensor(channel_shift_dpt(), dtype=focus_dpt.dtype, device=focus_dpt.device)
    return focus_dpt[:, None] - shift
