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

from ciliary.agents.eye.lens import LensController, LensState, climb, climbed, setting_of
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
_CLEARLY = 0.02  # in the focus term, a tenth of a nat is 0.01
_OUTSIDE = 100.0  # nats


@dataclass(frozen=True)
class Expected:
    """How scenes differ from what is known of them: standard deviations of log energies.

    Attributes:
        contrast: of a scene.
        spectrum: of a band, about 1 / f^2.
        hue: of a colour about the others, at all scales.
        colour: of a colour, at each scale.
        passing: of what a band passes about what it passes of the mean image, at any blur.
        growth: how that grows with the log of what passes, anew at every look.
        steepness: the same once for a scene, all colours alike: within a band its spectrum is steeper or flatter.
        steepness_by_colour: once for a scene and each colour.
    """

    contrast: float
    spectrum: float
    hue: float
    colour: float
    passing: float
    growth: float
    steepness: float = 0.0
    steepness_by_colour: float = 0.0


#: Fitted to looks at the bundled photographs at drawn distances, by likelihood of the true one: to first looks, and to
#: one to four looks together. What one scene does alike at every look tells little at the first, and much at all.
OF_ONE_LOOK = Expected(4.0, 0.8, 0.9, 0.18, 0.1, 0.12)
OF_MORE = Expected(8.2, 0.43, 2.0, 0.51, 0.03, 0.087, 0.26, 0.18)


@dataclass(frozen=True)
class ContrastLook:
    """One look: the lens, the pupil, and contrast energies with their errors, (3, N_BANDS)."""

    focus_dpt: float
    pupil_mm: float
    energy: np.ndarray
    error: np.ndarray


def object_likelihood(looks: Sequence[ContrastLook], px_per_deg: float) -> np.ndarray:
    """Log likelihood of the distances :data:`OBJECT_DPT`, up to a constant, (201,)."""
    by = OF_ONE_LOOK if len(looks) == 1 else OF_MORE
    # Covariance of all looks: what a scene does at every look, of low rank, and each look's own, diagonal (Woodbury).
    precision, n = _scene_precision(by), 3 * N_BANDS
    n_latent, n_dpt = len(precision), len(OBJECT_DPT)
    log_det, squares = np.zeros(n_dpt), np.zeros(n_dpt)
    weighed, inner = np.zeros((n_dpt, n_latent)), np.tile(precision, (n_dpt, 1, 1))
    rows = np.arange(n)
    for look in looks:
        transfer = log_transfer(look, px_per_deg)  # (201, n)
        floor = np.maximum(look.error.ravel(), _LEAST_ENERGY)
        energy = np.maximum(look.energy.ravel(), floor)
        own = (floor / energy) ** 2 + by.passing**2 + (by.growth * transfer) ** 2
        residual = np.log(energy) - transfer
        log_det += np.log(own).sum(1)
        squares += (residual**2 / own).sum(1)
        loads = [np.ones_like(transfer), transfer][: n_latent // n]  # of contrast, and of steepness, on what is told
        for i, load in enumerate(loads):
            weighed[:, i * n : (i + 1) * n] += load * residual / own
            for j, other in enumerate(loads):
                inner[:, i * n + rows, j * n + rows] += load * other / own
    root = np.linalg.cholesky(inner)
    white = np.linalg.solve(root, weighed[:, :, None])[:, :, 0]
    log_det += 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
    likelihood = -0.5 * (squares - (white**2).sum(1) + log_det)
    return np.asarray(likelihood - likelihood.max())


@lru_cache(maxsize=2)
def _scene_precision(by: Expected) -> np.ndarray:
    """Inverse covariance of what a scene does at every look, by colour and band: (n, n), or with steepness (2n, 2n)."""
    band, colour = np.arange(3 * N_BANDS) % N_BANDS, np.arange(3 * N_BANDS) // N_BANDS
    same_band, same_colour = band[:, None] == band, colour[:, None] == colour
    same_both = same_band & same_colour
    contrast = by.contrast**2 + by.spectrum**2 * same_band + by.hue**2 * same_colour + by.colour**2 * same_both
    precision = np.linalg.inv(contrast)
    if not by.steepness_by_colour:
        return np.asarray(precision)
    steep = np.linalg.inv(by.steepness**2 * same_band + by.steepness_by_colour**2 * same_both)
    nothing = np.zeros_like(precision)
    return np.asarray(np.block([[precision, nothing], [nothing, steep]]))


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


def within_bracket(likelihood: np.ndarray, looks: Sequence[tuple[float, float]]) -> np.ndarray:
    """The likelihood (201,), nothing beyond the nearest looks to either side of the best that are clearly worse.

    Contrast falls from focus to both sides: what is in focus cannot lie beyond a look that is worse than one before it.
    """
    best_dpt, best = min(looks, key=lambda look: look[1])
    worse = [focus for focus, term in looks if term > best + _CLEARLY]
    low = max([focus for focus in worse if focus < best_dpt], default=-np.inf)
    high = min([focus for focus in worse if focus > best_dpt], default=np.inf)
    inside = (low <= OBJECT_DPT) & (high >= OBJECT_DPT)
    return np.where(inside, likelihood, likelihood.min() - _OUTSIDE)


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
    next_dpt: float = 0.0


@dataclass(frozen=True)
class LensReflexController(LensController):
    """Goes where the contrasts of red, green and blue are explained best, until it stands there and has seen enough.

    What stands there must also have been seen from beside: a scene's own colours and spectrum look like defocus, and
    only looks at other settings of the lens tell them apart.

    Attributes:
        remembers: explain all looks together, not only the latest.
        climbs: after that climb, with steps from ``step_dpt``; a parabola's top at the end.
        step_dpt: of that climb.
        near_dpt: what counts as standing there.
        aside_dpt: how far beside the answer it looks before it is sure; 0: it is sure at once.
        n_aside: looks beside it, of any origin, that make it sure.
        doubt: log likelihood ratio below which it does not leave where it looks by more than ``aside_dpt``.
    """

    remembers: bool = True
    climbs: bool = False
    step_dpt: float = 0.3
    near_dpt: float = 0.05
    aside_dpt: float = 0.35
    n_aside: int = 2
    doubt: float = 2.0

    name = "lens-reflex"

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> ReflexState:
        """Nothing seen yet."""
        super().init(obs, info, seed)
        return ReflexState(px_per_deg=float(info["px_per_deg"]))

    def _next(self, state: LensState) -> tuple[float, LensState]:
        assert isinstance(state, ReflexState)
        return climb(state, self.step_dpt / 2) if state.step_dpt else (state.next_dpt, state)

    def learn(self, state: LensState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LensState:
        """Remember the look, explain what was seen, and find whether the eye stands where that says."""
        assert isinstance(state, ReflexState)
        before, state = state, super().learn(state, u, obs, info)
        assert isinstance(state, ReflexState)
        if before.step_dpt:
            return climbed(before, state, self.step_dpt / 2)
        energy, error = read_statistics(obs["statistics"])
        look = ContrastLook(setting_of(u, info), float(info["eye"]["pupil_mm"]), energy, error)
        contrasts = (*state.contrasts, look)[-_MOST_LOOKS:] if self.remembers else (look,)
        likelihood = within_bracket(object_likelihood(contrasts, state.px_per_deg), state.looks)
        answer = likeliest_dpt(likelihood)
        state = replace(state, contrasts=contrasts, answer_dpt=answer, next_dpt=answer)
        if len(state.looks) < 2 or abs(look.focus_dpt - answer) > self.near_dpt:
            here = float(np.interp(look.focus_dpt, OBJECT_DPT, likelihood))
            if here > likelihood.max() - self.doubt:  # it may be here: do not leave, look from beside
                nearby = look.focus_dpt + np.clip(answer - look.focus_dpt, -self.aside_dpt, self.aside_dpt)
                return replace(state, next_dpt=float(nearby))
            return state
        beside = [focus for focus, _ in state.looks if self._is_beside(focus - answer)]
        if self.aside_dpt > 0 and len(beside) < self.n_aside:
            return replace(state, next_dpt=self._beside(answer, beside))
        return replace(state, step_dpt=self.step_dpt) if self.climbs else replace(state, is_done=True)

    def _is_beside(self, off_dpt: float) -> bool:
        """Whether a look so far off tells about the answer: neither the same look nor one at another world."""
        return self.aside_dpt / 2 <= abs(off_dpt) <= 4 * self.aside_dpt

    def _beside(self, answer_dpt: float, seen: list[float]) -> float:
        """Beside the answer, on the side less seen; the nearer one first, where blue is sharp."""
        n_nearer = sum(focus > answer_dpt for focus in seen)
        side = 1.0 if 2 * n_nearer <= len(seen) else -1.0
        place = answer_dpt + side * self.aside_dpt
        return place if FOCUS_DPT[0] <= place <= FOCUS_DPT[1] else answer_dpt - side * self.aside_dpt
