"""Focusing as eyes do: colour tells at a glance to which side, and about how far.

The lens is weaker for red than for blue, so defocus takes contrast from red, green and blue unequally, and from fine
scales first. What that comes to is known of one's own optics and of images at large (power falls as 1 / f^2: Field
1987); the distance that explains best what was measured is where the lens goes (Burge & Geisler 2011). Looks at several
settings of the lens are explained together: their scene is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ciliary.agents.eye.lens import LensController, LensState, climb, climbed, focus_of
from ciliary.cortex.eye.chromatic import channel_shift_dpt
from ciliary.cortex.eye.contrast import N_BANDS, band_transfer
from ciliary.cortex.eye.disc import px_per_rad
from ciliary.cortex.eye.parameters import FOCUS_DPT
from ciliary.envs.eye.terms import read_statistics

OBJECT_DPT = np.linspace(*FOCUS_DPT, 201)
_MOST_LOOKS = 8  # explained together
#: Diameters at which one's own optics are known; between them straight lines, beyond them as at the last.
_KNOTS_PX = (*np.arange(0.0, 12.0, 0.25), *np.arange(12.0, 61.0, 1.0))
_LEAST_TRANSFER = 1e-4
_LEAST_ENERGY = 1e-6
# Standard deviations of log energies: of the scene's contrast, of its spectrum about 1 / f^2, of a colour about the
# others at all scales and at each, of what a band passes about what it passes of the mean image, and how that grows
# with the log of what passes. Fitted to first looks at the bundled photographs, by likelihood of the true distance.
_CONTRAST_SD, _SPECTRUM_SD, _HUE_SD, _COLOUR_SD, _PASS_SD, _PASS_GROWTH = 4.0, 0.8, 0.9, 0.18, 0.1, 0.12


@dataclass(frozen=True)
class ContrastLook:
    """One look: the lens, the pupil, and contrast energies with their errors, (3, N_BANDS)."""

    focus_dpt: float
    pupil_mm: float
    energy: np.ndarray
    error: np.ndarray


def object_likelihood(looks: Sequence[ContrastLook], px_per_deg: float) -> np.ndarray:
    """Log likelihood of the distances :data:`OBJECT_DPT`, up to a constant, (201,)."""
    # Every look's covariance is what they share, of rank 3 x N_BANDS, and a diagonal: Woodbury's identity.
    precision = np.linalg.inv(_shared_covariance())
    log_det, squares = np.zeros(len(OBJECT_DPT)), np.zeros(len(OBJECT_DPT))
    weighed, inner = np.zeros((len(OBJECT_DPT), len(precision))), np.tile(precision, (len(OBJECT_DPT), 1, 1))
    diagonal = np.arange(len(precision))
    for look in looks:
        transfer = log_transfer(look, px_per_deg)  # (201, n)
        floor = np.maximum(look.error.ravel(), _LEAST_ENERGY)
        energy = np.maximum(look.energy.ravel(), floor)
        own = (floor / energy) ** 2 + _PASS_SD**2 + (_PASS_GROWTH * transfer) ** 2
        residual = np.log(energy) - transfer
        log_det += np.log(own).sum(1)
        squares += (residual**2 / own).sum(1)
        weighed += residual / own
        inner[:, diagonal, diagonal] += 1 / own
    root = np.linalg.cholesky(inner)
    told = np.linalg.solve(inner, weighed[:, :, None])[:, :, 0]
    log_det += 2 * np.log(root[:, diagonal, diagonal]).sum(1)
    likelihood = -0.5 * (squares - (weighed * told).sum(1) + log_det)
    return np.asarray(likelihood - likelihood.max())


@lru_cache(maxsize=1)
def _shared_covariance() -> np.ndarray:
    """Of what is the same at all looks, (n, n) of log energies by colour and band."""
    band, colour = np.arange(3 * N_BANDS) % N_BANDS, np.arange(3 * N_BANDS) // N_BANDS
    same_band, same_colour = band[:, None] == band, colour[:, None] == colour
    shared = _CONTRAST_SD**2 + _SPECTRUM_SD**2 * same_band + _HUE_SD**2 * same_colour
    return np.asarray(shared + _COLOUR_SD**2 * (same_band & same_colour))


@lru_cache(maxsize=1)
def _log_transfer_table() -> np.ndarray:
    return np.asarray(np.log(np.maximum(band_transfer(_KNOTS_PX), _LEAST_TRANSFER)))


def likeliest_dpt(likelihood: np.ndarray) -> float:
    """The distance where a log likelihood (201,) is highest: top of the parabola through it and its neighbours."""
    i = int(np.clip(likelihood.argmax(), 1, len(likelihood) - 2))
    left, middle, right = likelihood[i - 1 : i + 2]
    bend = left - 2 * middle + right
    shift = np.clip((left - right) / (2 * bend), -1, 1) if bend < 0 else 0.0
    return float(OBJECT_DPT[i] + shift * (OBJECT_DPT[1] - OBJECT_DPT[0]))


def log_transfer(look: ContrastLook, px_per_deg: float, object_dpt: np.ndarray = OBJECT_DPT) -> np.ndarray:
    """Log share of energy that passes, (D, 3 x N_BANDS), for things at each of D distances."""
    shift = np.array(channel_shift_dpt())
    defocus = np.abs(look.focus_dpt - shift - object_dpt[:, None])  # (D, 3)
    diameter = look.pupil_mm * 1e-3 * defocus * float(px_per_rad(px_per_deg))
    table = _log_transfer_table()
    told = np.stack([np.interp(diameter, _KNOTS_PX, table[:, band]) for band in range(N_BANDS)], -1)
    return np.asarray(told.reshape(len(object_dpt), -1))


@dataclass(frozen=True)
class ReflexState(LensState):
    """The looks of a climb, and what they were like."""

    contrasts: tuple[ContrastLook, ...] = field(default=(), repr=False)
    px_per_deg: float = 0.0
    answer_dpt: float = 0.0


@dataclass(frozen=True)
class LensReflexController(LensController):
    """Goes where the contrasts of red, green and blue are explained best, until it stands there.

    Attributes:
        remembers: explain all looks together, not only the latest.
        climbs: after that climb, with steps from ``step_dpt``; a parabola's top at the end.
        step_dpt: of that climb.
        near_dpt: what counts as standing there.
    """

    remembers: bool = True
    climbs: bool = False
    step_dpt: float = 0.3
    near_dpt: float = 0.05

    name = "lens-reflex"

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> ReflexState:
        """Nothing seen yet."""
        super().init(obs, info, seed)
        return ReflexState(px_per_deg=float(info["px_per_deg"]))

    def _next(self, state: LensState) -> tuple[float, LensState]:
        assert isinstance(state, ReflexState)
        return climb(state, self.step_dpt / 2) if state.step_dpt else (state.answer_dpt, state)

    def learn(self, state: LensState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LensState:
        """Remember the look, explain what was seen, and find whether the eye stands where that says."""
        assert isinstance(state, ReflexState)
        before, state = state, super().learn(state, u, obs, info)
        assert isinstance(state, ReflexState)
        if before.step_dpt:
            return climbed(before, state, self.step_dpt / 2)
        energy, error = read_statistics(obs["statistics"])
        look = ContrastLook(focus_of(u, info), float(info["eye"]["pupil_mm"]), energy, error)
        contrasts = (*state.contrasts, look)[-_MOST_LOOKS:] if self.remembers else (look,)
        answer = likeliest_dpt(object_likelihood(contrasts, state.px_per_deg))
        state = replace(state, contrasts=contrasts, answer_dpt=answer)
        if len(state.looks) < 2 or abs(look.focus_dpt - answer) > self.near_dpt:
            return state
        return replace(state, step_dpt=self.step_dpt) if self.climbs else replace(state, is_done=True)
